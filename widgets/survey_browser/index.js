// The survey browser: search and choices on the left, tabs with a chart or a list and what they say on the right.

/**
 * @typedef {{key: string, label: string, text: string, option: string}} Hit
 * @typedef {{words: string, said: string, rows: Hit[]}} Found
 * @typedef {{key: string, label: string, levels: string[]}} Trait
 * @typedef {{name: string, value: string, more: string}} Finding
 * @typedef {{id: string, label: string, lacks?: string}} Entry
 */

const FILES = [["csv", "CSV"], ["svg", "SVG"], ["png", "PNG"], ["html", "HTML page"]];

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

/**
 * Make the options of a select anew, only where they differ, so that an open list is not disturbed.
 * @param {HTMLSelectElement} select
 * @param {Entry[]} entries
 * @param {string} value
 */
function fill(select, entries, value) {
  const wanted = JSON.stringify(entries);
  if (select.dataset.options !== wanted) {
    select.dataset.options = wanted;
    select.replaceChildren(...entries.map((e) => make("option", { value: e.id }, e.label)));
  }
  if (select.value !== value) select.value = value;
}

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
  const id = `pnb-b${++panels}`;
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
  const pick = (/** @type {string} */ name, /** @type {string} */ label) => {
    const select = make("select", { id: `${id}-${name}`, change: () => set(name, select.value) });
    return { box: make("div", { class: "pnb-field" }, make("label", { for: select.id }, label), select), select };
  };
  const by = pick("by", "Break down by");
  const answer = pick("answer", "Answer shown");
  follow(["trait_menu", "by"], () => {
    const traits = model.get("trait_menu").map((/** @type {Trait} */ t) => ({ id: t.key, label: t.label }));
    fill(by.select, [{ id: "", label: traits.length ? "Everyone" : "Everyone (no traits are declared)" }, ...traits], model.get("by"));
    by.select.disabled = !traits.length;
  });
  follow(["answer_menu", "answer"], () => fill(answer.select, model.get("answer_menu"), model.get("answer")));

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
  const picked = (/** @type {string} */ trait) => {
    const levels = shown.get(trait)?.boxes.filter((box) => box.checked).map((box) => box.value) ?? [];
    const now = { ...model.get("population") };
    if (levels.length) now[trait] = levels;
    else delete now[trait];
    set("population", now);
  };
  follow(["trait_menu"], () => {
    shown.clear();
    traits.replaceChildren(...model.get("trait_menu").map((/** @type {Trait} */ trait, /** @type {number} */ i) => {
      const summary = make("span", { class: "pnb-picked" });
      const boxes = trait.levels.map((level, j) => make("input", {
        type: "checkbox", id: `${id}-t${i}-${j}`, value: level, change: () => picked(trait.key) }));
      shown.set(trait.key, { summary, boxes });
      const lines = boxes.map((box, j) => make("div", { class: "pnb-check" }, box, make("label", { for: box.id }, trait.levels[j])));
      return make("details", {}, make("summary", {}, make("span", {}, trait.label), summary),
        make("div", { role: "group", "aria-label": trait.label, class: "pnb-levels" }, ...lines));
    }));
  });
  follow(["population", "trait_menu"], () => {
    const now = model.get("population");
    for (const [trait, { summary, boxes }] of shown) {
      const levels = now[trait] ?? [];
      for (const box of boxes) box.checked = levels.includes(box.value);
      summary.textContent = levels.length ? levels.join(", ") : "all";
      summary.classList.toggle("pnb-some", levels.length > 0);
    }
    everyone.disabled = Object.keys(now).length === 0;
  });
  follow(["count"], () => (count.textContent = model.get("count")));
  follow(["weighted", "has_weights"], () => {
    weights.checked = model.get("weighted");
    weights.disabled = !model.get("has_weights");
    weightsHint.textContent = model.get("has_weights") ? "" : "none declared: see About";
  });

  // The tabs: arrow keys go from one to the next, as in every list of tabs
  const tablist = make("div", { class: "pnb-tabs", role: "tablist", "aria-label": "What is shown" });
  const panel = make("div", { class: "pnb-tab-panel", id: `${id}-panel`, role: "tabpanel" });
  const usable = () => [...tablist.children].filter((tab) => tab.getAttribute("aria-disabled") !== "true");
  tablist.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const tabs = usable();
    const at = tabs.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    const next = /** @type {HTMLElement} */ (tabs[(to + tabs.length) % tabs.length]);
    next.focus();
    set("tab", next.dataset.tab);
  }, { signal });
  follow(["tabs"], () => {
    tablist.replaceChildren(...model.get("tabs").map((/** @type {Entry} */ t) => {
      const tab = make("button", { type: "button", role: "tab", id: `${id}-tab-${t.id}`, "data-tab": t.id,
        "aria-controls": panel.id, click: () => t.lacks || set("tab", t.id) }, t.label);
      if (t.lacks) {
        tab.setAttribute("aria-disabled", "true");
        tab.title = t.lacks[0].toUpperCase() + t.lacks.slice(1);
        tab.append(make("span", { class: "pnb-unseen" }, `: ${t.lacks}`));
      }
      return tab;
    }));
  });
  follow(["tab", "tabs"], () => {
    for (const tab of tablist.children) {
      const on = tab.dataset.tab === model.get("tab");
      tab.setAttribute("aria-selected", String(on));
      tab.tabIndex = on ? 0 : -1;
      if (on) panel.setAttribute("aria-labelledby", tab.id);
    }
    // The list of checks and the notes speak of the whole file.
    const whole = ["checks", "about"].includes(model.get("tab"));
    for (const select of [by, answer]) select.box.hidden = whole || model.get("tab") === "weights";
    panel.classList.toggle("pnb-listing", whole);
  });

  // What is shown, and what there is to say about it
  const chart = make("div", { class: "pnb-slot" });
  const told = make("p", { class: "pnb-status", role: "status", "aria-live": "polite" });
  const status = make("div", { class: "pnb-state" }, told);
  const list = make("dl", { class: "pnb-findings" });
  follow(["status"], () => {
    const { kind, text } = model.get("status");
    told.textContent = text;
    status.dataset.kind = kind;
    status.hidden = !text;
  });
  follow(["drawn"], () => (chart.hidden = !model.get("drawn")));
  follow(["findings"], () => {
    list.replaceChildren(...model.get("findings").map((/** @type {Finding} */ f) =>
      make("div", {}, make("dt", {}, f.name), make("dd", {}, make("span", { class: "pnb-value" }, f.value), make("span", { class: "pnb-more" }, f.more)))));
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
  const files = FILES.map(([kind, label]) => make("button", { type: "button", "aria-label": `Save as ${label}`, "data-kind": kind, click: () => model.send({ do: "export", kind }) }, label));
  const tools = make("div", { class: "pnb-tools" }, showCode,
    make("div", { class: "pnb-save", role: "group", "aria-label": "Save" }, make("span", { "aria-hidden": "true" }, "Save"), ...files));
  follow(["drawn"], () => {
    for (const file of files) file.disabled = !model.get("drawn") && file.dataset.kind !== "csv";
  });
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
    search.box, make("div", { class: "pnb-chosen" }, asked, facts), by.box, answer.box, people);
  panel.append(chart, status, list);
  const result = make("div", { class: "pnb-result" }, tablist, panel, tools, codeBox);
  const whole = make("section", { class: "pnb-explorer pnb-browser", "aria-label": "A survey, question by question" },
    make("div", { class: "pnb-panel" }, controls, result));
  follow(["title"], () => whole.setAttribute("aria-label", `${model.get("title")}, question by question`));
  el.replaceChildren(whole);

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
