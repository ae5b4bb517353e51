// The survey browser: search and choices on the left, tabs with a chart or a list and what they say on the right.
import { field, fill, findingsList, frame, groupings, make, ownId, populationField, tabs } from "../parts/index.js";

/**
 * @typedef {{key: string, label: string, text: string, option: string}} Hit
 * @typedef {{words: string, said: string, rows: Hit[]}} Found
 */

/**
 * The search box with its list: type, arrow down, Enter.
 * @param {string} id
 * @param {{search: (words: string) => void, choose: (key: string) => void}} on
 */
function searchBox(id, on) {
  /** @type {Found} */
  let found = { words: "", said: "", rows: [] };
  let active = -1;
  let chosen = "";
  // An Enter pressed before the kernel has answered is kept until it has.
  let waiting = false;
  const list = make("ul", { id: `${id}-hits`, class: "pnb-hits", role: "listbox", "aria-label": "Questions found" });
  const said = make("p", { id: `${id}-said`, class: "pnb-hint", role: "status", "aria-live": "polite" });
  const input = make("input", {
    id: `${id}-words`, type: "text", role: "combobox", autocomplete: "off", spellcheck: "false",
    "aria-autocomplete": "list", "aria-expanded": "true", "aria-controls": list.id, "aria-describedby": said.id,
    placeholder: "Words of the question or its options",
    input: () => ((active = -1), on.search(input.value)),
    keydown: (/** @type {KeyboardEvent} */ event) => press(event),
  });
  const mark = () => {
    [...list.children].forEach((line, i) => line.classList.toggle("pnb-active", i === active));
    const line = /** @type {HTMLElement | undefined} */ (list.children[active]);
    if (line) {
      input.setAttribute("aria-activedescendant", line.id);
      // Only the list moves: scrollIntoView would move the page too.
      if (line.offsetTop < list.scrollTop) list.scrollTop = line.offsetTop;
      const below = line.offsetTop + line.offsetHeight - list.clientHeight;
      if (below > list.scrollTop) list.scrollTop = below;
    } else input.removeAttribute("aria-activedescendant");
  };
  const choose = (/** @type {number} */ i) => {
    if (!found.rows[i]) return;
    active = i;
    mark();
    on.choose(found.rows[i].key);
  };
  const press = (/** @type {KeyboardEvent} */ event) => {
    const last = found.rows.length - 1;
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 6, PageUp: -6 };
    if (event.key in steps) {
      active = Math.max(0, Math.min(last, active + steps[event.key]));
      if (last < 0) active = -1;
      mark();
    } else if (event.key === "Enter") {
      if (found.words !== input.value) waiting = true;
      else choose(Math.max(active, 0));
    } else if (event.key === "Escape" && input.value) {
      input.value = "";
      active = -1;
      on.search("");
    } else return;
    event.preventDefault();
  };
  /** @param {Found} now */
  const show = (now) => {
    found = now;
    said.textContent = now.said;
    list.hidden = !now.rows.length;
    list.replaceChildren(...now.rows.map((hit, i) => {
      const line = make("li", { id: `${id}-hit-${i}`, role: "option", "data-key": hit.key, click: () => choose(i) },
        make("span", { class: "pnb-hit-name" }, hit.label),
        make("span", { class: "pnb-hint" }, [hit.label === hit.key ? "" : hit.key, hit.text === hit.label ? "" : hit.text,
          hit.option ? `option: ${hit.option}` : ""].filter(Boolean).join(" · ")));
      line.title = hit.text;
      return line;
    }));
    active = Math.min(active, now.rows.length - 1);
    mark();
    mind(chosen);
    if (waiting && now.words === input.value) {
      waiting = false;
      choose(Math.max(active, 0));
    }
  };
  /** Mark the question that is shown. */
  const mind = (/** @type {string} */ key) => {
    chosen = key;
    for (const line of list.children) line.setAttribute("aria-selected", String(line.dataset.key === key));
  };
  const box = make("div", { class: "pnb-field", role: "search" },
    make("label", { for: input.id }, "Search questions"), input, said, list);
  return { box, input, show, mind };
}

/** @param {{model: any, el: HTMLElement}} context */
async function render({ model, el }) {
  const id = ownId();
  const panel = frame(model, el);
  const { follow, set } = panel;

  // Which question
  const search = searchBox(id, { search: (words) => set("words", words), choose: (key) => set("question", key) });
  follow(["found"], () => search.show(model.get("found")));
  follow(["words"], () => {
    if (document.activeElement !== search.input) search.input.value = model.get("words");
  });
  const asked = make("p", { class: "pnb-asked" });
  const facts = make("p", { class: "pnb-hint" });
  follow(["chosen"], () => {
    const { text = "", facts: known = "" } = model.get("chosen") ?? {};
    asked.textContent = text;
    facts.textContent = known && known[0].toUpperCase() + known.slice(1);
  });
  follow(["question"], () => search.mind(model.get("question")));

  // How it is shown
  const pick = (/** @type {string} */ name, /** @type {string} */ label) => field(`${id}-${name}`, label, (value) => set(name, value));
  const by = pick("by", "Break down by");
  const answer = pick("answer", "Answer shown");
  follow(["trait_menu", "by"], () => {
    fill(by.select, groupings(model.get("trait_menu")), model.get("by"));
    by.select.disabled = !model.get("trait_menu").length;
  });
  follow(["answer_menu", "answer"], () => fill(answer.select, model.get("answer_menu"), model.get("answer")));

  // Which people
  const people = populationField(model, panel, id, "none declared: see About");

  const shown = tabs(model, panel, id);
  follow(["tab"], () => {
    // The list of checks and the notes speak of the whole file.
    const whole = ["checks", "about"].includes(model.get("tab"));
    for (const select of [by, answer]) select.box.hidden = whole || model.get("tab") === "weights";
    shown.panel.classList.toggle("pnb-listing", whole);
  });

  // What is shown, and what there is to say about it
  const chart = make("div", { class: "pnb-slot" });
  const told = make("p", { class: "pnb-status", role: "status", "aria-live": "polite" });
  const status = make("div", { class: "pnb-state" }, told);
  const list = findingsList(model, follow);
  follow(["status"], () => {
    const { kind, text } = model.get("status");
    told.textContent = text;
    status.dataset.kind = kind;
    status.hidden = !text;
  });
  follow(["drawn"], () => (chart.hidden = !model.get("drawn")));

  follow(["drawn"], () => {
    for (const file of panel.below.files) file.disabled = !model.get("drawn") && file.dataset.kind !== "csv";
  });
  // What code in the notebook changes ends in one of these.
  follow(["status", "findings", "count"], panel.below.renew);

  const controls = make("form", { class: "pnb-controls", "aria-label": "Choices", submit: (/** @type {Event} */ e) => e.preventDefault() },
    search.box, make("div", { class: "pnb-chosen" }, asked, facts), by.box, answer.box, people);
  shown.panel.append(chart, status, list);
  const result = make("div", { class: "pnb-result" }, shown.list, shown.panel, panel.below.box);
  const whole = make("section", { class: "pnb-explorer pnb-browser", "aria-label": "A survey, question by question" },
    make("div", { class: "pnb-panel" }, controls, result));
  follow(["title"], () => whole.setAttribute("aria-label", `${model.get("title")}, question by question`));
  el.replaceChildren(whole);

  await panel.show({ view: chart });
  return panel.leave;
}

export default { render };
