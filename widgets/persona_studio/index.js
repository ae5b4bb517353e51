// The persona studio: how people are told on the left; one person, then the sample, on the right.
import { entriesOf, fill, findingsList, frame, hintedField, make, notesBox, ownId } from "../parts/index.js";

/**
 * @typedef {{id: string, label: string, about?: string, facts?: string, problem?: string}} Entry
 * @typedef {{key: string, label: string, levels: string[]}} Trait
 * @typedef {{name: string, text: string, tokens: number | null, unknown: string[]}} Told
 * @typedef {{option: string, own: boolean, cells: {name: string, p: number, label: string}[]}} Row
 */

const ORDERS = [["fixed", "As listed"], ["shuffled", "Shuffled for each person"], ["coarse", "Fewest levels first (quicker)"]];
const MISSING = [["leave out", "Left out"], ["say", "Said to be unknown"]];
const LEAKS = [["leave out", "Tell none of these"], ["keep", "Tell the near-duplicates all the same"]];
const MARGINS = [["0", "Everybody"], ["10", "± 10 points"], ["5", "± 5 points"], ["3", "± 3 points"], ["2", "± 2 points"], ["1", "± 1 point"]];

/** @param {{model: any, el: HTMLElement}} context */
async function render({ model, el }) {
  const id = ownId();
  const panel = frame(model, el);
  const { follow, set } = panel;

  const picker = (/** @type {string} */ name, /** @type {string} */ label, /** @type {(value: string) => void} */ change = (value) => set(name, value)) =>
    hintedField(`${id}-${name}`, label, change);

  // What is asked, and of whom
  const models = picker("model", "Model");
  const surveys = picker("survey", "Survey");
  const questions = picker("question", "Question");
  follow(["models", "model"], () => {
    /** @type {Entry[]} */
    const entries = model.get("models").map((/** @type {Entry} */ e) => ({ ...e, disabled: Boolean(e.problem), label: e.problem ? `${e.label} — ${e.problem}` : e.label }));
    const chosen = model.get("model");
    if (!entries.some((e) => e.id === chosen)) entries.unshift({ id: chosen, label: chosen ? chosen.split(/[\\/]/).pop() ?? "" : "Looking for models…" });
    fill(models.select, entries, chosen);
    models.hint.textContent = entries.find((e) => e.id === chosen)?.facts ?? "";
  });
  follow(["surveys", "survey"], () => fill(surveys.select, model.get("surveys").map((/** @type {Entry} */ e) => ({ id: e.id, label: e.label })), model.get("survey")));
  follow(["questions", "question"], () => fill(questions.select, model.get("questions").map((/** @type {any} */ q) => ({ id: q.key, label: q.label })), model.get("question")));

  // Which traits are told, in which order
  const list = make("ul", { class: "pnb-told" });
  const all = make("button", { type: "button", class: "pnb-link", click: () => set("told", model.get("trait_menu").map((/** @type {Trait} */ t) => t.key)) }, "All");
  const traitsHint = make("p", { class: "pnb-hint" });
  const traits = make("fieldset", {}, make("legend", {}, "Traits told"), all, list, traitsHint);
  const move = (/** @type {string} */ key, /** @type {number} */ by) => {
    const told = [...model.get("told")];
    const at = told.indexOf(key);
    if (at < 0 || at + by < 0 || at + by >= told.length) return;
    told.splice(at + by, 0, ...told.splice(at, 1));
    set("told", told);
  };
  const own = () => model.get("style") === "own";
  const showTraits = () => {
    const active = /** @type {HTMLElement | null} */ (list.contains(document.activeElement) ? document.activeElement : null);
    const focused = active?.dataset.focus;
    const told = model.get("told");
    /** @type {Trait[]} */
    const known = model.get("trait_menu");
    const order = [...told.map((/** @type {string} */ key) => known.find((t) => t.key === key)).filter(Boolean), ...known.filter((t) => !told.includes(t.key))];
    list.replaceChildren(...order.map((/** @type {Trait} */ trait) => {
      const at = told.indexOf(trait.key);
      const box = make("input", { type: "checkbox", id: `${id}-t-${trait.key}`, "data-focus": `box ${trait.key}`,
        change: () => set("told", box.checked ? [...model.get("told"), trait.key] : model.get("told").filter((/** @type {string} */ k) => k !== trait.key)) });
      box.checked = at >= 0;
      const step = (/** @type {number} */ by, /** @type {string} */ sign, /** @type {string} */ word) => make("button", {
        type: "button", class: "pnb-step", "data-focus": `${word} ${trait.key}`, "aria-label": `Tell ${trait.label} ${word}`, title: `Tell ${word}`,
        disabled: own() || at + by < 0 || at + by >= told.length, click: () => move(trait.key, by) }, sign);
      const line = make("li", { keydown: (/** @type {KeyboardEvent} */ event) => {
        const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
        if (event.altKey && by) (event.preventDefault(), move(trait.key, by));
      } }, box, make("label", { for: box.id }, trait.label));
      if (at >= 0) line.append(step(-1, "↑", "earlier"), step(1, "↓", "later"));
      box.disabled = own();
      return line;
    }));
    if (focused) {
      const again = [...list.querySelectorAll("[data-focus]")].find((e) => e.dataset.focus === focused);
      const spare = list.querySelector(`[data-focus="box ${CSS.escape(focused.split(" ").slice(1).join(" "))}"]`);
      (again && !again.disabled ? again : spare)?.focus({ preventScroll: true });
    }
    all.disabled = own() || told.length === known.length;
    traitsHint.textContent = own() ? "Your own text tells the traits whose slots it has." : "Alt and arrow keys move a trait.";
  };
  follow(["trait_menu", "told", "style"], showTraits);

  // What gives the answer away
  const leaks = make("ul", { class: "pnb-leaks" });
  const leakTitle = make("p", { class: "pnb-leak-title" });
  const radios = LEAKS.map(([value, label]) => {
    const radio = make("input", { type: "radio", name: `${id}-leak`, id: `${id}-leak-${value.replace(" ", "-")}`, value, change: () => set("leak", value) });
    return { radio, line: make("div", { class: "pnb-check" }, radio, make("label", { for: radio.id }, label)) };
  });
  const leakChoice = make("div", { role: "radiogroup", "aria-label": "Traits that give the answer away" }, ...radios.map((r) => r.line));
  const guard = make("div", { class: "pnb-guard", role: "status", "aria-live": "polite" }, leakTitle, leaks, leakChoice);
  follow(["guard", "leak"], () => {
    const { question = "", lines = [], choice = false } = model.get("guard") ?? {};
    guard.hidden = !lines.length;
    leakTitle.textContent = `These give away the answer to “${question}”:`;
    leaks.replaceChildren(...lines.map((/** @type {any} */ line) => make("li", {}, make("strong", {}, line.label), `: ${line.why}; ${line.fate}.`)));
    leakChoice.hidden = !choice;
    for (const { radio } of radios) radio.checked = radio.value === model.get("leak");
  });

  // How it is told
  const style = picker("style", "Style");
  const beside = picker("beside", "Beside it");
  const editor = make("textarea", { id: `${id}-text`, rows: "4", spellcheck: "false", input: () => set("text", editor.value) });
  const slots = make("p", { class: "pnb-hint", id: `${id}-slots` });
  editor.setAttribute("aria-describedby", slots.id);
  const writing = make("div", { class: "pnb-field" }, make("label", { for: editor.id }, "Your text"), editor, slots);
  follow(["styles", "style", "beside"], () => {
    /** @type {Entry[]} */
    const known = model.get("styles");
    fill(style.select, known.map(({ id: value, label }) => ({ id: value, label })), model.get("style"));
    style.hint.textContent = known.find((s) => s.id === model.get("style"))?.about ?? "";
    const others = known.filter((s) => s.id !== model.get("style") && s.id !== "own");
    const chosen = others.some((s) => s.id === model.get("beside")) ? model.get("beside") : "";
    fill(beside.select, [{ id: "", label: "No other style" }, ...others.map(({ id: value, label }) => ({ id: value, label }))], chosen);
    writing.hidden = !own();
  });
  follow(["text"], () => {
    if (document.activeElement !== editor) editor.value = model.get("text");
  });
  follow(["trait_menu"], () => {
    const names = model.get("trait_menu").map((/** @type {Trait} */ t) => `{${t.key}}`).join(" ");
    slots.textContent = `Slots: ${names}. With :sentence, :label, :lower, :a or :number they say it otherwise.`;
  });
  const order = picker("order", "Order of the traits");
  const missing = picker("missing", "What is not known");
  follow(["order"], () => fill(order.select, entriesOf(ORDERS), model.get("order")));
  follow(["missing"], () => fill(missing.select, entriesOf(MISSING), model.get("missing")));
  const more = make("details", { class: "pnb-how" }, make("summary", {}, "More of how it is told"), order.box, missing.box);

  // One person
  const at = make("input", { type: "number", min: "1", step: "1", id: `${id}-at`, change: () => go(Number(at.value) - 1) });
  const of = make("span");
  const go = (/** @type {number} */ row) => {
    const wanted = Math.max(0, Math.min(model.get("people") - 1, Math.round(row) || 0));
    if (wanted === model.get("person")) at.value = String(wanted + 1);
    else set("person", wanted);
  };
  const previous = make("button", { type: "button", click: () => go(model.get("person") - 1) }, "Previous");
  const next = make("button", { type: "button", click: () => go(model.get("person") + 1) }, "Next");
  const random = make("button", { type: "button", click: () => model.send({ do: "random" }) }, "Random");
  follow(["person", "people"], () => {
    if (document.activeElement !== at || Number(at.value) !== model.get("person") + 1) at.value = String(model.get("person") + 1);
    at.max = String(model.get("people"));
    of.textContent = `of ${model.get("people").toLocaleString("en")}`;
    previous.disabled = model.get("person") <= 0;
    next.disabled = model.get("person") >= model.get("people") - 1;
  });
  const what = make("select", { id: `${id}-what`, change: () => fillLevels() });
  const level = make("select", { id: `${id}-level`, "aria-label": "New level", change: () => set("changes", level.value ? { [what.value]: level.value } : {}) });
  const fillLevels = () => {
    /** @type {Trait | undefined} */
    const trait = model.get("trait_menu").find((/** @type {Trait} */ t) => t.key === what.value);
    const now = model.get("changes")[what.value] ?? "";
    fill(level, [{ id: "", label: "as it is" }, ...(trait?.levels ?? []).map((l) => ({ id: l, label: l }))], now);
  };
  follow(["trait_menu", "changes"], () => {
    const now = Object.keys(model.get("changes"))[0];
    /** @type {Trait[]} */
    const known = model.get("trait_menu");
    fill(what, known.map((t) => ({ id: t.key, label: t.label })), now ?? (known.some((t) => t.key === what.value) ? what.value : known[0]?.key ?? ""));
    fillLevels();
  });
  const problem = make("p", { class: "pnb-problem", role: "status", "aria-live": "polite" });
  follow(["problem"], () => {
    problem.textContent = model.get("problem");
    problem.hidden = !model.get("problem");
  });
  const texts = make("div", { class: "pnb-texts" });
  follow(["texts", "problem"], () => {
    texts.replaceChildren(...model.get("texts").map((/** @type {Told} */ told) => {
      const facts = [told.tokens === null ? "" : `${told.tokens} tokens`, told.unknown.length ? `not known: ${told.unknown.join(", ")}` : ""].filter(Boolean).join("; ");
      return make("figure", {}, make("figcaption", {}, make("strong", {}, told.name), make("span", { class: "pnb-hint" }, facts)),
        make("blockquote", { class: "pnb-voice" }, told.text || "Nothing is told: the model speaks in its own voice."));
    }));
    texts.classList.toggle("pnb-old", Boolean(model.get("problem")) && !Object.keys(model.get("changes")).length);
  });
  const one = make("div", { class: "pnb-one" });
  follow(["one"], () => {
    const { own: said = "", names = [], rows = [], said: words = "" } = model.get("one") ?? {};
    const head = make("tr", {}, make("th", { scope: "col" }, "Answer"), ...names.map((/** @type {string} */ n) => make("th", { scope: "col" }, n)));
    const body = rows.map((/** @type {Row} */ row) => make("tr", { class: row.own ? "pnb-real" : false },
      make("th", { scope: "row" }, row.option, row.own ? make("span", { class: "pnb-mark" }, "their answer") : ""),
      ...row.cells.map((cell) => {
        const bar = make("span", { class: "pnb-bar", "aria-hidden": "true" });
        bar.style.width = `${100 * cell.p}%`;
        return make("td", {}, make("span", { class: "pnb-track", "aria-hidden": "true" }, bar), make("span", {}, cell.label));
      })));
    one.replaceChildren(make("table", {}, make("caption", {}, names.length ? words : `Real answer: ${said}. ${model.get("model") ? "Asking the model…" : ""}`),
      make("thead", {}, head), make("tbody", {}, ...body)));
  });
  const person = make("section", { class: "pnb-person", "aria-label": "One person" }, make("h3", {}, "One person"),
    make("div", { class: "pnb-inline", role: "group", "aria-label": "Which person" }, previous, next, random,
      make("label", { for: at.id }, "Person"), at, of),
    make("div", { class: "pnb-inline" }, make("label", { for: what.id }, "What if"), what, make("span", {}, "were"), level),
    problem, texts, one);

  // The sample
  const margin = make("select", { id: `${id}-margin`, change: () => set("margin", Number(margin.value)) });
  follow(["margin"], () => fill(margin, entriesOf(MARGINS), String(model.get("margin"))));
  const ask = make("button", { type: "button", class: "pnb-main", click: () => model.send({ do: "ask" }) }, "Ask the sample");
  const cancel = make("button", { type: "button", click: () => model.send({ do: "cancel" }) }, "Cancel");
  const told = make("p", { class: "pnb-status", role: "status", "aria-live": "polite" });
  const bar = make("progress", { "aria-label": "Prompts answered", max: "1" });
  const status = make("div", { class: "pnb-state" }, told, bar, cancel);
  follow(["status"], () => {
    const { kind, text, done = 0, total = 0 } = model.get("status");
    told.textContent = text;
    status.dataset.kind = kind;
    status.hidden = !text;
    bar.hidden = kind !== "working";
    if (total > 1) bar.value = done / total;
    else bar.removeAttribute("value");
    const hadFocus = document.activeElement === cancel;
    cancel.hidden = kind !== "working";
    if (hadFocus && cancel.hidden) ask.focus({ preventScroll: true });
  });
  const chart = make("div", { class: "pnb-slot" });
  const findings = findingsList(model, follow);
  const notes = notesBox(model, follow);
  const about = make("div", { class: "pnb-more-box" }, make("details", {}, make("summary", {}, "About this survey"), notes));
  const sample = make("section", { class: "pnb-sample", "aria-label": "The sample" }, make("h3", {}, "The sample"),
    make("div", { class: "pnb-inline" }, ask, make("label", { for: margin.id }, "Good enough at"), margin), status, chart, findings, about);

  follow(["texts", "findings"], panel.below.renew);

  const controls = make("form", { class: "pnb-controls", "aria-label": "Choices", submit: (/** @type {Event} */ e) => e.preventDefault() },
    models.box, surveys.box, questions.box, traits, guard, style.box, writing, beside.box, more);
  const result = make("div", { class: "pnb-result" }, person, sample, panel.below.box);
  el.replaceChildren(make("section", { class: "pnb-explorer pnb-studio", "aria-label": "Personas from a survey" },
    make("div", { class: "pnb-panel" }, controls, result)));

  await panel.show({ view: chart });
  return panel.leave;
}

export default { render };
