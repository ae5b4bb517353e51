// Candidates × rules as one table: a heading sorts by its rule, in the browser.
import { follower, guardKeys, make, ownId, tools } from "../parts/index.js";

/**
 * @typedef {{key: string, head: string, meaning: string, problem: string}} Column
 * @typedef {{score: number | null, text: string, range: string, sure: string, wins: boolean}} Cell
 * @typedef {{name: string, cells: Cell[]}} Row
 */

/** @param {{model: any, el: HTMLElement}} context */
function render({ model, el }) {
  const id = ownId();
  const { follow, leave } = follower(model);
  const free = guardKeys(el);
  // -1: by name; each heading turns its own order round.
  let by = -2;
  let down = true;
  const head = make("tr");
  const body = make("tbody");
  const caption = make("caption");
  const said = make("p", { class: "pnb-unseen", role: "status", "aria-live": "polite" });
  const grid = make("table", { class: "pnb-table pnb-candidates" }, caption, make("thead", {}, head), body);
  const more = make("input", { type: "checkbox", id: `${id}-more`, change: () => whole.classList.toggle("pnb-detailed", more.checked) });

  const sort = (/** @type {number} */ column) => {
    down = by === column ? !down : column >= 0;
    by = column;
    fill();
    const name = column < 0 ? "candidate" : model.get("columns")[column].head;
    said.textContent = `Sorted by ${name}, ${down ? "highest first" : "lowest first"}.`;
  };
  const fill = () => {
    /** @type {Column[]} */
    const columns = model.get("columns");
    [...head.children].forEach((th, i) => {
      const on = i - 1 === by;
      if (on) th.setAttribute("aria-sort", down ? "descending" : "ascending");
      else th.removeAttribute("aria-sort");
    });
    /** @type {Row[]} */
    const rows = [...model.get("rows")];
    if (by === -1) rows.sort((a, b) => (down ? -1 : 1) * a.name.localeCompare(b.name));
    // Those without a score stand last either way.
    if (by >= 0) rows.sort((a, b) => {
      const [x, y] = [a.cells[by].score, b.cells[by].score];
      return x === null || y === null ? Number(x === null) - Number(y === null) : (down ? y - x : x - y);
    });
    body.replaceChildren(...rows.map((row) => make("tr", {}, make("th", { scope: "row" }, row.name),
      ...row.cells.map((cell, i) => make("td", { class: cell.wins ? "pnb-number pnb-won" : "pnb-number", title: columns[i].problem || [cell.range && `interval ${cell.range}`, cell.sure].filter(Boolean).join("; ") },
        make("span", {}, cell.wins ? "★ " : "", cell.text), cell.wins ? make("span", { class: "pnb-unseen" }, " wins") : "",
        make("small", {}, cell.range), make("small", {}, cell.sure))))));
  };
  follow(["columns", "rows"], () => {
    /** @type {Column[]} */
    const columns = model.get("columns");
    const button = (/** @type {string} */ text, /** @type {string} */ title, /** @type {number} */ column) =>
      make("button", { type: "button", class: "pnb-sort", title, click: () => sort(column) }, text);
    head.replaceChildren(make("th", { scope: "col" }, button("Candidate", "", -1)),
      ...columns.map((c, i) => make("th", { scope: "col", class: "pnb-number" }, button(c.head, c.problem || c.meaning, i))));
    fill();
  });
  const problems = make("ul", { class: "pnb-notes" });
  const meanings = make("ul", { class: "pnb-notes" });
  const notes = make("ul", { class: "pnb-notes" });
  const summary = make("p", { class: "pnb-hint" });
  const heading = make("h2", { class: "pnb-heading" });
  const below = tools(model, ["csv", "html"]);
  const box = make("div", { class: "pnb-table-box", tabindex: "0", role: "region" }, grid);
  const whole = make("section", { class: "pnb-explorer pnb-candidate-table" }, heading, summary,
    make("div", { class: "pnb-check" }, more, make("label", { for: more.id }, "Show intervals, and how surely each wins")), box, said, problems,
    make("div", { class: "pnb-more-box" }, make("details", {}, make("summary", {}, "What the numbers mean"), make("p", { class: "pnb-hint" }, "★ wins under the rule. Inequality has no winner: less is more equal."), meanings, notes)), below.box);
  follow(["columns"], () => {
    const columns = model.get("columns");
    problems.replaceChildren(...columns.filter((/** @type {Column} */ c) => c.problem).map((/** @type {Column} */ c) => make("li", {}, `${c.head}: ${c.problem}`)));
    meanings.replaceChildren(...columns.map((/** @type {Column} */ c) => make("li", {}, `${c.head}: ${c.meaning}`)));
  });
  follow(["notes"], () => notes.replaceChildren(...model.get("notes").map((/** @type {string} */ n) => make("li", {}, n))));
  follow(["summary"], () => (summary.textContent = model.get("summary")));
  follow(["title"], () => {
    heading.textContent = caption.textContent = model.get("title");
    heading.hidden = Boolean(model.get("standalone"));
    box.setAttribute("aria-label", model.get("title"));
    whole.setAttribute("aria-label", model.get("title"));
  });
  follow(["code_text"], below.renew);
  el.replaceChildren(whole);
  return () => {
    leave();
    below.leave();
    free();
  };
}

export default { render };
