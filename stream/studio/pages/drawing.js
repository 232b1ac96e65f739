// @ts-check
// A drawing: up to eight layers, a history of before-images, and the flat picture of it all.

import { channels, clip, flood, Stroke, union } from "./brush.js";

export const PAPER = "#faf7f0";
const MOST_LAYERS = 8;
const MOST_UNDO = 100;
const MOST_UNDO_BYTES = 192 * 1024 * 1024; // a hundred of the whole picture
const FILL_TOLERANCE = 72;

/** @typedef {import("./brush.js").Point} Point */
/** @typedef {import("./brush.js").Rectangle} Rectangle */
/** @typedef {OffscreenCanvasRenderingContext2D} Context */
/** @typedef {{id: number, name: string, context: Context, visible: boolean, changed: boolean}} Layer */
/** @typedef {{undo: () => Rectangle | null, redo: () => Rectangle | null, bytes: number}} Step */

/** @param {number} w @param {number} h @returns {Context} */
function surface(w, h) {
  const context = new OffscreenCanvas(w, h).getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("this browser gives no canvas");
  return context;
}

export class Drawing {
  /** @param {number} side In pixels. @param {(rectangle: Rectangle) => void} changed */
  constructor(side, changed) {
    this.side = side;
    this.changed = changed;
    this.flat = surface(side, side);
    this.scratch = surface(side, side);
    this.wet = surface(side, side);
    /** @type {Layer[]} From the bottom. */
    this.layers = [];
    this.active = 0;
    this.nextId = 1;
    /** @type {Step[]} */
    this.done = [];
    /** @type {Step[]} */
    this.undone = [];
    /** @type {Stroke | null} */
    this.stroke = null;
    /** @type {Rectangle | null} */
    this.strokeBounds = null;
    this.strokeOpacity = 1;
    this.isErasing = false;
    this.seed = 1;
    this.addLayer("Paint", false);
    this.compose({ x: 0, y: 0, w: side, h: side });
  }

  get whole() {
    return { x: 0, y: 0, w: this.side, h: this.side };
  }

  get isEmpty() {
    return !this.done.length && this.layers.every(({ changed }) => !changed);
  }

  get layer() {
    return this.layers[this.active];
  }

  // Strokes

  /** @param {Point} point @param {import("./brush.js").BrushStyle} style @param {number} opacity @param {boolean} erases */
  begin(point, style, opacity, erases) {
    this.wet.clearRect(0, 0, this.side, this.side);
    this.stroke = new Stroke(this.wet, style, this.seed++);
    this.strokeBounds = null;
    this.strokeOpacity = opacity;
    this.isErasing = erases;
    this.note(this.stroke.to(point));
  }

  /** @param {Point} point */
  move(point) {
    if (this.stroke) this.note(this.stroke.to(point));
  }

  /** @param {Point} point */
  end(point) {
    if (!this.stroke) return;
    this.note(this.stroke.end(point));
    this.stroke = null;
    const bounds = this.strokeBounds && clip(this.strokeBounds, this.side);
    if (!bounds) return;
    const { context } = this.layer;
    this.keep(bounds, () => {
      context.globalCompositeOperation = this.isErasing ? "destination-out" : "source-over";
      context.globalAlpha = this.strokeOpacity;
      context.drawImage(this.wet.canvas, bounds.x, bounds.y, bounds.w, bounds.h, bounds.x, bounds.y, bounds.w, bounds.h);
      context.globalCompositeOperation = "source-over";
      context.globalAlpha = 1;
    });
    this.wet.clearRect(0, 0, this.side, this.side);
    this.show(bounds);
  }

  /** The stroke was none. */
  cancel() {
    const bounds = this.strokeBounds;
    this.stroke = this.strokeBounds = null;
    this.wet.clearRect(0, 0, this.side, this.side);
    if (bounds) this.show(bounds);
  }

  /** A straight stroke, drawn anew while its end moves. @param {Point} from @param {Point} to @param {import("./brush.js").BrushStyle} style @param {number} opacity */
  line(from, to, style, opacity) {
    const before = this.strokeBounds;
    this.wet.clearRect(0, 0, this.side, this.side);
    this.stroke = new Stroke(this.wet, style, this.seed);
    this.strokeOpacity = opacity;
    this.isErasing = false;
    this.strokeBounds = null;
    let bounds = this.stroke.to(from);
    bounds = union(bounds, this.stroke.end(to));
    this.strokeBounds = bounds;
    const all = union(before, bounds);
    if (all) this.show(all);
  }

