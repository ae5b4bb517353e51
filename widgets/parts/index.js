// What the widgets share: making elements, following traits, guarding keys, fields and tabs, and the row of code and files.

/**
 * @typedef {{id: string, label: string, disabled?: boolean, lacks?: string}} Entry
 * @typedef {{key: string, label: string, levels: string[]}} Trait
 * @typedef {{name: string, value: string, more: string}} Finding
 */

const FILES = [["csv", "CSV"], ["svg", "SVG"], ["png", "PNG"], ["html", "HTML page"]];

/**
 * @param {string} tag
 * @param {Record<string, any>} [attributes] those that are functions listen to the event of that name
 * @param {...(Node | string)} children text is put in as text, never as markup
 * @returns {any}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** An id for one view. Each widget's script is loaded anew, so that counting would give two views on a page the same. */
export function ownId() {
  return `pnb-${Math.random().toString(36).slice(2, 12)}`;
}

/**
 * A table with a caption and headed columns; cells are text or nodes, numbers stand right.
 * @param {string} caption
 * @param {string[]} heads
 * @param {(string | number | Node)[][]} rows
 * @param {string[]} [kinds] "number" for columns that stand right
 */
export function table(caption, heads, rows, kinds = []) {
  const kind = (/** @type {number} */ i) => (kinds[i] === "number" ? "pnb-number" : undefined);
  return make("div", { class: "pnb-table-box", tabindex: "0", role: "region", "aria-label": caption },
    make("table", { class: "pnb-table" }, make("caption", {}, caption),
      make("thead", {}, make("tr", {}, ...heads.map((h, i) => make("th", { scope: "col", class: kind(i) }, h)))),
      make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((cell, i) =>
        make(i ? "td" : "th", { scope: i ? undefined : "row", class: kind(i) }, cell instanceof Node ? cell : String(cell ?? ""))))))));
}

/**
 * Follow traits of a model, and stop when the view is gone.
 * @param {any} model
 */
export function follower(model) {
  /** @type {[string, () => void][]} */
  const listening = [];
  return {
    /** Run `update` now and whenever one of these traits changes. */
    follow: (/** @type {string[]} */ names, /** @type {() => void} */ update) => {
      for (const name of names) {
        model.on(`change:${name}`, update);
        listening.push([`change:${name}`, update]);
      }
      update();
    },
    leave: () => {
      for (const [name, update] of listening) model.off(name, update);
    },
  };
}

/**
 * Keys that are meant for a control never reach JupyterLab, which would move or delete the cell. Saving still works.
 * @param {HTMLElement} el
 */
export function guardKeys(el) {
  const stop = (/** @type {KeyboardEvent} */ event) => {
    if (!((event.ctrlKey || event.metaKey) && event.key === "s")) event.stopPropagation();
  };
  el.addEventListener("keydown", stop);
  return () => el.removeEventListener("keydown", stop);
}

/**
 * What every panel does: follow traits, set them, keep its keys, carry the code and the files, show views, and leave.
 * @param {any} model
 * @param {HTMLElement} el
 */
export function frame(model, el) {
  const { follow, leave } = follower(model);
  const free = guardKeys(el);
  const below = tools(model);
  /** @type {any[]} */
  const children = [];
  return {
    follow,
    below,
    set: (/** @type {string} */ name, /** @type {any} */ value) => {
      model.set(name, value);
      model.save_changes();
      // Code that is shown is asked for anew behind every choice, so that it never speaks of the choice before.
      below.renew();
    },
    /** Put the view of the widget that a trait names into each slot. */
    show: async (/** @type {Record<string, HTMLElement>} */ slots) => {
      const manager = model.widget_manager;
      children.push(...(await Promise.all(Object.entries(slots).map(async ([name, slot]) => {
        const child = await manager.create_view(await manager.get_model(String(model.get(name)).replace("IPY_MODEL_", "")));
        slot.append(child.el);
        return child;
      }))));
    },
    leave: () => {
      free();
      below.leave();
      leave();
      for (const child of children) child.remove?.();
    },
  };
}

