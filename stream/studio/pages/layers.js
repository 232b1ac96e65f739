// @ts-check
// The list of layers, the uppermost first.

import { get, icon, make } from "./dom.js";

const SHOWN = "M2 12s4-6 10-6 10 6 10 6-4 6-10 6-10-6-10-6zM12 9a3 3 0 100 6 3 3 0 000-6";
const HIDDEN = "M4 4l16 16M2 12s4-6 10-6c1.500 0 3 .4 4.200 1M22 12s-4 6-10 6c-1.500 0-3-.4-4.200-1";
const CROSS = "M6 6l12 12M18 6L6 18";

export class Layers {
  /** @param {import("./drawing.js").Drawing} drawing @param {() => void} changed */
  constructor(drawing, changed) {
    this.drawing = drawing;
    this.changed = changed;
    get("add-layer").onclick = () => {
      drawing.addLayer(`Layer ${drawing.layers.length + 1}`);
      changed();
    };
  }

  show() {
    get("layers").replaceChildren(...this.drawing.layers.map((layer, index) => this.row(layer, index)).reverse());
    get("add-layer").disabled = !this.drawing.canAdd;
  }

  /** @param {import("./drawing.js").Layer} layer @param {number} index */
  row(layer, index) {
    const { drawing } = this;
    const act = (/** @type {() => void} */ then) => () => { then(); this.changed(); };
    const shot = make("canvas", { width: "72", height: "72" });
    shot.getContext("2d").drawImage(layer.context.canvas, 0, 0, 72, 72);
    return make("div", { class: layer.visible ? "layer" : "layer off", "aria-selected": String(index === drawing.active) },
      shot,
      make("button", { class: "name", text: layer.name, onclick: act(() => { drawing.active = index; }) }),
      make("button", { "aria-label": layer.visible ? `Hide ${layer.name}` : `Show ${layer.name}`, onclick: act(() => drawing.toggleLayer(index)) },
        icon(layer.visible ? SHOWN : HIDDEN)),
      drawing.layers.length > 1 ? make("button", { "aria-label": `Remove ${layer.name}`, onclick: act(() => drawing.removeLayer(index)) }, icon(CROSS)) : null);
  }
}
