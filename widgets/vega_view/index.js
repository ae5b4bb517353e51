// One chart that stays: Vega draws it once, and from then on only its rows change.

/**
 * @typedef {{mark: string, name: string, whisker: string, muted: boolean}} Key
 * @typedef {{title: string, subtitle: string, summary: string, keys: Key[], notes: string[], columns: [string, string][]}} Words
 */

const FIRST_WAIT = 1500;
const LONGEST_WAIT = 30000;

/** What the widgets of plural_nb share on a page; the runtime widget puts Vega there. */
function page() {
  return (globalThis[Symbol.for("plural_nb.page")] ??= { vega: new Map(), news: new EventTarget() });
}

/**
 * Wait for Vega, and ask the kernel for it again now and then: a restarted kernel, or one whose message was lost while
 * nobody looked, sends it anew.
 * @param {any} model
 * @param {AbortSignal} signal
 * @returns {Promise<any>}
 */
function whenVegaIsHere(model, signal) {
  return new Promise((resolve) => {
    let wait = FIRST_WAIT;
    /** @type {number | undefined} */
    let timer;
    const look = () => {
      const embed = page().vega.get(model.get("vega"));
      if (!embed) return false;
      clearTimeout(timer);
      page().news.removeEventListener("vega", look);
      resolve(embed);
      return true;
    };
    const ask = () => {
      if (look()) return;
      model.send({ ask: "runtime" });
      wait = Math.min(wait * 2, LONGEST_WAIT);
      timer = setTimeout(ask, wait);
    };
    if (look()) return;
    page().news.addEventListener("vega", look);
    timer = setTimeout(ask, wait);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      page().news.removeEventListener("vega", look);
    });
    // Some pages (exported HTML) make a model only when somebody wants it.
    const runtime = String(model.get("runtime") ?? "").replace("IPY_MODEL_", "");
    if (runtime) model.widget_manager?.get_model?.(runtime)?.catch?.(() => {});
  });
}

/**
 * @param {string} tag
 * @param {Record<string, string>} [attributes]
 * @param {...(Node | string)} children text is put in as text, never as markup
 */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** @param {Key} key */
function legendLine(key) {
  const swatch = make("span", { class: `pnb-swatch pnb-${key.mark}${key.muted ? " pnb-muted" : ""}`, "aria-hidden": "true" });
  const line = make("li", {}, swatch, make("span", { class: "pnb-name" }, key.name));
  if (key.whisker) line.append(make("span", { class: "pnb-whisker" }, key.whisker));
  return line;
}

/**
 * @param {Words} words
 * @param {Record<string, any>[]} rows
 */
function table(words, rows) {
  const head = words.columns.map(([, title]) => make("th", { scope: "col" }, title));
  const body = rows.map((row) => make("tr", {}, ...words.columns.map(([name]) => make("td", {}, String(row[name] ?? "")))));
  return make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body));
}

