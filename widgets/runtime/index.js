// Puts Vega on the page once, for all charts of all kernels, under the version of its bundle.

/** @typedef {(el: HTMLElement, spec: object, options: object) => Promise<{view: any, finalize: () => void}>} Embed */

/**
 * What the widgets of plural_nb share on a page.
 * @returns {{vega: Map<string, Embed>, news: EventTarget}}
 */
function page() {
  return (globalThis[Symbol.for("plural_nb.page")] ??= { vega: new Map(), news: new EventTarget() });
}

/** @param {{model: any}} context */
async function initialize({ model }) {
  const arrive = async () => {
    const version = model.get("version");
    const bundle = model.get("bundle");
    if (!bundle || page().vega.has(version)) return;
    const address = URL.createObjectURL(new Blob([bundle], { type: "text/javascript" }));
    try {
      const { vegaEmbed } = await import(address);
      page().vega.set(version, vegaEmbed);
      page().news.dispatchEvent(new Event("vega"));
    } finally {
      URL.revokeObjectURL(address);
    }
  };
  model.on("change:bundle", arrive);
  await arrive();
}

/** Nothing to see. @param {{el: HTMLElement}} context */
function render({ el }) {
  el.hidden = true;
}

export default { initialize, render };
