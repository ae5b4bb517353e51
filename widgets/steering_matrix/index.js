// The steering matrix: a grid of cells gone through by arrow keys; the open cell's pair stands below it.
import { fill, findingsList, frame, make, ownId } from "../parts/index.js";

/**
 * @typedef {{steered: string, label: string, range: string, floor: string, own: boolean, paper: string}} Cell
 * @typedef {{target: string, cells: Cell[]}} Line
 */

/** @param {{model: any, el: HTMLElement}} context */
async function render({ model, el }) {
  const id = ownId();
  const panel = frame(model, el);
  const { follow } = panel;
  const set = (/** @type {Record<string, any>} */ values) => {
    for (const [name, value] of Object.entries(values)) model.set(name, value);
    model.save_changes();
    panel.below.renew();
  };

  const title = make("h3", { id: `${id}-title` });
  const summary = make("p", { class: "pnb-summary", id: `${id}-summary` });
  follow(["title"], () => (title.textContent = model.get("title")));
  follow(["summary"], () => (summary.textContent = model.get("summary")));

  // The grid: one cell is in the tab order, arrow keys move, Enter or a click opens
  const grid = make("table", { role: "grid", class: "pnb-grid", "aria-labelledby": title.id, "aria-describedby": summary.id });
  /** @type {HTMLElement[][]} */
  let cells = [];
  let row = 0;
  let column = 0;
  const focus = (/** @type {number} */ r, /** @type {number} */ c) => {
    row = Math.max(0, Math.min(cells.length - 1, r));
    column = Math.max(0, Math.min(cells[0].length - 1, c));
    for (const line of cells) for (const cell of line) cell.tabIndex = -1;
    cells[row][column].tabIndex = 0;
    cells[row][column].focus({ preventScroll: false });
  };
  const open = (/** @type {number} */ r, /** @type {number} */ c) => {
    const line = model.get("lines")[r];
    set({ target: line.target, steered: line.cells[c].steered });
  };
  grid.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const last = (cells[0]?.length ?? 1) - 1;
    const to = { ArrowRight: [row, column + 1], ArrowLeft: [row, column - 1], ArrowDown: [row + 1, column], ArrowUp: [row - 1, column],
      Home: [row, 0], End: [row, last] }[event.key];
    if (to) focus(to[0], to[1]);
    else if (event.key === "Enter" || event.key === " ") open(row, column);
    else return;
    event.preventDefault();
  });
  follow(["lines", "columns"], () => {
    /** @type {Line[]} */
    const lines = model.get("lines");
    cells = lines.map((line, r) => line.cells.map((cell, c) => {
      const box = make("td", { role: "gridcell", tabindex: "-1", class: cell.own ? "pnb-own" : false, click: () => (focus(r, c), open(r, c)),
        title: `by chance alone ${cell.floor}; with that taken off, interval ${cell.range}`,
        "aria-label": `People: ${line.target}; model as ${cell.steered}: ${cell.label}, interval ${cell.range}` }, cell.label);
      box.style.background = cell.paper;
      return box;
    }));
    grid.replaceChildren(
      make("thead", {}, make("tr", {}, make("td", { class: "pnb-corner" }, "People ↓ Model as →"), ...model.get("columns").map((/** @type {string} */ name) => make("th", { scope: "col" }, name)))),
      make("tbody", {}, ...lines.map((line, r) => make("tr", {}, make("th", { scope: "row" }, line.target), ...cells[r]))));
    if (cells.length) cells[Math.min(row, cells.length - 1)][Math.min(column, cells[0].length - 1)].tabIndex = 0;
  });
  const mark = () => {
    const lines = model.get("lines");
    cells.forEach((line, r) => line.forEach((cell, c) => {
      const on = lines[r].target === model.get("target") && lines[r].cells[c].steered === model.get("steered");
      cell.setAttribute("aria-selected", String(on));
      if (on && !grid.contains(document.activeElement)) {
        for (const others of cells) for (const other of others) other.tabIndex = -1;
        [row, column] = [r, c];
        cell.tabIndex = 0;
      }
    }));
  };
  follow(["target", "steered", "lines"], mark);
  const legend = make("p", { class: "pnb-hint" }, "Distance over all questions; darker is nearer. Framed: the model speaks as these very people. Arrow keys move, Enter opens.");

  // All of it as a table, with intervals
  const slot = make("div");
  const asTable = make("details", { class: "pnb-how", toggle: () => showTable() }, make("summary", {}, "With intervals, as a table"), slot);
  const showTable = () => {
    if (!asTable.open) return;
    const rows = model.get("lines").flatMap((/** @type {Line} */ line) => line.cells.map((cell) => make("tr", {},
      ...[line.target, cell.steered, cell.label, cell.range, cell.floor].map((text) => make("td", {}, text)))));
    const head = ["People", "Model as", "Distance", "Interval, chance taken off", "By chance alone"].map((text) => make("th", { scope: "col" }, text));
    slot.replaceChildren(make("table", { class: "pnb-plain" }, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows)));
  };
  follow(["lines"], showTable);

  // The pair behind the open cell
  const question = make("select", { id: `${id}-question`, change: () => set({ question: question.value }) });
  follow(["questions", "question"], () => {
    fill(question, model.get("questions"), model.get("question"));
  });
  const pairTitle = make("h3", { "aria-live": "polite" });
  follow(["target", "steered"], () => {
    pairTitle.textContent = model.get("target") ? `People: ${model.get("target")}. The model as: ${model.get("steered")}.` : "";
  });
  const chart = make("div", { class: "pnb-slot" });
  const findings = findingsList(model, follow);
  const told = make("p", { class: "pnb-status", role: "status", "aria-live": "polite" });
  const bar = make("progress", { "aria-label": "Prompts answered", max: "1" });
  const cancel = make("button", { type: "button", click: () => model.send({ do: "cancel" }) }, "Cancel");
  const status = make("div", { class: "pnb-state" }, told, bar, cancel);
  const pair = make("section", { class: "pnb-pair", "aria-label": "The pair behind the cell" }, pairTitle,
    make("div", { class: "pnb-inline" }, make("label", { for: question.id }, "Question"), question), chart, findings);
  follow(["status", "lines"], () => {
    const { kind, text, done = 0, total = 0 } = model.get("status");
    told.textContent = text;
    status.dataset.kind = kind;
    status.hidden = !text;
    bar.hidden = cancel.hidden = kind !== "working";
    if (total > 1) bar.value = done / total;
    else bar.removeAttribute("value");
    const empty = !model.get("lines").length;
    for (const part of [grid, legend, asTable, pair, panel.below.box]) part.hidden = empty;
  });

  el.replaceChildren(make("section", { class: "pnb-explorer pnb-matrix", "aria-label": "Steering, group by group" },
    title, summary, status, make("div", { class: "pnb-scroll" }, grid), legend, asTable, pair, panel.below.box));

  await panel.show({ view: chart });
  return panel.leave;
}

export default { render };
