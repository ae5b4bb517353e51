// A grid of figures: one cell takes the focus, arrow keys move it, Enter or a click chooses the cell.
import { guardKeys, make } from "../parts/index.js";

/** @typedef {{label: string, depth: number | null, said: string}} Cell */

/** @param {{model: any, el: HTMLElement}} context */
function render({ model, el }) {
  let at = [0, 0];
  const caption = make("caption");
  const head = make("thead");
  const body = make("tbody");
  const table = make("table", { role: "grid" }, caption, head, body);
  const box = make("div", { class: "pnb-grid" }, table);
  el.replaceChildren(box);

  /** @param {number} r @param {number} c */
  const cell = (r, c) => /** @type {HTMLElement | null} */ (body.rows[r]?.cells[c + 1] ?? null);
  const mark = () => {
    const [row, column] = model.get("chosen");
    for (const [r, line] of [...body.rows].entries()) {
      for (const [c, one] of [...line.cells].slice(1).entries()) {
        one.setAttribute("aria-selected", String(r === row && c === column));
        one.tabIndex = r === at[0] && c === at[1] ? 0 : -1;
      }
    }
  };
  const go = (/** @type {number} */ r, /** @type {number} */ c, focus = true) => {
    at = [Math.max(0, Math.min(body.rows.length - 1, r)), Math.max(0, Math.min(model.get("columns").length - 1, c))];
    mark();
    if (focus) cell(at[0], at[1])?.focus();
  };
  const choose = () => model.send({ choose: at });
  const press = (/** @type {KeyboardEvent} */ event) => {
    const [r, c] = at;
    /** @type {Record<string, [number, number]>} */
    const steps = {
      ArrowDown: [r + 1, c], ArrowUp: [r - 1, c], ArrowRight: [r, c + 1], ArrowLeft: [r, c - 1],
      Home: [event.ctrlKey ? 0 : r, 0], End: [event.ctrlKey ? Infinity : r, Infinity], PageDown: [r + 8, c], PageUp: [r - 8, c],
    };
    if (event.key in steps) go(...steps[event.key]);
    else if (event.key === "Enter" || event.key === " ") choose();
    else return;
    event.preventDefault();
  };
  body.addEventListener("keydown", press);
  const free = guardKeys(el);

  const draw = () => {
    const columns = model.get("columns");
    caption.textContent = model.get("caption");
    head.replaceChildren(make("tr", {}, make("th", { scope: "col" }, model.get("corner")),
      ...columns.map((/** @type {string} */ name) => make("th", { scope: "col" }, name))));
    const hadFocus = body.contains(document.activeElement);
    body.replaceChildren(...model.get("rows").map((/** @type {string} */ name, /** @type {number} */ r) => make("tr", {},
      make("th", { scope: "row" }, name),
      ...(model.get("cells")[r] ?? []).map((/** @type {Cell} */ one, /** @type {number} */ c) => {
        const made = make("td", {
          role: "gridcell", tabindex: "-1", "aria-label": [name, columns[c], one.label, one.said].filter(Boolean).join(", "),
          click: () => (go(r, c), choose()),
        }, one.label);
        made.title = one.said;
        if (one.depth !== null && one.depth !== undefined) made.style.setProperty("--deep", `${4 + 66 * one.depth}%`);
        return made;
      }))));
    box.hidden = !model.get("rows").length;
    go(at[0], at[1], hadFocus);
  };
  // Several traits come in one message.
  let queued = false;
  const redraw = () => {
    if (queued) return;
    queued = true;
    queueMicrotask(() => {
      queued = false;
      draw();
    });
  };
  const settle = () => {
    const [row, column] = model.get("chosen");
    if (row !== undefined) at = [row, column];
    mark();
  };
  const names = ["caption", "corner", "columns", "rows", "cells"];
  for (const name of names) model.on(`change:${name}`, redraw);
  model.on("change:chosen", settle);
  draw();
  settle();
  return () => {
    for (const name of names) model.off(`change:${name}`, redraw);
    model.off("change:chosen", settle);
    free();
  };
}

export default { render };