/**
 * The row below a panel: show the code, copy it, save files. Files come back from the kernel by message.
 * The code is the trait code_text; a model without that trait is asked for it when it is to be shown.
 * @param {any} model
 * @param {string[]} [kinds] of files
 */
export function tools(model, kinds = FILES.map(([kind]) => kind)) {
  const code = make("pre", { tabindex: "0", "aria-label": "The cell that rebuilds this view" });
  const copy = make("button", { type: "button", click: async () => {
    await navigator.clipboard?.writeText(code.textContent);
    copy.textContent = "Copied";
    setTimeout(() => (copy.textContent = "Copy"), 1500);
  } }, "Copy");
  const opened = make("div", { class: "pnb-code" }, code, copy);
  opened.hidden = true;
  const renew = () => {
    const text = model.get("code_text");
    if (text !== undefined) code.textContent = text;
    else if (!opened.hidden) model.send({ do: "code" });
  };
  const show = make("button", { type: "button", "aria-expanded": "false", click: () => {
    opened.hidden = !opened.hidden;
    renew();
    show.setAttribute("aria-expanded", String(!opened.hidden));
    show.textContent = opened.hidden ? "Show code" : "Hide code";
  } }, "Show code");
  const files = FILES.filter(([kind]) => kinds.includes(kind)).map(([kind, label]) => make("button",
    { type: "button", "aria-label": `Save as ${label}`, "data-kind": kind, click: () => model.send({ do: "export", kind }) }, label));
  const row = make("div", { class: "pnb-tools" }, show,
    make("div", { class: "pnb-save", role: "group", "aria-label": "Save" }, make("span", { "aria-hidden": "true" }, "Save"), ...files));
  // A page without a kernel has its code below and is a file already.
  row.hidden = Boolean(model.get("standalone"));
  const receive = (/** @type {any} */ message, /** @type {DataView[]} */ buffers) => {
    if (message.code !== undefined) code.textContent = message.code;
    if (!message.file || !buffers?.length) return;
    const address = URL.createObjectURL(new Blob([buffers[0]], { type: message.type }));
    make("a", { href: address, download: message.file }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
  };
  model.on("msg:custom", receive);
  return { box: make("div", {}, row, opened), files, renew, leave: () => model.off("msg:custom", receive) };
}

/**
 * Make the options of a select anew, only where they differ, so that an open list is not disturbed.
 * @param {HTMLSelectElement} select
 * @param {Entry[]} entries
 * @param {string} value
 */
export function fill(select, entries, value) {
  const wanted = JSON.stringify(entries);
  if (select.dataset.options !== wanted) {
    select.dataset.options = wanted;
    select.replaceChildren(...entries.map((e) => make("option", { value: e.id, disabled: Boolean(e.disabled) }, e.label)));
  }
  if (select.value !== value) select.value = value;
}

/** Pairs of id and label as entries of a select. */
export function entriesOf(/** @type {string[][]} */ pairs) {
  return pairs.map(([id, label]) => ({ id, label }));
}

/** The traits a table can be broken down by, before them everyone. */
export function groupings(/** @type {Trait[]} */ traits) {
  return [{ id: "", label: traits.length ? "Everyone" : "Everyone (no traits are declared)" }, ...traits.map((t) => ({ id: t.key, label: t.label }))];
}

/** A select with its label. */
export function field(/** @type {string} */ id, /** @type {string} */ label, /** @type {(value: string) => void} */ choose) {
  const select = make("select", { id, change: () => choose(select.value) });
  return { box: make("div", { class: "pnb-field" }, make("label", { for: id }, label), select), select };
}

/** The same, and below it what there is to say about the choice. */
export function hintedField(/** @type {string} */ id, /** @type {string} */ label, /** @type {(value: string) => void} */ choose) {
  const { box, select } = field(id, label, choose);
  const hint = make("p", { class: "pnb-hint", id: `${id}-hint` });
  select.setAttribute("aria-describedby", hint.id);
  box.append(hint);
  return { box, select, hint };
}

/**
 * Which people: levels to tick by trait, how many are left, and whether weights are used.
 * @param {any} model
 * @param {{follow: (names: string[], update: () => void) => void, set: (name: string, value: any) => void}} panel
 * @param {string} id
 * @param {string} unweighted what is said where no weights are declared
 */
export function populationField(model, { follow, set }, id, unweighted) {
  const count = make("p", { class: "pnb-count", role: "status" });
  const everyone = make("button", { type: "button", class: "pnb-link", click: () => set("population", {}) }, "Everyone");
  const traits = make("div", { class: "pnb-traits" });
  const weights = make("input", { type: "checkbox", id: `${id}-weights`, change: () => set("weighted", weights.checked) });
  const hint = make("span", { class: "pnb-hint" });
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
    hint.textContent = model.get("has_weights") ? "" : unweighted;
  });
  return make("fieldset", {}, make("legend", {}, "Population"), everyone, count, traits,
    make("div", { class: "pnb-check" }, weights, make("label", { for: weights.id }, "Use the survey's weights"), hint));
}

