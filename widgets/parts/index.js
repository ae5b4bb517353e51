// What the jury's widgets share: making elements, following traits, guarding keys, and the row of code and files.

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
 * The row below a panel: show the code, copy it, save files. Files come back from the kernel by message.
 * @param {any} model whose trait code_text has the code
 * @param {string[]} [kinds] of files
 */
export function tools(model, kinds = FILES.map(([kind]) => kind)) {
  const code = make("pre", { tabindex: "0", "aria-label": "The cell that rebuilds this view" });
  const copy = make("button", { type: "button", click: async () => {
    await navigator.clipboard?.writeText(code.textContent);
    copy.textContent = "Copied";
    setTimeout(() => (copy.textContent = "Copy"), 1500);
  } }, "Copy");
  const box = make("div", { class: "pnb-code" }, code, copy);
  box.hidden = true;
  const show = make("button", { type: "button", "aria-expanded": "false", click: () => {
    box.hidden = !box.hidden;
    show.setAttribute("aria-expanded", String(!box.hidden));
    show.textContent = box.hidden ? "Show code" : "Hide code";
  } }, "Show code");
  const files = FILES.filter(([kind]) => kinds.includes(kind)).map(([kind, label]) => make("button",
    { type: "button", "aria-label": `Save as ${label}`, click: () => model.send({ do: "export", kind }) }, label));
  const row = make("div", { class: "pnb-tools" }, show,
    make("div", { class: "pnb-save", role: "group", "aria-label": "Save" }, make("span", { "aria-hidden": "true" }, "Save"), ...files));
  // A page without a kernel has its code below and is a file already.
  row.hidden = Boolean(model.get("standalone"));
  const renew = () => (code.textContent = model.get("code_text"));
  const receive = (/** @type {any} */ message, /** @type {DataView[]} */ buffers) => {
    if (!message.file || !buffers?.length) return;
    const address = URL.createObjectURL(new Blob([buffers[0]], { type: message.type }));
    make("a", { href: address, download: message.file }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
  };
  model.on("msg:custom", receive);
  return { box: make("div", {}, row, box), renew, leave: () => model.off("msg:custom", receive) };
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
