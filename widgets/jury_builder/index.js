// The jury builder: quotas on the left; on the right whether they can be kept, the chances and the jury drawn.
import { follower, guardKeys, make, ownId, percent, table, tools } from "../parts/index.js";

/**
 * @typedef {{name: string, levels: {level: string, people: number, share: number}[]}} Feature
 * @typedef {{heads: string[], rows: string[][], numbers: string[], total: number}} Listed
 * @typedef {{id: string, label: string, lacks: string}} Method
 */

/** @param {{model: any, el: HTMLElement}} context */
async function render({ model, el }) {
  const id = ownId();
  const { follow, leave } = follower(model);
  const free = guardKeys(el);
  const set = (/** @type {string} */ name, /** @type {any} */ value) => {
    model.set(name, value);
    model.save_changes();
  };
  const field = (/** @type {string} */ label, /** @type {HTMLElement} */ control) =>
    make("div", { class: "pnb-field" }, make("label", { for: control.id }, label), control);
  const whole = (/** @type {string} */ name, /** @type {string} */ least) => {
    const input = make("input", { type: "number", id: `${id}-${name}`, min: least, step: "1", change: () => {
      if (input.value !== "") set(name, Math.max(Number(least), Math.round(Number(input.value))));
    } });
    follow([name], () => {
      if (Number(input.value) !== model.get(name)) input.value = String(model.get(name));
    });
    return input;
  };
  const seats = whole("seats", "1");
  const seed = whole("seed", "0");
  const method = make("select", { id: `${id}-method`, change: () => set("method", method.value) });
  follow(["methods"], () => method.replaceChildren(...model.get("methods").map((/** @type {Method} */ m) =>
    make("option", { value: m.id, disabled: Boolean(m.lacks) }, m.lacks ? `${m.label}: ${m.lacks}` : m.label))));
  follow(["method", "methods"], () => (method.value = model.get("method")));

  // The quotas: two numbers for every level
  const quotas = make("div", { class: "pnb-quotas" });
  /** @type {[string, string, HTMLInputElement, HTMLInputElement][]} */
  let cells = [];
  const changed = () => {
    /** @type {Record<string, Record<string, number[]>>} */
    const bounds = {};
    for (const [feature, level, low, high] of cells) {
      if (low.value === "" && high.value === "") continue;
      (bounds[feature] ??= {})[level] = [Math.round(Number(low.value)), high.value === "" ? model.get("seats") : Math.round(Number(high.value))];
    }
    set("bounds", bounds);
  };
  follow(["features"], () => {
    cells = [];
    quotas.replaceChildren(...model.get("features").map((/** @type {Feature} */ feature, /** @type {number} */ f) => make("fieldset", {}, make("legend", {}, feature.name),
      make("table", { class: "pnb-table" }, make("thead", {}, make("tr", {}, ...["Level", "In the pool", "Fewest", "Most"].map((h, i) => make("th", { scope: "col", class: i ? "pnb-number" : undefined }, h)))),
        make("tbody", {}, ...feature.levels.map((level, k) => {
          const box = (/** @type {string} */ name) => make("input", { type: "number", min: "0", step: "1", id: `${id}-q${f}-${k}-${name}`, "aria-label": `${feature.name}, ${level.level}: ${name} seats`, change: changed });
          const [low, high] = [box("fewest"), box("most")];
          cells.push([feature.name, level.level, low, high]);
          return make("tr", {}, make("th", { scope: "row" }, level.level), make("td", { class: "pnb-number" }, `${level.people.toLocaleString("en")} (${percent(level.share)})`), make("td", { class: "pnb-number" }, low), make("td", { class: "pnb-number" }, high));
        }))))));
  });
  follow(["bounds", "features"], () => {
    const bounds = model.get("bounds");
    for (const [feature, level, low, high] of cells) {
      const [a, b] = bounds[feature]?.[level] ?? ["", ""];
      if (low.value !== String(a)) low.value = String(a);
      if (high.value !== String(b)) high.value = String(b);
    }
  });
  follow(["method"], () => (quotas.hidden = ["simple", "weight"].includes(model.get("method"))));

  const find = make("button", { type: "button", class: "pnb-go", click: () => model.send({ do: "find" }) }, "Seat a jury");
  const again = make("button", { type: "button", click: () => model.send({ do: "draw_again" }) }, "Draw again");
  const count = make("p", { class: "pnb-hint" });
  follow(["count"], () => (count.textContent = model.get("count")));

  // What came of it
  const told = make("p", { class: "pnb-status", role: "status", "aria-live": "polite" });
  const progress = make("progress", { "aria-label": "Types settled" });
  const cancel = make("button", { type: "button", click: () => model.send({ do: "cancel" }) }, "Cancel");
  const state = make("div", { class: "pnb-state" }, told, progress, cancel);
  follow(["status"], () => {
    const { kind, text, done, total } = model.get("status");
    told.textContent = text;
    state.dataset.kind = kind;
    progress.hidden = cancel.hidden = kind !== "working";
    if (total) {
      progress.max = total;
      progress.value = done;
    } else progress.removeAttribute("value");
    find.disabled = kind === "working";
  });
  const mend = make("button", { type: "button", click: () => model.send({ do: "relax" }) }, "Take this change");
  const why = make("p");
  const relaxation = make("div", { class: "pnb-relax", role: "group", "aria-label": "The smallest change" }, why, mend);
  follow(["relaxation"], () => {
    const { text } = model.get("relaxation");
    relaxation.hidden = !text;
    why.textContent = text ? `The smallest change that would do: ${text}.` : "";
  });
  const chart = make("div", { class: "pnb-slot" });
  follow(["drawn"], () => {
    chart.hidden = !model.get("drawn");
  });
  const findings = make("dl", { class: "pnb-findings" });
  follow(["findings"], () => findings.replaceChildren(...model.get("findings").map((/** @type {{name: string, more: string}} */ f) =>
    make("div", {}, make("dt", {}, f.name), make("dd", {}, make("span", { class: "pnb-more" }, f.more))))));
  const listed = (/** @type {string} */ name, /** @type {string} */ label, open = false) => {
    const box = make("details", { open }, make("summary", {}, label));
    const slot = make("div");
    box.append(slot);
    follow([name], () => {
      /** @type {Partial<Listed>} */
      const { heads = [], rows = [], numbers = [], total = 0 } = model.get(name);
      box.hidden = !rows.length;
      const cut = total > rows.length ? `${label}: the first ${rows.length} of ${total.toLocaleString("en")}; the file has all` : label;
      slot.replaceChildren(rows.length ? table(cut, heads.map((h) => h.replaceAll("_", " ")), rows, heads.map((h) => (numbers.includes(h) ? "number" : ""))) : "");
    });
    return box;
  };
  const below = tools(model, []);
  const files = [["csv", "Jury as CSV"], ["json", "Public record"], ["svg", "SVG"], ["png", "PNG"], ["html", "HTML page"]].map(([kind, label]) =>
    make("button", { type: "button", "data-kind": kind, "aria-label": `Save ${label}`, click: () => model.send({ do: "export", kind }) }, label));
  below.box.querySelector(".pnb-save").append(...files);
  follow(["members", "drawn"], () => {
    for (const file of files) file.disabled = file.dataset.kind === "csv" ? !model.get("members").total : !model.get("drawn");
    again.disabled = !model.get("members").total;
  });
  follow(["code_text"], below.renew);

  const controls = make("form", { class: "pnb-controls", "aria-label": "Choices", submit: (/** @type {Event} */ e) => e.preventDefault() },
    count, field("Seats", seats), field("How they are chosen", method), field("Seed of the draw", seed), make("div", { class: "pnb-go-row" }, find, again), quotas);
  const result = make("div", { class: "pnb-result" }, state, relaxation, findings, chart,
    make("div", { class: "pnb-more-box" }, listed("members", "The jury drawn"), listed("types", "Chances by type of person")), below.box);
  const heading = make("h2", { class: "pnb-heading" });
  const panel = make("section", { class: "pnb-explorer pnb-jury-builder" }, heading, make("div", { class: "pnb-panel" }, controls, result));
  follow(["title"], () => {
    heading.textContent = model.get("title");
    panel.setAttribute("aria-label", model.get("title"));
  });
  el.replaceChildren(panel);

  const manager = model.widget_manager;
  const view = await manager.get_model(String(model.get("view")).replace("IPY_MODEL_", ""));
  const child = await manager.create_view(view);
  chart.append(child.el);
  return () => {
    leave();
    below.leave();
    free();
    child.remove?.();
  };
}

export default { render };
