// The panel: native controls on the left, the chart and what it says on the right.
import { entriesOf, fill, findingsList, frame, hintedField, make, notesBox, ownId, populationField } from "../parts/index.js";

/**
 * @typedef {{id: string, label: string, facts: string, name?: string, problem?: string}} Entry
 * @typedef {{key: string, label: string, kind: string, asked_of: string, battery: string}} Question
 * @typedef {{text: string, tokens: number[], pieces: string[]}} Reply
 */

const A_PATH = "\u0000path";
const MODES = [["auto", "As the model is made for"], ["completion", "Completion (plain text)"], ["chat", "Chat (its own template)"]];
const EXAMPLES = [["auto", "As the model's card says"], ["0", "None"], ["1", "1"], ["2", "2"], ["3", "3"]];
const KINDS = { nominal: "options without an order", ordinal: "options in order", numeric: "numbers" };

/** A line that opens below a select for a path. */
function pathLine(id, label, example, onOpen) {
  const input = make("input", { id, type: "text", spellcheck: "false", autocomplete: "off", placeholder: example });
  const open = () => {
    if (input.value.trim()) onOpen(input.value.trim());
  };
  input.addEventListener("keydown", (event) => event.key === "Enter" && (event.preventDefault(), open()));
  const box = make("div", { class: "pnb-path" },
    make("label", { for: id }, label), make("div", {}, input, make("button", { type: "button", click: open }, "Open")));
  box.hidden = true;
  return { box, input };
}

/** Show white space in a token: a space as ␣, a line break as ⏎. */
function visible(piece) {
  return piece.replaceAll(" ", "␣").replaceAll("\n", "⏎").replaceAll("\t", "⇥") || "∅";
}