  /** @param {Rectangle | null} bounds */
  note(bounds) {
    if (!bounds) return;
    this.strokeBounds = union(this.strokeBounds, bounds);
    this.show(bounds);
  }

  /** @param {number} x @param {number} y @param {string} colour @param {number} opacity */
  fill(x, y, colour, opacity) {
    const found = flood(this.flat.getImageData(0, 0, this.side, this.side), x, y, colour, FILL_TOLERANCE);
    if (!found) return;
    const [r, g, b] = channels(colour);
    const { mask, bounds } = found;
    const grown = /** @type {Rectangle} */ (clip({ x: bounds.x - 1, y: bounds.y - 1, w: bounds.w + 2, h: bounds.h + 2 }, this.side));
    const paint = new ImageData(grown.w, grown.h);
    const is = (/** @type {number} */ px, /** @type {number} */ py) => px >= 0 && py >= 0 && px < this.side && py < this.side && mask[py * this.side + px];
    for (let py = 0; py < grown.h; py += 1) {
      for (let px = 0; px < grown.w; px += 1) {
        const [ax, ay] = [px + grown.x, py + grown.y];
        // one pixel further, under the soft rim of what is beside it
        if (!(is(ax, ay) || is(ax - 1, ay) || is(ax + 1, ay) || is(ax, ay - 1) || is(ax, ay + 1))) continue;
        paint.data.set([r, g, b, 255], (py * grown.w + px) * 4);
      }
    }
    const patch = surface(grown.w, grown.h);
    patch.putImageData(paint, 0, 0);
    this.keep(grown, () => {
      this.layer.context.globalAlpha = opacity;
      this.layer.context.drawImage(patch.canvas, grown.x, grown.y);
      this.layer.context.globalAlpha = 1;
    });
    this.show(grown);
  }

  /** The colour at a point, as #rrggbb. @param {number} x @param {number} y */
  pick(x, y) {
    const [r, g, b] = this.flat.getImageData(x, y, 1, 1).data;
    return `#${[r, g, b].map((value) => value.toString(16).padStart(2, "0")).join("")}`;
  }

  // Layers

  get canAdd() {
    return this.layers.length < MOST_LAYERS;
  }

  /** @param {string} name @param {boolean} [undoable] @param {number} [at] @returns {Layer | null} */
  addLayer(name, undoable = true, at = this.layers.length) {
    if (!this.canAdd) return null;
    const layer = { id: this.nextId++, name, context: surface(this.side, this.side), visible: true, changed: false };
    const put = () => { this.layers.splice(at, 0, layer); this.active = at; return this.whole; };
    const take = () => { this.layers.splice(this.layers.indexOf(layer), 1); this.active = Math.max(0, Math.min(this.active, this.layers.length - 1)); return this.whole; };
    put();
    if (undoable) this.push({ undo: take, redo: put, bytes: 0 });
    return layer;
  }

  /** @param {number} index */
  removeLayer(index) {
    if (this.layers.length < 2) return;
    const layer = this.layers[index];
    const take = () => { this.layers.splice(this.layers.indexOf(layer), 1); this.active = Math.max(0, Math.min(this.active, this.layers.length - 1)); return this.whole; };
    const put = () => { this.layers.splice(index, 0, layer); this.active = index; return this.whole; };
    take();
    this.push({ undo: put, redo: take, bytes: 4 * this.side ** 2 });
    this.show(this.whole);
  }

  /** @param {number} index */
  toggleLayer(index) {
    const layer = this.layers[index];
    const turn = () => { layer.visible = !layer.visible; return this.whole; };
    turn();
    this.push({ undo: turn, redo: turn, bytes: 0 });
    this.show(this.whole);
  }

  /** A picture as the lowest layer, covering it. @param {ImageBitmap} picture */
  putUnder(picture) {
    const active = this.layer;
    const layer = this.addLayer("Photo", true, 0);
    if (!layer) return false;
    const scale = this.side / Math.min(picture.width, picture.height);
    const [w, h] = [picture.width * scale, picture.height * scale];
    layer.context.imageSmoothingQuality = "high";
    layer.context.drawImage(picture, (this.side - w) / 2, (this.side - h) / 2, w, h);
    layer.changed = true;
    this.active = this.layers.indexOf(active);
    this.show(this.whole);
    return true;
  }

