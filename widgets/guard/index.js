// Keeps keys that are pressed inside a box of ipywidgets from JupyterLab, which would move or delete cells with them.

/** @param {{el: HTMLElement}} context */
function render({ el }) {
  el.hidden = true;
  const stop = (/** @type {KeyboardEvent} */ event) => {
    if (!((event.ctrlKey || event.metaKey) && event.key === "s")) event.stopPropagation();
  };
  /** @type {Element | null} */
  let box = null;
  // The box adopts this element after it was rendered, so its parent is looked for in the next frame.
  const frame = requestAnimationFrame(() => {
    const own = el.closest(".lm-Widget") ?? el;
    box = own.parentElement?.closest(".widget-box, .jupyter-widgets") ?? null;
    box?.addEventListener("keydown", stop);
  });
  return () => {
    cancelAnimationFrame(frame);
    box?.removeEventListener("keydown", stop);
  };
}

export default { render };
