// Two sources compared: choices on the left; answers, distances, or a table of every question on the right.

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
  const id = `pnb-c${++panels}`;
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
    const traits = model.get("trait_menu").map((/** @type {Trait} */ t) => ({ id: t.key, label: t.label }));
    fill(by.select, [{ id: "", label: traits.length ? "Everyone" : "Everyone (no traits are declared)" }, ...traits], model.get("by"));
    const levels = (trait()?.levels ?? []).map((/** @type {string} */ level) => ({ id: level, label: level }));
    fill(group.select, [{ id: "", label: "All, side by side" }, ...levels], model.get("group"));
  });
  const answer = pick("answer", "Answer shown");
  follow(["answer_menu", "answer"], () => fill(answer.select, model.get("answer_menu"), model.get("answer") || model.get("answer_menu")[0]?.id));
  const distance = pick("distance", "Distance");
  follow(["distance_menu", "distance"], () => fill(distance.select, model.get("distance_menu"), model.get("distance")));
  follow(["tab", "by", "group"], () => {
    const tab = model.get("tab");
    const many = Boolean(model.get("by")) && !model.get("group");
    question.box.hidden = tab === "questions";
    group.box.hidden = !model.get("by") || tab === "questions";
    answer.box.hidden = tab !== "answers" || !many;
    distance.box.hidden = tab === "answers" || (tab === "distances" && !many);
  });

  // The tabs: arrow keys go from one to the next, as in every list of tabs
  const tablist = make("div", { class: "pnb-tabs", role: "tablist", "aria-label": "What is shown" });
  const panel = make("div", { class: "pnb-tab-panel", id: `${id}-panel`, role: "tabpanel" });
  tablist.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const tabs = [...tablist.children].filter((tab) => tab.getAttribute("aria-disabled") !== "true");
    const at = tabs.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    const next = /** @type {HTMLElement} */ (tabs[(to + tabs.length) % tabs.length]);
    next.focus();
    set("tab", next.dataset.tab);
  }, { signal });
  // A list of tabs that is the same is left alone, so that the one in focus stays there.
  let listed = "";
  follow(["tabs"], () => {
    if (listed === (listed = JSON.stringify(model.get("tabs")))) return;
    tablist.replaceChildren(...model.get("tabs").map((/** @type {Entry} */ t) => {
      const tab = make("button", { type: "button", role: "tab", id: `${id}-tab-${t.id}`, "data-tab": t.id,
        "aria-controls": panel.id, click: () => t.lacks || set("tab", t.id) }, t.label);
      if (t.lacks) {
        tab.setAttribute("aria-disabled", "true");
        tab.title = t.lacks;
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
  });

  // What is shown, what is under way, and what there is to say
  const chart = make("div", { class: "pnb-slot" });
  const grid = make("div", { class: "pnb-slot" });
  const told = make("p", { class: "pnb-status", role: "status", "aria-live": "polite" });
  const bar = make("progress", { "aria-label": "Questions answered", max: "1" });
  const cancel = make("button", { type: "button", click: () => model.send({ do: "cancel" }) }, "Cancel");
  const again = make("button", { type: "button", click: () => model.send({ do: "again" }) }, "Try again");
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
    if (hadFocus && (again.hidden || document.activeElement !== again)) (again.hidden ? b.select : again).focus({ preventScroll: true });
  });
  follow(["drawn"], () => {
    chart.hidden = model.get("drawn") !== "chart";
    grid.hidden = model.get("drawn") !== "grid";
  });
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
    for (const file of files) file.disabled = model.get("drawn") === "nothing";
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

  const controls = make("form", { class: "pnb-controls", "aria-label": "Choices", submit: (/** @type {Event} */ e) => e.preventDefault() },
    a.box, b.box, question.box, by.box, group.box, answer.box, distance.box);
  panel.append(chart, grid, status, list);
  const result = make("div", { class: "pnb-result" }, tablist, panel, tools, codeBox);
  const whole = make("section", { class: "pnb-explorer pnb-browser pnb-compare" }, make("div", { class: "pnb-panel" }, controls, result));
  follow(["title"], () => whole.setAttribute("aria-label", `Two sources compared: ${model.get("title")}`));
  el.replaceChildren(whole);

  const manager = model.widget_manager;
  const children = await Promise.all([["view", chart], ["grid", grid]].map(async ([name, slot]) => {
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
