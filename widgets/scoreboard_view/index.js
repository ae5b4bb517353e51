// The scoreboard: a grid of models and populations, the ranking, and below them the pair of the chosen cell.

/**
 * @typedef {{id: string, label: string, lacks?: string}} Entry
 * @typedef {{key: string, label: string, levels: string[]}} Trait
 * @typedef {{name: string, value: string, more: string}} Finding
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

/** @param {{model: any, el: HTMLElement}} context */
async function render({ model, el }) {
  const id = `pnb-s${++panels}`;
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

  const pick = (/** @type {string} */ name, /** @type {string} */ label) => {
    const select = make("select", { id: `${id}-${name}`, change: () => set(name, select.value) });
    return { box: make("div", { class: "pnb-field" }, make("label", { for: select.id }, label), select), select };
  };
  const by = pick("by", "Populations");
  const measure = pick("measure", "Measure");
  follow(["trait_menu", "by"], () => {
    const traits = model.get("trait_menu").map((/** @type {Trait} */ t) => ({ id: t.key, label: t.label }));
    fill(by.select, [{ id: "", label: traits.length ? "Everyone" : "Everyone (no traits are declared)" }, ...traits], model.get("by"));
  });
  follow(["measure_menu", "measure"], () => fill(measure.select, model.get("measure_menu"), model.get("measure")));

  const grid = make("div", { class: "pnb-slot" });
  const chart = make("div", { class: "pnb-slot" });
  const told = make("p", { class: "pnb-status", role: "status", "aria-live": "polite" });
  const bar = make("progress", { "aria-label": "Questions answered", max: "1" });
  const cancel = make("button", { type: "button", click: () => model.send({ do: "cancel" }) }, "Cancel");
  const again = make("button", { type: "button", click: () => model.send({ do: "again" }) }, "Go on");
  const status = make("div", { class: "pnb-state" }, told, bar, cancel, again);
  const list = make("dl", { class: "pnb-findings" });
  follow(["status"], () => {
    const { kind, text, done = 0, total = 0 } = model.get("status");
    told.textContent = text;
    status.dataset.kind = kind;
    status.hidden = !text;
    const hadFocus = document.activeElement === cancel || document.activeElement === again;
    cancel.hidden = kind !== "working";
    again.hidden = kind !== "stopped" && kind !== "error";
    bar.hidden = kind !== "working" || !total;
    if (total) bar.value = done / total;
    if (hadFocus && document.activeElement?.hasAttribute("hidden")) (again.hidden ? by.select : again).focus({ preventScroll: true });
  });
  follow(["findings"], () => {
    list.replaceChildren(...model.get("findings").map((/** @type {Finding} */ f) =>
      make("div", {}, make("dt", {}, f.name), make("dd", {}, make("span", { class: "pnb-value" }, f.value), make("span", { class: "pnb-more" }, f.more)))));
  });
  const hint = make("p", { class: "pnb-hint" }, "Click a cell, or go to it by arrow keys and press Enter, to open the pair below.");
  const pairTitle = make("h3", { class: "pnb-pair-title", tabindex: "-1" });
  const pairSlot = make("div");
  const pair = make("div", { class: "pnb-pair" }, pairTitle, pairSlot);
  follow(["opened"], () => {
    const [name, population] = model.get("opened");
    pair.hidden = !name;
    pairTitle.textContent = name ? `${name} and ${population.toLowerCase() === "all alike" ? "all populations" : population}` : "";
  });
  follow(["drawn"], () => {
    for (const part of [grid, chart, list, hint]) part.hidden = !model.get("drawn");
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
    for (const file of files) file.disabled = !model.get("drawn");
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
  follow(["status", "findings"], () => renewCode());

  const controls = make("form", { class: "pnb-board-controls", "aria-label": "Choices", submit: (/** @type {Event} */ e) => e.preventDefault() },
    by.box, measure.box);
  const whole = make("section", { class: "pnb-explorer pnb-browser pnb-board" }, controls, status, grid, hint, chart, list, tools, codeBox, pair);
  follow(["title"], () => whole.setAttribute("aria-label", `Scoreboard: ${model.get("title")}`));
  el.replaceChildren(whole);

  const manager = model.widget_manager;
  const children = await Promise.all([["grid", grid], ["view", chart], ["pair", pairSlot]].map(async ([name, slot]) => {
    const child = await manager.create_view(await manager.get_model(String(model.get(name)).replace("IPY_MODEL_", "")));
    slot.append(child.el);
    return child;
  }));
  return () => {
    leaving.abort();
    model.off("msg:custom", onMessage);
    for (const [name, update] of listening) model.off(name, update);
    for (const child of children) child.remove?.();
  };
}

export default { render };
