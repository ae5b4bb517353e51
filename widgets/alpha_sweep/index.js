// The slider over α: all that it shows comes from a table that is there already, so nothing is asked while it moves.
import { digits, follower, guardKeys, joined, make, number, ownId, percent, table, tools } from "../parts/index.js";

/**
 * @typedef {{at: (number | null)[], score: (number | null)[][], low: (number | null)[][], high: (number | null)[][],
 *   probability: (number | null)[][], rank: number[][], ranked_by?: string[]}} Grid
 * @typedef {{at: number, alpha: number | null, before: string[], after: string[], gain: number, lose: number, same: number}} Switch
 * @typedef {{trait: string, names: string[], n: number[], share: number[], welfare: (number | null)[][],
 *   own: (number | null)[][], choice: (string | null)[][], last: (number | null)[][]}} Groups
 * @typedef {{error: string, candidates: string[], scale: string, lowest: number, highest: number, rated: number[], alpha: Grid,
 *   tau: Grid, switches: Switch[], first: string[], groups: Groups | null, dots: number[][], notes: string[]}} Tables
 */

const SCALES = {
  none: ["As rated", "the jurors' own numbers"],
  range: ["Range", "each juror's worst and best are put on one range"],
  rank: ["Rank", "only the order of each juror's ratings counts"],
  z: ["z", "less the juror's mean, over their standard deviation"],
};
const NAMED = new Map([[0, "utilitarian"], [1, "Nash"], [Infinity, "Rawlsian"]]);
const TICKS = [0, 0.25, 0.5, 1, 2, 4, Infinity];
const MEANING = {
  utilitarian: "the mean rating decides",
  Nash: "the geometric mean decides",
  Rawlsian: "the worst-off juror decides",
};
const ROW = 38;
const MOST_ROWS = 60;

const alphaOf = (/** @type {number | null} */ value) => (value === null ? Infinity : value);
const placeOf = (/** @type {number} */ alpha) => (alpha === Infinity ? 1 : alpha / (1 + alpha));
const written = (/** @type {number} */ alpha) => (alpha === Infinity ? "∞" : number(alpha));
const share = (/** @type {number} */ value) => `${(100 * value).toFixed(3)}%`;