  /** Everything away, which can be undone. */
  clear() {
    const before = { layers: this.layers, active: this.active };
    this.layers = [];
    this.addLayer("Paint", false);
    const after = { layers: this.layers, active: 0 };
    const put = (/** @type {typeof before} */ state) => () => { this.layers = state.layers; this.active = state.active; return this.whole; };
    this.push({ undo: put(before), redo: put(after), bytes: before.layers.length * 4 * this.side ** 2 });
    this.show(this.whole);
  }

  // History

  /** Change a part of the layer so that it can be undone. @param {Rectangle} bounds @param {() => void} change */
  keep(bounds, change) {
    const layer = this.layer;
    const copy = () => {
      const held = surface(bounds.w, bounds.h);
      held.drawImage(layer.context.canvas, bounds.x, bounds.y, bounds.w, bounds.h, 0, 0, bounds.w, bounds.h);
      return held;
    };
    let held = copy();
    change();
    layer.changed = true;
    const swap = () => {
      const now = copy();
      layer.context.clearRect(bounds.x, bounds.y, bounds.w, bounds.h);
      layer.context.drawImage(held.canvas, bounds.x, bounds.y);
      held = now;
      return bounds;
    };
    this.push({ undo: swap, redo: swap, bytes: 4 * bounds.w * bounds.h });
  }

  /** @param {Step} step */
  push(step) {
    this.done.push(step);
    this.undone = [];
    let bytes = this.done.reduce((sum, one) => sum + one.bytes, 0);
    while (this.done.length > MOST_UNDO || (bytes > MOST_UNDO_BYTES && this.done.length > 1)) {
      bytes -= this.done[0].bytes;
      this.done.shift();
    }
  }

  undo() {
    const step = this.done.pop();
    if (!step) return false;
    const bounds = step.undo();
    this.undone.push(step);
    if (bounds) this.show(bounds);
    return true;
  }

  redo() {
    const step = this.undone.pop();
    if (!step) return false;
    const bounds = step.redo();
    this.done.push(step);
    if (bounds) this.show(bounds);
    return true;
  }

  // The flat picture

  /** @param {Rectangle} bounds */
  show(bounds) {
    const inside = clip(bounds, this.side);
    if (!inside) return;
    this.compose(inside);
    this.changed(inside);
  }

  /** @param {Rectangle} r */
  compose(r) {
    const { flat } = this;
    flat.fillStyle = PAPER;
    flat.fillRect(r.x, r.y, r.w, r.h);
    this.layers.forEach((layer, index) => {
      if (!layer.visible) return;
      const wet = this.strokeBounds && this.stroke && index === this.active;
      flat.drawImage((wet ? this.withStroke(layer, r) : layer.context).canvas, r.x, r.y, r.w, r.h, r.x, r.y, r.w, r.h);
    });
  }

  /** A layer with the stroke that is being drawn. @param {Layer} layer @param {Rectangle} r */
  withStroke(layer, r) {
    const { scratch } = this;
    scratch.clearRect(r.x, r.y, r.w, r.h);
    scratch.globalCompositeOperation = "source-over";
    scratch.globalAlpha = 1;
    scratch.drawImage(layer.context.canvas, r.x, r.y, r.w, r.h, r.x, r.y, r.w, r.h);
    scratch.globalCompositeOperation = this.isErasing ? "destination-out" : "source-over";
    scratch.globalAlpha = this.strokeOpacity;
    scratch.drawImage(this.wet.canvas, r.x, r.y, r.w, r.h, r.x, r.y, r.w, r.h);
    scratch.globalCompositeOperation = "source-over";
    scratch.globalAlpha = 1;
    return scratch;
  }

  // Keeping

  /** @returns {Promise<any>} What a browser can store. */
  async stored() {
    const layers = await Promise.all(this.layers.map(async ({ name, visible, changed, context }) => ({
      name, visible, changed,
      picture: changed ? await context.canvas.convertToBlob({ type: "image/png" }) : null,
    })));
    return { side: this.side, active: this.active, layers };
  }

  /** @param {any} stored */
  async restore(stored) {
    if (!stored?.layers?.length || stored.side !== this.side) return;
    this.layers = [];
    for (const { name, visible, changed, picture } of stored.layers) {
      const layer = this.addLayer(name, false);
      if (!layer) break;
      Object.assign(layer, { visible, changed });
      if (picture) layer.context.drawImage(await createImageBitmap(picture), 0, 0);
    }
    this.active = Math.min(stored.active, this.layers.length - 1);
    this.show(this.whole);
  }
}