/** @param {{model: any, el: HTMLElement}} context */
function render({ model, el }) {
  const leaving = new AbortController();
  const { signal } = leaving;
  const title = make("h3", { class: "pnb-title" });
  const subtitle = make("p", { class: "pnb-subtitle" });
  const legend = make("ul", { class: "pnb-legend", "aria-label": "Legend" });
  const plot = make("div", { class: "pnb-plot", role: "img", tabindex: "0" });
  const notes = make("ul", { class: "pnb-notes" });
  const rowsAsTable = /** @type {HTMLDetailsElement} */ (make("details", { class: "pnb-table" }, make("summary", {}, "The same as a table")));
  const slot = make("div");
  rowsAsTable.append(slot);
  const figure = make("figure", { class: "pnb-chart" }, title, subtitle, legend, plot, notes, rowsAsTable);
  el.replaceChildren(figure);
  el.addEventListener("keydown", (event) => {
    if (!((event.ctrlKey || event.metaKey) && event.key === "s")) event.stopPropagation();
  }, { signal });

  /** @type {any} */
  let embed = null;
  /** @type {{view: any, finalize: () => void} | null} */
  let drawn = null;
  let drawnShape = "";
  let width = 0;
  let busy = false;
  let again = false;

  const showTable = () => {
    // A view may be on the page before there is anything to show.
    const words = model.get("words");
    if (rowsAsTable.open) slot.replaceChildren(...(words.columns ? [table(words, model.get("rows"))] : []));
  };
  const showWords = () => {
    /** @type {Words} */
    const words = model.get("words");
    title.textContent = words.title ?? "";
    subtitle.textContent = words.subtitle ?? "";
    legend.replaceChildren(...(words.keys ?? []).map(legendLine));
    notes.replaceChildren(...(words.notes ?? []).map((note) => make("li", {}, note)));
    plot.setAttribute("aria-label", words.summary ?? "");
    figure.setAttribute("aria-label", words.title ?? "");
    showTable();
  };

  /** Bring the picture up to date; what changes meanwhile is drawn right after, the newest only. */
  const draw = async () => {
    if (!embed || signal.aborted) return;
    const rows = model.get("rows");
    const available = Math.floor(plot.clientWidth);
    if (!rows.length || available < 40) {
      // Hidden: what changes meanwhile is drawn when there is a width again, even the same one.
      if (available < 40) width = 0;
      return;
    }
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    try {
      // Vega marks the rows it is given, and these are the model's own.
      const values = structuredClone(rows);
      if (drawn && drawnShape === model.get("shape")) {
        if (width !== available) drawn.view.width(available);
        width = available;
        await drawn.view.data("rows", values).runAsync();
      } else {
        drawnShape = model.get("shape");
        width = available;
        // Embedded with its rows: Vega would lay out no room for labels around empty data.
        const spec = { ...structuredClone(model.get("spec")), datasets: { rows: values }, width: available };
        const last = drawn;
        const canvas = make("div");
        plot.append(canvas);
        const options = { mode: "vega-lite", renderer: "svg", actions: false, ast: true, tooltip: false, logLevel: 1 };
        try {
          drawn = await embed(canvas, spec, options);
          // The plot itself is the image, with the summary as its name.
          canvas.querySelector("svg")?.setAttribute("aria-hidden", "true");
        } finally {
          last?.finalize();
          while (plot.firstChild && plot.firstChild !== canvas) plot.firstChild.remove();
        }
      }
      plot.dataset.drawn = String(Number(plot.dataset.drawn ?? 0) + 1);
    } catch (error) {
      drawn = null;
      drawnShape = "";
      plot.replaceChildren(make("p", { class: "pnb-quiet" }, `The chart could not be drawn (${error}). Its rows are below.`));
      rowsAsTable.open = true;
      console.error(error);
    } finally {
      busy = false;
      if (again) {
        again = false;
        draw();
      }
    }
  };

  // Rows and shape come in one message but as two events.
  let queued = false;
  const redraw = () => {
    if (queued) return;
    queued = true;
    queueMicrotask(() => {
      queued = false;
      showTable();
      draw();
    });
  };
  model.on("change:words", showWords);
  model.on("change:rows", redraw);
  model.on("change:shape", redraw);
  rowsAsTable.addEventListener("toggle", showTable, { signal });
  const watcher = new ResizeObserver(() => {
    if (Math.floor(plot.clientWidth) !== width) draw();
  });
  watcher.observe(plot);

  // Until Vega is here the table says it all.
  rowsAsTable.open = !page().vega.has(model.get("vega"));
  const opened = rowsAsTable.open;
  showWords();
  whenVegaIsHere(model, signal).then((found) => {
    if (signal.aborted) return;
    embed = found;
    if (opened) rowsAsTable.open = false;
    draw();
  });
  return () => {
    leaving.abort();
    watcher.disconnect();
    model.off("change:words", showWords);
    model.off("change:rows", redraw);
    model.off("change:shape", redraw);
    drawn?.finalize();
  };
}

export default { render };