/** @param {{model: any, el: HTMLElement}} context */
function render({ model, el }) {
  const id = ownId();
  const { follow, leave } = follower(model);
  const free = guardKeys(el);
  const set = (/** @type {string} */ name, /** @type {any} */ value) => {
    model.set(name, value);
    model.save_changes();
  };
  /** @returns {Tables | undefined} */
  const tables = () => model.get("tables")[model.get("scaling")];
  const usable = () => tables() && !tables().error;
  const welfare = () => model.get("rule") === "welfare";
  const grid = () => (welfare() ? tables().alpha : tables().tau);
  // What the slider shows right now; the kernel hears of it on release.
  let place = 0;
  let held = false;

  // Which rule, which scale
  const radios = (/** @type {string} */ trait, /** @type {string} */ legend, /** @type {[string, string, string][]} */ entries) => {
    const boxes = entries.map(([value, label, title]) => {
      const input = make("input", { type: "radio", name: `${id}-${trait}`, id: `${id}-${trait}-${value}`, value, change: () => set(trait, value) });
      const more = make("span", { class: "pnb-hint" });
      return { value, input, more, line: make("div", { class: "pnb-check", title },
        input, make("label", { for: input.id }, label, more)) };
    });
    return { boxes, box: make("fieldset", { class: "pnb-choice" }, make("legend", {}, legend), make("div", { class: "pnb-radios" }, ...boxes.map((b) => b.line))) };
  };
  const rule = radios("rule", "Compare by", [
    ["welfare", "Welfare w(α)", "from the mean to the minimum of the ratings"],
    ["approval", "Approval above τ", "the share of the jury whose rating is higher than τ (MAX-SAT)"],
  ]);
  const scale = radios("scaling", "Scale of the ratings", Object.entries(SCALES).map(([name, [label, title]]) => [name, label, title]));
  const by = make("select", { id: `${id}-by`, change: () => set("by", by.value) });
  const byBox = make("div", { class: "pnb-field pnb-inline" }, make("label", { for: by.id }, "Groups of jurors by"), by);

  // The slider, who wins along it, and where that changes
  const caption = make("label", { for: `${id}-slider`, class: "pnb-slider-label" });
  const shown = make("output", { for: `${id}-slider`, class: "pnb-at" });
  const ribbon = make("div", { class: "pnb-ribbon", "aria-hidden": "true" });
  const axis = make("div", { class: "pnb-slider-axis", "aria-hidden": "true" });
  const slider = make("input", { type: "range", id: `${id}-slider`, min: "0", step: "1", class: "pnb-range",
    input: () => move(Number(slider.value)), change: () => held || release(),
    // Every press of a key is a change of its own: it is told when the key is let go, not while it repeats.
    keydown: () => (held = true), keyup: () => letGo(), blur: () => letGo() });
  const headline = make("p", { class: "pnb-headline" });
  const detail = make("p", { class: "pnb-hint" });

  // The candidates, the jury as dots, the groups
  const chart = make("div", { class: "pnb-bars", role: "img" });
  const lines = make("div", { class: "pnb-lines" });
  const numbers = make("div", { class: "pnb-plot-axis", "aria-hidden": "true" });
  const heads = make("div", { class: "pnb-line pnb-heads", "aria-hidden": "true" });
  const dots = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  dots.setAttribute("class", "pnb-dots");
  dots.setAttribute("aria-hidden", "true");
  const rule0 = make("div", { class: "pnb-mark", "aria-hidden": "true" });
  const dotAxis = make("div", { class: "pnb-plot-axis", "aria-hidden": "true" });
  const whose = make("p", { class: "pnb-dots-name" });
  const per = make("p", { class: "pnb-hint" });
  const pick = make("select", { id: `${id}-dots`, change: () => draw() });
  const jury = make("div", { class: "pnb-line pnb-jury" }, make("div", { class: "pnb-jury-words" },
    make("label", { for: pick.id }, "The jury's ratings of"), pick, per), make("div", { class: "pnb-dot-box" }, dots, rule0, whose),
    make("div", { class: "pnb-dot-axis" }, dotAxis));
  const groups = make("div", { class: "pnb-groups" });
  const switching = make("div", { class: "pnb-switches" });
  const rows = make("details", {}, make("summary", {}, "The same as a table"));
  const rowsBox = make("div");
  rows.append(rowsBox);
  rows.addEventListener("toggle", () => tabulate());
  const notes = make("ul", { class: "pnb-notes" });
  const noteBox = make("details", {}, make("summary", {}, "What to know of this jury"), notes);
  const told = make("p", { class: "pnb-status", role: "status", "aria-live": "polite" });
  const state = make("div", { class: "pnb-state" }, told);
  const below = tools(model);
  const result = make("div", {}, make("div", { class: "pnb-slide" }, make("div", { class: "pnb-slide-head" }, caption, shown), ribbon, slider, axis),
    headline, detail, chart, jury, groups, switching, make("div", { class: "pnb-more-box" }, rows, noteBox));

  /** @type {{line: HTMLElement, rank: HTMLElement, bar: HTMLElement, low: HTMLElement, value: HTMLElement, sure: HTMLElement}[]} */
  let bars = [];
  /** @type {typeof bars} */
  let groupBars = [];
  let top = 1;

  const names = () => tables().candidates;
  const winners = (/** @type {number} */ at) => names().filter((_, c) => grid().rank[at][c] === 1);
  const alpha = (/** @type {number} */ at) => alphaOf(tables().alpha.at[at]);
  const chosen = () => {
    const picked = names().indexOf(pick.value);
    return picked >= 0 ? picked : Math.max(0, grid().rank[place].indexOf(1));
  };

  /** One line of bars: the rank, the name, the bar with its interval, the number and a word more. */
  const line = (/** @type {string} */ name, /** @type {string} */ title) => {
    const rank = make("span", { class: "pnb-rank" });
    const bar = make("div", { class: "pnb-bar" });
    const low = make("div", { class: "pnb-whisker" });
    const value = make("span", { class: "pnb-value" });
    const sure = make("span", { class: "pnb-sure" });
    const whole = make("div", { class: "pnb-line" }, rank, make("span", { class: "pnb-name", title }, name), make("div", { class: "pnb-track" }, bar, low), value, sure);
    return { line: whole, rank, bar, low, value, sure };
  };

  /** Build what does not depend on the slider's place. */
  const build = () => {
    result.hidden = !usable();
    if (!usable()) return;
    const now = tables();
    top = welfare() ? now.highest || 1 : 1;
    slider.max = String(grid().at.length - 1);
    slider.disabled = grid().at.length < 2;
    caption.textContent = welfare() ? "α: how much the worse off count" : "τ: the rating that is enough";
    const middle = [];
    if (welfare()) {
      for (const tick of TICKS) middle.push([placeOf(tick), written(tick), NAMED.get(tick) ?? ""]);
    } else {
      const steps = Math.min(4, grid().at.length - 1) || 1;
      for (let i = 0; i <= steps; i++) {
        const at = Math.round((i / steps) * (grid().at.length - 1));
        middle.push([i / steps, number(grid().at[at]), ""]);
      }
    }
    axis.replaceChildren(...middle.map(([at, text, name]) => make("span", { style: `left:${share(Number(at))}` }, text, make("small", {}, name))));
    segments();
    numbers.replaceChildren(...[0, 0.25, 0.5, 0.75, 1].map((at) => make("span", { style: `left:${share(at)}` }, welfare() ? number(top * at) : percent(at))));
    dotAxis.replaceChildren(...[0, 0.25, 0.5, 0.75, 1].map((at) => make("span", { style: `left:${share(at)}` }, number((now.highest || 1) * at))));
    const some = grid().low.some((row) => row.some((v) => v !== null));
    heads.replaceChildren(make("span", {}, ""), make("span", {}, "Candidate"), make("span", {}, welfare() ? `Welfare, in the units of the ratings (${now.scale})` : "Share of the jury that approves"),
      make("span", {}, ""), make("span", {}, some ? "wins in" : ""));
    heads.title = some ? "Share of resampled juries in which the candidate wins; the line on a bar is the 95% interval" : "";
    bars = names().slice(0, MOST_ROWS).map((name, c) => line(name, `${name}, rated by ${now.rated[c].toLocaleString("en")}`));
    lines.style.height = `${bars.length * ROW}px`;
    lines.replaceChildren(...bars.map((b) => b.line));
    chart.replaceChildren(heads, lines, make("div", { class: "pnb-line pnb-axis-line" }, make("span"), make("span"), numbers));
    const before = pick.value;
    pick.replaceChildren(make("option", { value: "" }, "the winner"), ...names().map((n) => make("option", { value: n }, n)));
    pick.value = names().includes(before) ? before : "";
    const one = now.dots[0]?.length ?? 0;
    per.textContent = Math.max(...now.rated) > 100 || one === 100 ? `Each dot is 1% of the jury's weight (${model.get("jury")}).` : "Each dot is a juror.";
    // Groups
    const found = now.groups;
    groups.hidden = !(found && welfare());
    if (found) {
      groupBars = found.names.map((name, g) => line(name, `${name}: ${found.n[g].toLocaleString("en")} jurors, ${percent(found.share[g])} of the jury`));
      const box = make("div", { class: "pnb-lines", style: `height:${groupBars.length * ROW}px` }, ...groupBars.map((b) => b.line));
      groups.replaceChildren(make("h3", {}, "What the winner means to each group"),
        make("div", { class: "pnb-line pnb-heads", "aria-hidden": "true" }, make("span"), make("span", {}, found.trait), make("span", {}, "The group's own w(α) of the winner, worst off first"), make("span"), make("span", {}, "would choose")), box);
    }
    switchTable();
    notes.replaceChildren(...now.notes.map((n) => make("li", {}, n)));
    noteBox.hidden = !now.notes.length;
    drawnFor = "";
  };

  /** The ribbon above the slider: who wins where, with a line at every switch. */
  const segments = () => {
    const now = tables();
    /** @type {[number, string][]} */
    const starts = [];
    if (welfare()) {
      starts.push([0, joined(now.first)], ...now.switches.map((s) => /** @type {[number, string]} */ ([s.at, joined(s.after)])));
    } else {
      const last = grid().at.length - 1 || 1;
      grid().at.forEach((_, t) => {
        const name = joined(winners(t).length > 2 ? [`${winners(t).length} level`] : winners(t));
        if (!t || name !== starts[starts.length - 1][1]) starts.push([t ? (t - 0.5) / last : 0, name]);
      });
    }
    ribbon.replaceChildren(...starts.map(([from, name], i) => {
      const to = starts[i + 1]?.[0] ?? 1;
      return make("div", { class: `pnb-reign${i % 2 ? " pnb-odd" : ""}`, title: name, style: `left:${share(from)};width:${share(to - from)}` },
        make("span", {}, to - from > 0.06 ? name : ""));
    }));
  };

  const switchTable = () => {
    const now = tables();
    const alone = Boolean(model.get("standalone"));
    switching.hidden = !welfare();
    if (!now.switches.length) {
      switching.replaceChildren(make("p", {}, `${joined(now.first)} ${now.first.length > 1 ? "are level" : "wins"} at every α from 0 to ∞ on this scale.`));
      return;
    }
    const body = now.switches.map((s) => [
      make("button", { type: "button", class: "pnb-jump", "aria-label": `Move the slider to α = ${written(alphaOf(s.alpha))}`, click: () => {
        const to = now.alpha.at.findIndex((v) => placeOf(alphaOf(v)) > s.at + 1e-9);
        move(to < 0 ? now.alpha.at.length - 1 : to);
        release();
        slider.focus();
      } }, written(alphaOf(s.alpha))),
      joined(s.before), joined(s.after), percent(s.gain), percent(s.lose), percent(s.same)]);
    switching.replaceChildren(table("Where the winner changes: who gains and who loses by it", ["at α", "before", "after", "gain", "lose", "no difference"], body, ["", "", "", "number", "number", "number"]));
    if (alone) switching.querySelector(".pnb-table-box")?.removeAttribute("tabindex");
  };

  let drawnFor = "";
  /** The dots of one candidate; they change only with the candidate, or with τ, which fills those above it. */
  const drawDots = () => {
    const c = chosen();
    const values = tables().dots[c];
    const tau = welfare() ? -Infinity : Number(grid().at[place]);
    const of = tables().highest || 1;
    const key = `${model.get("scaling")} ${model.get("rule")} ${c} ${tau}`;
    if (key !== drawnFor) {
      drawnFor = key;
      const bins = 72;
      /** @type {number[]} */
      const piled = new Array(bins + 1).fill(0);
      const spots = values.map((v) => {
        const bin = Math.round((Math.max(0, v) / of) * bins);
        return { v, bin, level: piled[bin]++ };
      });
      const step = Math.min(7, 112 / Math.max(...piled, 1));
      dots.replaceChildren(...spots.map(({ v, bin, level }) => {
        const dot = document.createElementNS("http://www.w3.org/2000/svg", "circle");
        dot.setAttribute("cx", share(bin / bins));
        dot.setAttribute("cy", String(116 - 4 - level * step));
        dot.setAttribute("r", "3.1");
        dot.setAttribute("class", v > tau ? "pnb-dot" : "pnb-dot pnb-hollow");
        return dot;
      }));
    }
    const at = welfare() ? grid().score[place][c] : tau;
    rule0.style.left = share(Math.max(0, Math.min(1, Number(at) / of)));
    rule0.hidden = at === null;
    whose.style.left = rule0.style.left;
    whose.classList.toggle("pnb-left", Number(at) / of > 0.6);
    whose.textContent = welfare() ? `w = ${digits(at)}` : `τ = ${number(tau)}`;
  };

  const put = (/** @type {typeof bars[0]} */ bar, /** @type {number} */ order, /** @type {number | null} */ score, /** @type {number} */ of) => {
    bar.line.style.transform = `translateY(${order * ROW}px)`;
    bar.bar.style.width = share(score === null ? 0 : Math.max(0, Math.min(1, score / of)));
  };

  /** Show the table's row at the slider's place. */
  const draw = () => {
    if (!usable()) return;
    const now = tables();
    const here = grid();
    const at = place;
    const rank = here.rank[at];
    const order = bars.map((_, c) => c).sort((a, b) => (rank[a] || 1e9) - (rank[b] || 1e9) || a - b);
    const single = names().length === 1;
    order.forEach((c, i) => {
      const bar = bars[c];
      const score = here.score[at][c];
      put(bar, i, score, top);
      bar.line.classList.toggle("pnb-won", rank[c] === 1);
      bar.rank.textContent = rank[c] ? String(rank[c]) : "–";
      bar.value.textContent = welfare() ? digits(score) : percent(score);
      const [low, high] = [here.low[at][c], here.high[at][c]];
      bar.low.hidden = low === null;
      if (low !== null) {
        bar.low.style.left = share(low / top);
        bar.low.style.width = share(Math.max(0, (high - low) / top));
      }
      const sure = here.probability[at][c];
      bar.sure.textContent = score === null ? "not rated" : sure === null ? "" : percent(sure);
    });
    const won = winners(at);
    const value = welfare() ? alpha(at) : Number(here.at[at]);
    const symbol = welfare() ? "α" : "τ";
    const known = welfare() ? NAMED.get(value) : undefined;
    shown.textContent = `${symbol} = ${written(value)}${known ? ` (${known})` : ""}`;
    const level = won.length > 1;
    const victory = single ? `${won[0]} is the only candidate` : won.length > 3 ? `${won.length} candidates are level` : `${joined(won)} ${level ? "are level" : "wins"}`;
    slider.setAttribute("aria-valuetext", `${symbol} = ${written(value)}${known ? `, ${known}` : ""}: ${victory}`);
    headline.textContent = `${victory}.`;
    const said = [];
    if (known) said.push(`${known[0].toUpperCase()}${known.slice(1)}: ${MEANING[known]}.`);
    const sure = won.length === 1 && !single ? here.probability[at][names().indexOf(won[0])] : null;
    if (sure !== null && sure !== undefined) said.push(`${percent(sure)} of resampled juries agree.`);
    const decided = welfare() ? now.alpha.ranked_by?.[at] : "";
    if (decided === "leximin" && !single) said.push("Equal minima are told apart by leximin; no interval, a minimum speaks of these jurors only.");
    if (decided === "fewest zeros") said.push("A zero makes welfare 0 from α = 1 on: the fewest jurors at zero decide, then the rest.");
    // The worst-off group under the winner
    const found = now.groups;
    if (found && welfare()) {
      const got = found.welfare[at];
      const sorted = found.names.map((_, g) => g).sort((a, b) => (got[a] ?? Infinity) - (got[b] ?? Infinity) || a - b);
      const least = got[sorted[0]];
      const worst = sorted.filter((g) => got[g] !== null && got[g] <= least * (1 + 1e-9));
      sorted.forEach((g, i) => {
        const bar = groupBars[g];
        put(bar, i, got[g], top);
        const last = worst.includes(g) && worst.length < sorted.length;
        bar.line.classList.toggle("pnb-won", last);
        bar.rank.textContent = last ? "▼" : "";
        bar.rank.title = last ? "worst off" : "";
        bar.value.textContent = digits(got[g]);
        bar.low.hidden = true;
        const own = found.choice[at][g];
        bar.sure.textContent = own === null ? "–" : level || own !== won[0] ? own : "the same";
        bar.sure.title = own ?? "";
      });
      if (least !== null && least !== undefined && worst.length < sorted.length) said.push(`Worst off: ${joined(worst.map((g) => found.names[g]))} (${digits(least)}).`);
    }
    detail.textContent = said.join(" ");
    for (const b of scale.boxes) b.more.textContent = winnerOn(b.value);
    drawDots();
  };

  /** Who wins on another scale at the same place. */
  const winnerOn = (/** @type {string} */ name) => {
    const other = model.get("tables")[name];
    if (!other) return "being made…";
    if (other.error) return "cannot be told";
    if (!welfare()) return "";
    const best = other.candidates.filter((_, c) => other.alpha.rank[place][c] === 1);
    return best.length > 2 ? `${best.length} level` : joined(best);
  };

  /** The picture in words, and its rows as a table; made when the slider rests. */
  const settle = () => {
    if (!usable()) return;
    chart.setAttribute("aria-label", `${shown.textContent}. ${headline.textContent} ${detail.textContent}`);
    tabulate();
  };
  const tabulate = () => {
    if (!usable() || !rows.open) return;
    const here = grid();
    const order = names().map((_, c) => c).sort((a, b) => (here.rank[place][a] || 1e9) - (here.rank[place][b] || 1e9));
    const word = welfare() ? digits : percent;
    rowsBox.replaceChildren(table(shown.textContent, ["Candidate", "Rank", welfare() ? "Welfare" : "Approve", "From", "to", "Wins in", "Rated by"],
      order.map((c) => [names()[c], here.rank[place][c] || "–", word(here.score[place][c]), word(here.low[place][c]), word(here.high[place][c]), percent(here.probability[place][c]), tables().rated[c].toLocaleString("en")]),
      ["", "number", "number", "number", "number", "number", "number"]));
  };

  /** Move while the finger or the key is down: only what is on the page changes. */
  const move = (/** @type {number} */ to) => {
    place = Math.max(0, Math.min(Number(slider.max), to));
    if (Number(slider.value) !== place) slider.value = String(place);
    draw();
  };
  const release = () => {
    settle();
    const [name, value] = welfare() ? ["place", place] : ["tau", grid().at[place]];
    if (model.get(name) !== value) set(name, value);
  };
  const letGo = () => {
    if (held && usable()) release();
    held = false;
  };
  /** Take the place from the model. */
  const take = () => {
    if (!usable()) return;
    const to = welfare() ? model.get("place") : nearest(tables().tau.at, model.get("tau"));
    move(to);
    settle();
  };

  follow(["tables", "scaling", "rule"], () => {
    for (const b of [...rule.boxes, ...scale.boxes]) b.input.checked = b.value === model.get(b.input.name.slice(id.length + 1));
    for (const b of scale.boxes) b.input.disabled = !model.get("tables")[b.value];
    const now = tables();
    const { kind, text } = now?.error ? { kind: "error", text: now.error } : model.get("status");
    told.textContent = text;
    state.dataset.kind = kind;
    state.hidden = !text;
    if (!usable()) for (const b of scale.boxes) b.more.textContent = winnerOn(b.value);
    build();
    take();
  });
  follow(["place", "tau"], () => {
    // What comes back of the page's own moving must not pull the slider from under the finger.
    if (usable() && document.activeElement !== slider) take();
  });
  follow(["status"], () => {
    const { kind, text } = tables()?.error ? { kind: "error", text: tables().error } : model.get("status");
    told.textContent = text;
    state.dataset.kind = kind;
    state.hidden = !text;
  });
  follow(["traits_of_jury", "by"], () => {
    const all = model.get("traits_of_jury");
    byBox.hidden = all.length < 2 || Boolean(model.get("standalone"));
    by.replaceChildren(make("option", { value: "" }, "none"), ...all.map((/** @type {string} */ t) => make("option", { value: t }, t)));
    by.value = model.get("by");
  });
  follow(["code_text"], below.renew);

  const heading = make("h2", { class: "pnb-heading" });
  const whole = make("section", { class: "pnb-explorer pnb-sweep" }, heading,
    make("form", { class: "pnb-choices", "aria-label": "Choices", submit: (/** @type {Event} */ e) => e.preventDefault() }, rule.box, scale.box, byBox), state, result, below.box);
  follow(["title"], () => {
    heading.textContent = model.get("title");
    heading.hidden = Boolean(model.get("standalone"));
    whole.setAttribute("aria-label", model.get("title"));
  });
  el.replaceChildren(whole);
  return () => {
    leave();
    below.leave();
    free();
  };
}

/** The place of the number nearest to one that is looked for. */
function nearest(/** @type {(number | null)[]} */ numbers, /** @type {number} */ wanted) {
  let best = 0;
  numbers.forEach((v, i) => {
    if (Math.abs(Number(v) - wanted) < Math.abs(Number(numbers[best]) - wanted)) best = i;
  });
  return best;
}

export default { render };
