// The panel: native controls on the left, the chart and what it says on the right.

/**
 * @typedef {{id: string, label: string, facts: string, name?: string, problem?: string}} Entry
 * @typedef {{key: string, label: string, kind: string, asked_of: string, battery: string}} Question
 * @typedef {{key: string, label: string, levels: string[]}} Trait
 * @typedef {{name: string, value: string, more: string}} Finding
 * @typedef {{text: string, tokens: number[], pieces: string[]}} Reply
 */

const A_PATH = "\u0000path";
const MODES = [["auto", "As the model is made for"], ["completion", "Completion (plain text)"], ["chat", "Chat (its own template)"]];
const EXAMPLES = [["auto", "As the model's card says"], ["0", "None"], ["1", "1"], ["2", "2"], ["3", "3"]];
const FILES = [["csv", "CSV"], ["svg", "SVG"], ["png", "PNG"], ["html", "HTML page"]];
const KINDS = { nominal: "options without an order", ordinal: "options in order", numeric: "numbers" };

let panels = 0;

/**
 * @param {string} tag
 * @param {Record<string, any>} [attributes] those that are functions listen to the event of that name
 * @param {...(Node | string)} children text is put in as text, never as markup
 * @returns {any}
 */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** A select with its label, and below it what there is to say about the choice. */
function picker(id, label, onChange) {
  const select = make("select", { id, change: () => onChange(select.value) });
  const hint = make("p", { class: "pnb-hint", id: `${id}-hint` });
  select.setAttribute("aria-describedby", hint.id);
  return { box: make("div", { class: "pnb-field" }, make("label", { for: id }, label), select, hint), select, hint };
}

/** A line that opens below a select for a path. */
function pathLine(id, label, example, onOpen) {
  const input = make("input", { id, type: "text", spellcheck: "false", autocomplete: "off", placeholder: example });
  const open = () => {
    if (input.value.trim()) onOpen(input.value.trim());
  };
  input.addEventListener("keydown", (event) => event.key === "Enter" && (event.preventDefault(), open()));
  const box = make("div", { class: "pnb-path" },
    make("label", { for: id }, label), make("div", {}, input, make("button", { type: "button", click: open }, "Open")));
  box.hidden = true;
  return { box, input };
}

/**
 * Make the options of a select anew, only where they differ, so that an open list is not disturbed.
 * @param {HTMLSelectElement} select
 * @param {{value: string, label: string, disabled?: boolean}[]} options
 * @param {string} value
 */
function fill(select, options, value) {
  const wanted = JSON.stringify(options);
  if (select.dataset.options !== wanted) {
    select.dataset.options = wanted;
    select.replaceChildren(...options.map((o) => make("option", { value: o.value, disabled: Boolean(o.disabled) }, o.label)));
  }
  if (select.value !== value) select.value = value;
}

/** Show white space in a token: a space as ␣, a line break as ⏎. */
function visible(piece) {
  return piece.replaceAll(" ", "␣").replaceAll("\n", "⏎").replaceAll("\t", "⇥") || "∅";
}

