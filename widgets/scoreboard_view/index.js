// The scoreboard: a grid of models and populations, the ranking, and below them the pair of the chosen cell.
import { field, fill, findingsList, frame, groupings, make, ownId } from "../parts/index.js";

/** @param {{model: any, el: HTMLElement}} context */
async function render({ model, el }) {
  const id = ownId();
  const panel = frame(model, el);
  const { follow, set } = panel;

  const pick = (/** @type {string} */ name, /** @type {string} */ label) => field(`${id}-${name}`, label, (value) => set(name, value));
  const by = pick("by", "Populations");
  const measure = pick("measure", "Measure");
  follow(["trait_menu", "by"], () => {
    fill(by.select, groupings(model.get("trait_menu")), model.get("by"));
  });
  follow(["measure_menu", "measure"], () => fill(measure.select, model.get("measure_menu"), model.get("measure")));

  const grid = make("div", { class: "pnb-slot" });
  const chart = make("div", { class: "pnb-slot" });
  const told = make("p", { class: "pnb-status", role: "status", "aria-live": "polite" });
  const bar = make("progress", { max: "1" });
  const cancel = make("button", { type: "button", click: () => model.send({ do: "cancel" }) }, "Cancel");
  const again = make("button", { type: "button", click: () => model.send({ do: "again" }) }, "Go on");
  const status = make("div", { class: "pnb-state" }, told, bar, cancel, again);
  const list = findingsList(model, follow);
  follow(["status"], () => {
    const { kind, text, done = 0, total = 0, what = "Questions answered" } = model.get("status");
    bar.setAttribute("aria-label", what);
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

  follow(["drawn"], () => {
    for (const file of panel.below.files) file.disabled = !model.get("drawn");
  });
  // What code in the notebook changes ends in one of these.
  follow(["status", "findings"], panel.below.renew);

  const controls = make("form", { class: "pnb-board-controls", "aria-label": "Choices", submit: (/** @type {Event} */ e) => e.preventDefault() },
    by.box, measure.box);
  const whole = make("section", { class: "pnb-explorer pnb-browser pnb-board" }, controls, status, grid, hint, chart, list, panel.below.box, pair);
  follow(["title"], () => whole.setAttribute("aria-label", `Scoreboard: ${model.get("title")}`));
  el.replaceChildren(whole);

  await panel.show({ grid, view: chart, pair: pairSlot });
  return panel.leave;
}

export default { render };