/**
 * Tabs over one panel: arrow keys go from one to the next; a tab that lacks something says what.
 * @param {any} model
 * @param {{follow: (names: string[], update: () => void) => void, set: (name: string, value: any) => void}} panel
 * @param {string} id
 */
export function tabs(model, { follow, set }, id) {
  const list = make("div", { class: "pnb-tabs", role: "tablist", "aria-label": "What is shown" });
  const panel = make("div", { class: "pnb-tab-panel", id: `${id}-panel`, role: "tabpanel" });
  list.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const usable = [...list.children].filter((tab) => tab.getAttribute("aria-disabled") !== "true");
    const at = usable.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: usable.length - 1 }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    const next = /** @type {HTMLElement} */ (usable[(to + usable.length) % usable.length]);
    next.focus();
    set("tab", next.dataset.tab);
  });
  // A list of tabs that is the same is left alone, so that the one in focus stays there.
  let listed = "";
  follow(["tabs"], () => {
    if (listed === (listed = JSON.stringify(model.get("tabs")))) return;
    list.replaceChildren(...model.get("tabs").map((/** @type {Entry} */ t) => {
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
    for (const tab of list.children) {
      const on = tab.dataset.tab === model.get("tab");
      tab.setAttribute("aria-selected", String(on));
      tab.tabIndex = on ? 0 : -1;
      if (on) panel.setAttribute("aria-labelledby", tab.id);
    }
  });
  return { list, panel };
}

/** The list of what there is to say about a chart. */
export function findingsList(/** @type {any} */ model, /** @type {(names: string[], update: () => void) => void} */ follow) {
  const list = make("dl", { class: "pnb-findings" });
  follow(["findings"], () => {
    list.replaceChildren(...model.get("findings").map((/** @type {Finding} */ f) =>
      make("div", {}, make("dt", {}, f.name), make("dd", {}, make("span", { class: "pnb-value" }, f.value), make("span", { class: "pnb-more" }, f.more)))));
  });
  return list;
}

/** The notes of a survey, one below the other. */
export function notesBox(/** @type {any} */ model, /** @type {(names: string[], update: () => void) => void} */ follow) {
  const notes = make("div", { class: "pnb-notes-box" });
  follow(["notes"], () => notes.replaceChildren(...model.get("notes").map((/** @type {string} */ note) => make("p", {}, note))));
  return notes;
}

/** A number in three digits or so: 0.0123, 4.57, 63.2, 1,250. */
export function number(/** @type {number | null | undefined} */ value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(3)));
}

/** The same with its zeros kept, so that numbers below each other compare: 46.0, 1.50. */
export function digits(/** @type {number | null | undefined} */ value) {
  const short = number(value);
  return value && Math.abs(value) < 1000 && Math.abs(value) >= 1e-4 ? value.toPrecision(3) : short;
}

/** A share in per cent, never "0%" for one that is not zero. */
export function percent(/** @type {number | null | undefined} */ share) {
  if (share === null || share === undefined) return "–";
  if (share > 0 && share < 0.005) return "<1%";
  if (share >= 0.995 && share < 1 - 1e-9) return ">99%";
  return `${Math.round(share * 100)}%`;
}

/** Names as one phrase: "A", "A and B", "A, B and C". */
export function joined(/** @type {string[]} */ names) {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names[names.length - 1]}`;
}
