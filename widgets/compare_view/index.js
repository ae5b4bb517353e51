// Two sources compared: choices on the left; answers, distances, or a table of every question on the right.
import { field, fill, findingsList, frame, groupings, make, ownId, tabs } from "../parts/index.js";

/** @typedef {{key: string, label: string, levels: string[]}} Trait */

/** @param {{model: any, el: HTMLElement}} context */
async function render({ model, el }) {
  const id = ownId();
  const panel = frame(model, el);
  const { follow, set } = panel;

  const pick = (/** @type {string} */ name, /** @type {string} */ label) => field(`${id}-${name}`, label, (value) => set(name, value));
  const a = pick("a", "Compare");
  const b = pick("b", "With");
  follow(["sources", "a", "b"], () => {
    for (const [{ select }, name] of /** @type {[any, string][]} */ ([[a, "a"], [b, "b"]])) fill(select, model.get("sources"), model.get(name));
  });
  const question = pick("question", "Question");
  follow(["questions", "question"], () => fill(question.select,
    model.get("questions").map((/** @type {any} */ q) => ({ id: q.key, label: q.label })), model.get("question")));
  const by = pick("by", "Groups");
  const group = pick("group", "Which of them");
  const trait = () => model.get("trait_menu").find((/** @type {Trait} */ t) => t.key === model.get("by"));
  follow(["trait_menu", "by", "group"], () => {
    fill(by.select, groupings(model.get("trait_menu")), model.get("by"));
    const levels = (trait()?.levels ?? []).map((/** @type {string} */ level) => ({ id: level, label: level }));
    fill(group.select, [{ id: "", label: "All, side by side" }, ...levels], model.get("group"));
  });
  const answer = pick("answer", "Answer shown");
  follow(["answer_menu", "answer"], () => fill(answer.select, model.get("answer_menu"), model.get("answer") || model.get("answer_menu")[0]?.id));
  const distance = pick("distance", "Distance");
  follow(["distance_menu", "distance"], () => fill(distance.select, model.get("distance_menu"), model.get("distance")));
  const every = make("input", { type: "checkbox", id: `${id}-every`, change: () => set("every_way", every.checked) });
  const ways = make("div", { class: "pnb-check" }, every, make("label", { for: every.id }, "Every wording and order"));
  follow(["every_way", "asks"], () => {
    every.checked = model.get("every_way");
    ways.hidden = !model.get("asks");
  });
  follow(["tab", "by", "group"], () => {
    const tab = model.get("tab");
    const many = Boolean(model.get("by")) && !model.get("group");
    question.box.hidden = tab === "questions";
    group.box.hidden = !model.get("by") || tab === "questions";
    answer.box.hidden = tab !== "answers" || !many;
    distance.box.hidden = tab === "answers" || (tab === "distances" && !many);
  });

  const shown = tabs(model, panel, id);

  // What is shown, what is under way, and what there is to say
  const chart = make("div", { class: "pnb-slot" });
  const grid = make("div", { class: "pnb-slot" });
  const told = make("p", { class: "pnb-status", role: "status", "aria-live": "polite" });
  const bar = make("progress", { max: "1" });
  const cancel = make("button", { type: "button", click: () => model.send({ do: "cancel" }) }, "Cancel");
  const again = make("button", { type: "button", click: () => model.send({ do: "again" }) }, "Try again");
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
    if (hadFocus && (again.hidden || document.activeElement !== again)) (again.hidden ? b.select : again).focus({ preventScroll: true });
  });
  follow(["drawn"], () => {
    chart.hidden = model.get("drawn") !== "chart";
    grid.hidden = model.get("drawn") !== "grid";
  });

  follow(["drawn"], () => {
    for (const file of panel.below.files) file.disabled = model.get("drawn") === "nothing";
  });
  // What code in the notebook changes ends in one of these.
  follow(["status", "findings"], panel.below.renew);

  const controls = make("form", { class: "pnb-controls", "aria-label": "Choices", submit: (/** @type {Event} */ e) => e.preventDefault() },
    a.box, b.box, question.box, by.box, group.box, answer.box, distance.box, ways);
  shown.panel.append(chart, grid, status, list);
  const result = make("div", { class: "pnb-result" }, shown.list, shown.panel, panel.below.box);
  const whole = make("section", { class: "pnb-explorer pnb-browser pnb-compare" }, make("div", { class: "pnb-panel" }, controls, result));
  follow(["title"], () => whole.setAttribute("aria-label", `Two sources compared: ${model.get("title")}`));
  el.replaceChildren(whole);

  await panel.show({ view: chart, grid });
  return panel.leave;
}

export default { render };