/** @param {{model: any, el: HTMLElement}} context */
async function render({ model, el }) {
  const id = ownId();
  const panel = frame(model, el);
  const { follow, set } = panel;

  // Which model and which survey
  const modelPath = pathLine(`${id}-model-path`, "Path of a GGUF file", "~/models/model.gguf", (path) => set("model", path));
  const modelPicker = hintedField(`${id}-model`, "Model", (value) => {
    modelPath.box.hidden = value !== A_PATH;
    if (value === A_PATH) modelPath.input.select();
    else set("model", value);
  });
  const surveyPath = pathLine(`${id}-survey-path`, "Path of a survey file", "survey.sav, .dta, .csv or .parquet", (path) => set("survey", path));
  const surveyPicker = hintedField(`${id}-survey`, "Survey", (value) => {
    surveyPath.box.hidden = value !== A_PATH;
    if (value === A_PATH) surveyPath.input.select();
    else set("survey", value);
  });
  const questionPicker = hintedField(`${id}-question`, "Question", (value) => set("question", value));

  follow(["models", "model"], () => {
    /** @type {Entry[]} */
    const entries = model.get("models");
    const chosen = model.get("model");
    const options = entries.map((e) => ({
      id: e.id, label: `${e.label}${e.facts ? ` · ${e.facts}` : ""}${e.problem ? ` — ${e.problem}` : ""}`, disabled: Boolean(e.problem) }));
    if (!entries.some((e) => e.id === chosen)) {
      const label = chosen ? chosen.split(/[\\/]/).pop() : "Looking for models…";
      options.unshift({ id: chosen, label, disabled: !chosen });
    }
    const asking = modelPicker.select.value === A_PATH && document.activeElement === modelPath.input;
    fill(modelPicker.select, [...options, { id: A_PATH, label: "A path…" }], chosen);
    if (!asking || chosen === modelPath.input.value) modelPath.box.hidden = true;
    modelPicker.hint.textContent = entries.find((e) => e.id === chosen)?.facts ?? "";
    modelPicker.hint.title = modelPicker.select.title = chosen;
  });
  follow(["surveys", "survey"], () => {
    /** @type {Entry[]} */
    const entries = model.get("surveys");
    const options = entries.map((e) => ({ id: e.id, label: e.label }));
    surveyPicker.hint.textContent = entries.find((e) => e.id === model.get("survey"))?.facts ?? "";
    fill(surveyPicker.select, [...options, { id: A_PATH, label: "A path…" }], model.get("survey"));
    surveyPath.box.hidden = true;
  });
  follow(["questions", "question"], () => {
    /** @type {Question[]} */
    const questions = model.get("questions");
    fill(questionPicker.select, questions.map((q) => ({ id: q.key, label: q.label })), model.get("question"));
    const chosen = questions.find((q) => q.key === model.get("question"));
    const facts = chosen ? [`${chosen.kind}: ${KINDS[chosen.kind]}`] : [];
    if (chosen?.battery) facts.push(`part of ${chosen.battery}`);
    if (chosen?.asked_of) facts.push(`asked of ${chosen.asked_of}`);
    const text = facts.join("; ");
    questionPicker.hint.textContent = text && text[0].toUpperCase() + text.slice(1);
  });

  // Which people
  const people = populationField(model, panel, id, "none declared: see About this survey");

  // Who the model speaks as, and how it is asked
  const voices = [["itself", "Itself"], ["population", "This population"]].map(([value, label]) => {
    const radio = make("input", { type: "radio", name: `${id}-voice`, id: `${id}-as-${value}`, value, change: () => set("speaks", value) });
    return { radio, line: make("div", { class: "pnb-check" }, radio, make("label", { for: radio.id }, label)) };
  });
  const voice = make("blockquote", { class: "pnb-voice" });
  const voiceHint = make("p", { class: "pnb-hint" });
  const asks = make("fieldset", {}, make("legend", {}, "The model speaks as"),
    make("div", { class: "pnb-radios", role: "radiogroup", "aria-label": "The model speaks as" }, ...voices.map((v) => v.line)), voice, voiceHint);
  follow(["speaks", "voice"], () => {
    for (const { radio } of voices) radio.checked = radio.value === model.get("speaks");
    const { text = "", left_out: leftOut = [] } = model.get("voice") ?? {};
    const told = model.get("speaks") === "population";
    voice.textContent = text;
    voice.hidden = !text;
    voiceHint.textContent = !told ? "" : [
      text ? "It is told exactly this." : "There is nothing to tell it: pick one level of a trait.",
      leftOut.length ? `Not said, because several levels are picked: ${leftOut.join(", ")}.` : "",
    ].join(" ").trim();
  });
  const modePicker = hintedField(`${id}-mode`, "Mode", (value) => set("mode", value));
  const examplesPicker = hintedField(`${id}-examples`, "Examples before the question", (value) => set("examples", value));
  follow(["mode"], () => fill(modePicker.select, entriesOf(MODES), model.get("mode")));
  follow(["examples"], () => fill(examplesPicker.select, entriesOf(EXAMPLES), model.get("examples")));
  const how = make("details", { class: "pnb-how" }, make("summary", {}, "How it is asked"), modePicker.box, examplesPicker.box);

  // The chart, and what there is to say about it
  const chart = make("div", { class: "pnb-slot" });
  const told = make("p", { class: "pnb-status", role: "status", "aria-live": "polite" });
  const bar = make("progress", { "aria-label": "Prompts answered", max: "1" });
  const cancel = make("button", { type: "button", click: () => model.send({ do: "cancel" }) }, "Cancel");
  const again = make("button", { type: "button", click: () => model.send({ do: "again" }) }, "Try again");
  const status = make("div", { class: "pnb-state" }, told, bar, cancel, again);
  follow(["status"], () => {
    const { kind, text, done = 0, total = 0, blank = false } = model.get("status");
    told.textContent = text;
    status.dataset.kind = kind;
    bar.hidden = kind !== "working";
    if (total > 1) bar.value = done / total;
    else bar.removeAttribute("value");
    const hadFocus = document.activeElement === cancel || document.activeElement === again;
    cancel.hidden = kind !== "working";
    again.hidden = kind !== "error" && kind !== "stopped";
    // A button that disappears under the focus would drop the keyboard user at the top of the page.
    if (hadFocus && cancel.hidden && again.hidden) modelPicker.select.focus({ preventScroll: true });
    else if (hadFocus && cancel.hidden) again.focus({ preventScroll: true });
    chart.hidden = Boolean(blank);
  });
  const list = findingsList(model, follow);
  const notes = notesBox(model, follow);
  const about = make("details", {}, make("summary", {}, "About this survey"), notes);

  const prompts = make("div", { class: "pnb-seen" });
  const sees = make("details", { toggle: () => showPrompts() }, make("summary", {}, "What did the model see, exactly?"), prompts);
  let which = 0;
  const showPrompts = () => {
    if (!sees.open) return;
    const { mode, replies = [] } = model.get("seen") ?? {};
    if (!replies.length) {
      prompts.replaceChildren(make("p", { class: "pnb-hint" }, "Nothing yet."));
      return;
    }
    which = Math.min(which, replies.length - 1);
    /** @type {Reply} */
    const reply = replies[which];
    const parts = [];
    if (replies.length > 1) {
      const select = make("select", { id: `${id}-prompt`, change: () => ((which = Number(select.value)), showPrompts(), prompts.querySelector("select")?.focus()) },
        ...replies.map((/** @type {Reply} */ _, /** @type {number} */ i) => make("option", { value: String(i), selected: i === which }, `${i + 1} of ${replies.length}`)));
      parts.push(make("div", { class: "pnb-inline" }, make("label", { for: select.id }, "Prompt"), select,
        make("span", { class: "pnb-hint" }, "The examples carry other letters each time; the bars are the mean.")));
    }
    parts.push(make("p", { class: "pnb-hint" }, `Mode: ${mode}. The text below was sent as it stands; the next token was read.`),
      make("pre", { tabindex: "0", "aria-label": "The exact prompt" }, reply.text),
      make("p", { class: "pnb-hint" }, `As the model reads it, in ${reply.tokens.length} tokens (with their numbers):`),
      make("ol", { class: "pnb-tokens", tabindex: "0", "aria-label": "Tokens" }, ...reply.tokens.map((token, i) =>
        make("li", {}, make("span", {}, visible(reply.pieces[i] ?? "")), make("small", {}, String(token))))));
    prompts.replaceChildren(...parts);
  };
  follow(["seen"], () => {
    sees.hidden = !model.get("seen")?.replies?.length;
    showPrompts();
  });

  // What code in the notebook changes ends in one of these.
  follow(["status", "findings", "count"], panel.below.renew);

  const controls = make("form", { class: "pnb-controls", "aria-label": "Choices", submit: (/** @type {Event} */ e) => e.preventDefault() },
    modelPicker.box, modelPath.box, surveyPicker.box, surveyPath.box, questionPicker.box, people, asks, how);
  const result = make("div", { class: "pnb-result" }, chart, status, list, make("div", { class: "pnb-more-box" }, sees, about), panel.below.box);
  el.replaceChildren(make("section", { class: "pnb-explorer", "aria-label": "A model against people" },
    make("div", { class: "pnb-panel" }, controls, result)));

  await panel.show({ view: chart });
  return panel.leave;
}

export default { render };