/** @param {{model: any, el: HTMLElement}} context */
async function render({ model, el }) {
  const id = `pnb-${++panels}`;
  const leaving = new AbortController();
  const { signal } = leaving;
  /** @type {[string, () => void][]} */
  const listening = [];
  /** Run `update` now and whenever one of these traits changes. */
  const follow = (/** @type {string[]} */ names, /** @type {() => void} */ update) => {
    for (const name of names) {
      model.on(`change:${name}`, update);
      listening.push([`change:${name}`, update]);
    }
    update();
  };
  // Code that is shown is asked for anew behind every choice, so that it never speaks of the choice before.
  let renewCode = () => {};
  const set = (/** @type {string} */ name, /** @type {any} */ value) => {
    model.set(name, value);
    model.save_changes();
    renewCode();
  };

  // Keys that are meant for a control never reach JupyterLab, which would move or delete the cell. Saving still works.
  el.addEventListener("keydown", (event) => {
    if (!((event.ctrlKey || event.metaKey) && event.key === "s")) event.stopPropagation();
  }, { signal });

  // Which model and which survey
  const modelPath = pathLine(`${id}-model-path`, "Path of a GGUF file", "~/models/model.gguf", (path) => set("model", path));
  const modelPicker = picker(`${id}-model`, "Model", (value) => {
    modelPath.box.hidden = value !== A_PATH;
    if (value === A_PATH) modelPath.input.select();
    else set("model", value);
  });
  const surveyPath = pathLine(`${id}-survey-path`, "Path of a survey file", "survey.sav, .dta, .csv or .parquet", (path) => set("survey", path));
  const surveyPicker = picker(`${id}-survey`, "Survey", (value) => {
    surveyPath.box.hidden = value !== A_PATH;
    if (value === A_PATH) surveyPath.input.select();
    else set("survey", value);
  });
  const questionPicker = picker(`${id}-question`, "Question", (value) => set("question", value));

  follow(["models", "model"], () => {
    /** @type {Entry[]} */
    const entries = model.get("models");
    const chosen = model.get("model");
    const options = entries.map((e) => ({
      value: e.id, label: `${e.label}${e.facts ? ` · ${e.facts}` : ""}${e.problem ? ` — ${e.problem}` : ""}`, disabled: Boolean(e.problem) }));
    if (!entries.some((e) => e.id === chosen)) {
      const label = chosen ? chosen.split(/[\\/]/).pop() : "Looking for models…";
      options.unshift({ value: chosen, label, disabled: !chosen });
    }
    const asking = modelPicker.select.value === A_PATH && document.activeElement === modelPath.input;
    fill(modelPicker.select, [...options, { value: A_PATH, label: "A path…" }], chosen);
    if (!asking || chosen === modelPath.input.value) modelPath.box.hidden = true;
    modelPicker.hint.textContent = entries.find((e) => e.id === chosen)?.facts ?? "";
    modelPicker.hint.title = modelPicker.select.title = chosen;
  });
  follow(["surveys", "survey"], () => {
    /** @type {Entry[]} */
    const entries = model.get("surveys");
    const options = entries.map((e) => ({ value: e.id, label: e.label }));
    surveyPicker.hint.textContent = entries.find((e) => e.id === model.get("survey"))?.facts ?? "";
    fill(surveyPicker.select, [...options, { value: A_PATH, label: "A path…" }], model.get("survey"));
    surveyPath.box.hidden = true;
  });
  follow(["questions", "question"], () => {
    /** @type {Question[]} */
    const questions = model.get("questions");
    fill(questionPicker.select, questions.map((q) => ({ value: q.key, label: q.label })), model.get("question"));
    const chosen = questions.find((q) => q.key === model.get("question"));
    const facts = chosen ? [`${chosen.kind}: ${KINDS[chosen.kind]}`] : [];
    if (chosen?.battery) facts.push(`part of ${chosen.battery}`);
    if (chosen?.asked_of) facts.push(`asked of ${chosen.asked_of}`);
    const text = facts.join("; ");
    questionPicker.hint.textContent = text && text[0].toUpperCase() + text.slice(1);
  });

  // Which people
  const count = make("p", { class: "pnb-count", role: "status" });
  const everyone = make("button", { type: "button", class: "pnb-link", click: () => set("population", {}) }, "Everyone");
  const traits = make("div", { class: "pnb-traits" });
  const weights = make("input", { type: "checkbox", id: `${id}-weights`, change: () => set("weighted", weights.checked) });
  const weightsHint = make("span", { class: "pnb-hint" });
  const people = make("fieldset", {}, make("legend", {}, "Population"), everyone, count, traits,
    make("div", { class: "pnb-check" }, weights, make("label", { for: weights.id }, "Use the survey's weights"), weightsHint));
  /** @type {Map<string, {summary: HTMLElement, boxes: HTMLInputElement[]}>} */
  const shown = new Map();
  const pick = (/** @type {string} */ trait) => {
    const levels = shown.get(trait)?.boxes.filter((box) => box.checked).map((box) => box.value) ?? [];
    const picked = { ...model.get("population") };
    if (levels.length) picked[trait] = levels;
    else delete picked[trait];
    set("population", picked);
  };
  follow(["trait_menu"], () => {
    shown.clear();
    traits.replaceChildren(...model.get("trait_menu").map((/** @type {Trait} */ trait, /** @type {number} */ i) => {
      const summary = make("span", { class: "pnb-picked" });
      const boxes = trait.levels.map((level, j) => make("input", {
        type: "checkbox", id: `${id}-t${i}-${j}`, value: level, change: () => pick(trait.key) }));
      shown.set(trait.key, { summary, boxes });
      const lines = boxes.map((box, j) => make("div", { class: "pnb-check" }, box, make("label", { for: box.id }, trait.levels[j])));
      return make("details", {}, make("summary", {}, make("span", {}, trait.label), summary),
        make("div", { role: "group", "aria-label": trait.label, class: "pnb-levels" }, ...lines));
    }));
  });
  follow(["population", "trait_menu"], () => {
    const picked = model.get("population");
    for (const [trait, { summary, boxes }] of shown) {
      const levels = picked[trait] ?? [];
      for (const box of boxes) box.checked = levels.includes(box.value);
      summary.textContent = levels.length ? levels.join(", ") : "all";
      summary.classList.toggle("pnb-some", levels.length > 0);
    }
    everyone.disabled = Object.keys(picked).length === 0;
  });
  follow(["count"], () => (count.textContent = model.get("count")));
  follow(["weighted", "has_weights"], () => {
    weights.checked = model.get("weighted");
    weights.disabled = !model.get("has_weights");
    weightsHint.textContent = model.get("has_weights") ? "" : "none declared: see About this survey";
  });

  // Who the model speaks as, and how it is asked
  const voices = [["itself", "Itself"], ["population", "This population"]].map(([value, label]) => {
    const radio = make("input", { type: "radio", name: `${id}-voice`, id: `${id}-as-${value}`, value, change: () => set("speaks", value) });
    return { radio, line: make("div", { class: "pnb-check" }, radio, make("label", { for: radio.id }, label)) };
  });
  const voice = make("blockquote", { class: "pnb-voice" });
  const voiceHint = make("p", { class: "pnb-hint" });
  const asks = make("fieldset", {}, make("legend", {}, "The model speaks as"),
    make("div", { class: "pnb-radios", role: "radiogroup", "aria-label": "The model speaks as" }, ...voices.map((v) => v.line)), voice, voiceHint);
  follow(["speaks", "voice"], () => {
    for (const { radio } of voices) radio.checked = radio.value === model.get("speaks");
    const { text = "", left_out: leftOut = [] } = model.get("voice") ?? {};
    const told = model.get("speaks") === "population";
    voice.textContent = text;
    voice.hidden = !text;
    voiceHint.textContent = !told ? "" : [
      text ? "It is told exactly this." : "There is nothing to tell it: pick one level of a trait.",
      leftOut.length ? `Not said, because several levels are picked: ${leftOut.join(", ")}.` : "",
    ].join(" ").trim();
  });
  const modePicker = picker(`${id}-mode`, "Mode", (value) => set("mode", value));
  const examplesPicker = picker(`${id}-examples`, "Examples before the question", (value) => set("examples", value));
  const pairs = (/** @type {string[][]} */ list) => list.map(([value, label]) => ({ value, label }));
  follow(["mode"], () => fill(modePicker.select, pairs(MODES), model.get("mode")));
  follow(["examples"], () => fill(examplesPicker.select, pairs(EXAMPLES), model.get("examples")));
  const how = make("details", { class: "pnb-how" }, make("summary", {}, "How it is asked"), modePicker.box, examplesPicker.box);

  // The chart, and what there is to say about it
  const chart = make("div", { class: "pnb-slot" });
  const told = make("p", { class: "pnb-status", role: "status", "aria-live": "polite" });
  const bar = make("progress", { "aria-label": "Prompts answered", max: "1" });
  const cancel = make("button", { type: "button", click: () => model.send({ do: "cancel" }) }, "Cancel");
  const again = make("button", { type: "button", click: () => model.send({ do: "again" }) }, "Try again");
  const status = make("div", { class: "pnb-state" }, told, bar, cancel, again);
  follow(["status"], () => {
    const { kind, text, done = 0, total = 0, blank = false } = model.get("status");
    told.textContent = text;
    status.dataset.kind = kind;
    bar.hidden = kind !== "working";
    if (total > 1) bar.value = done / total;
    else bar.removeAttribute("value");
    const hadFocus = document.activeElement === cancel || document.activeElement === again;
    cancel.hidden = kind !== "working";
    again.hidden = kind !== "error" && kind !== "stopped";
    // A button that disappears under the focus would drop the keyboard user at the top of the page.
    if (hadFocus && cancel.hidden && again.hidden) modelPicker.select.focus({ preventScroll: true });
    else if (hadFocus && cancel.hidden) again.focus({ preventScroll: true });
    chart.hidden = Boolean(blank);
  });
  const list = make("dl", { class: "pnb-findings" });
  follow(["findings"], () => {
    list.replaceChildren(...model.get("findings").map((/** @type {Finding} */ f) =>
      make("div", {}, make("dt", {}, f.name), make("dd", {}, make("span", { class: "pnb-value" }, f.value), make("span", { class: "pnb-more" }, f.more)))));
  });
  const notes = make("div", { class: "pnb-notes-box" });
  follow(["notes"], () => notes.replaceChildren(...model.get("notes").map((/** @type {string} */ note) => make("p", {}, note))));
  const about = make("details", {}, make("summary", {}, "About this survey"), notes);

  const prompts = make("div", { class: "pnb-seen" });
  const sees = make("details", { toggle: () => showPrompts() }, make("summary", {}, "What did the model see, exactly?"), prompts);
  let which = 0;
  const showPrompts = () => {
    if (!sees.open) return;
    const { mode, replies = [] } = model.get("seen") ?? {};
    if (!replies.length) {
      prompts.replaceChildren(make("p", { class: "pnb-hint" }, "Nothing yet."));
      return;
    }
    which = Math.min(which, replies.length - 1);
    /** @type {Reply} */
    const reply = replies[which];
    const parts = [];
    if (replies.length > 1) {
      const select = make("select", { id: `${id}-prompt`, change: () => ((which = Number(select.value)), showPrompts(), prompts.querySelector("select")?.focus()) },
        ...replies.map((/** @type {Reply} */ _, /** @type {number} */ i) => make("option", { value: String(i), selected: i === which }, `${i + 1} of ${replies.length}`)));
      parts.push(make("div", { class: "pnb-inline" }, make("label", { for: select.id }, "Prompt"), select,
        make("span", { class: "pnb-hint" }, "The examples carry other letters each time; the bars are the mean.")));
    }
    parts.push(make("p", { class: "pnb-hint" }, `Mode: ${mode}. The text below was sent as it stands; the next token was read.`),
      make("pre", { tabindex: "0", "aria-label": "The exact prompt" }, reply.text),
      make("p", { class: "pnb-hint" }, `As the model reads it, in ${reply.tokens.length} tokens (with their numbers):`),
      make("ol", { class: "pnb-tokens", tabindex: "0", "aria-label": "Tokens" }, ...reply.tokens.map((token, i) =>
        make("li", {}, make("span", {}, visible(reply.pieces[i] ?? "")), make("small", {}, String(token))))));
    prompts.replaceChildren(...parts);
  };
  follow(["seen"], () => {
    sees.hidden = !model.get("seen")?.replies?.length;
    showPrompts();
  });

  const code = make("pre", { tabindex: "0", "aria-label": "The cell that rebuilds this view" });
  const copy = make("button", { type: "button", click: async () => {
    await navigator.clipboard?.writeText(code.textContent);
    copy.textContent = "Copied";
    setTimeout(() => (copy.textContent = "Copy"), 1500);
  } }, "Copy");
  const codeBox = make("div", { class: "pnb-code" }, code, copy);
  codeBox.hidden = true;
  const showCode = make("button", { type: "button", "aria-expanded": "false", click: () => {
    if (codeBox.hidden) model.send({ do: "code" });
    codeBox.hidden = !codeBox.hidden;
    showCode.setAttribute("aria-expanded", String(!codeBox.hidden));
    showCode.textContent = codeBox.hidden ? "Show code" : "Hide code";
  } }, "Show code");
  const files = FILES.map(([kind, label]) => make("button", { type: "button", "aria-label": `Save as ${label}`, click: () => model.send({ do: "export", kind }) }, label));
  const tools = make("div", { class: "pnb-tools" }, showCode,
    make("div", { class: "pnb-save", role: "group", "aria-label": "Save" }, make("span", { "aria-hidden": "true" }, "Save"), ...files));
  const onMessage = (/** @type {any} */ message, /** @type {DataView[]} */ buffers) => {
    if (message.code !== undefined) code.textContent = message.code;
    if (message.file && buffers?.length) {
      const address = URL.createObjectURL(new Blob([buffers[0]], { type: message.type }));
      make("a", { href: address, download: message.file }).click();
      setTimeout(() => URL.revokeObjectURL(address), 10000);
    }
  };
  model.on("msg:custom", onMessage);
  renewCode = () => {
    if (!codeBox.hidden) model.send({ do: "code" });
  };
  // What code in the notebook changes ends in one of these.
  follow(["status", "findings", "count"], () => renewCode());

  const controls = make("form", { class: "pnb-controls", "aria-label": "Choices", submit: (/** @type {Event} */ e) => e.preventDefault() },
    modelPicker.box, modelPath.box, surveyPicker.box, surveyPath.box, questionPicker.box, people, asks, how);
  const result = make("div", { class: "pnb-result" }, chart, status, list, make("div", { class: "pnb-more-box" }, sees, about), tools, codeBox);
  el.replaceChildren(make("section", { class: "pnb-explorer", "aria-label": "A model against people" },
    make("div", { class: "pnb-panel" }, controls, result)));

  const manager = model.widget_manager;
  const view = await manager.get_model(String(model.get("view")).replace("IPY_MODEL_", ""));
  const child = await manager.create_view(view);
  chart.append(child.el);
  return () => {
    leaving.abort();
    model.off("msg:custom", onMessage);
    for (const [name, update] of listening) model.off(name, update);
    child.remove?.();
  };
}

export default { render };
