// @ts-check
// Strokes by mouse, pen and finger. One finger draws; two zoom and shift, or, tapped, undo.

import { get } from "./dom.js";

const TAP_MS = 250, TAP_PX = 10;
const WHEEL = 0.0015;

/** @typedef {import("./brush.js").Point} Point */
/** @typedef {{x: number, y: number}} Spot In the window. */

export class StrokeInput {
  /**
   * @param {HTMLElement} place That holds the pictures; a stroke may begin beside them.
   * @param {{canvas: HTMLElement, box: HTMLElement}[]} pictures To draw on.
   * @param {import("./drawing.js").Drawing} drawing
   * @param {import("./tools.js").Tools} tools
   * @param {import("./view.js").View} view
   * @param {{ended: () => void, undo: () => void}} then
   */
  constructor(place, pictures, drawing, tools, view, then) {
    this.pictures = pictures;
    this.drawing = drawing;
    this.tools = tools;
    this.view = view;
    this.then = then;
    /** @type {{canvas: HTMLElement, box: HTMLElement}} Where the stroke is drawn. */
    this.picture = pictures[0];
    /** @type {number | null} */
    this.pointer = null;
    this.isPen = false;
    /** @type {Point | null} */
    this.lineFrom = null;
    /** @type {Point | null} */
    this.fillAt = null;
    /** @type {Map<number, Spot>} */
    this.touches = new Map();
    /** @type {{middle: Spot, apart: number, since: number, moved: number} | null} */
    this.gesture = null;
    place.onpointerdown = (event) => this.down(event);
    place.onpointermove = (event) => this.move(event);
    place.onpointerup = (event) => this.up(event);
    place.onpointercancel = (event) => this.up(event);
    place.onpointerleave = () => { get("cursor").hidden = true; };
    place.oncontextmenu = (event) => event.preventDefault();
    place.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
  }

  get isDrawing() {
    return this.pointer !== null;
  }

  /** The picture that a pointer is on, or the nearest. @param {Spot} spot */
  nearest({ x, y }) {
    const away = (/** @type {{box: HTMLElement}} */ { box }) => {
      const { left, right, top, bottom, width } = box.getBoundingClientRect();
      return width ? Math.hypot(Math.max(left - x, 0, x - right), Math.max(top - y, 0, y - bottom)) : Infinity;
    };
    return this.pictures.reduce((best, one) => (away(one) < away(best) ? one : best));
  }

  /** @param {PointerEvent} event @returns {Point} */
  point(event) {
    const { left, top, width, height } = this.picture.canvas.getBoundingClientRect();
    const side = this.drawing.side;
    const pressure = event.pointerType === "mouse" || !event.pressure ? 0.5 : event.pressure;
    return { x: ((event.clientX - left) / width) * side, y: ((event.clientY - top) / height) * side, pressure };
  }

  /** @param {PointerEvent} event */
  down(event) {
    const target = /** @type {Element} */ (event.target);
    if (target.closest(".bar, .strip, .state:not(.soft), .whole") || event.button > 0) return;
    event.preventDefault();
    /** @type {HTMLElement | null} */ (document.activeElement)?.blur();
    if (event.pointerType === "touch") {
      if (this.isPen) return; // the hand that holds the pen
      this.touches.set(event.pointerId, { x: event.clientX, y: event.clientY });
      if (this.touches.size === 2) this.beginGesture();
      if (this.touches.size > 1 || this.gesture) return;
    }
    if (this.pointer !== null) return;
    this.pointer = event.pointerId;
    this.isPen = event.pointerType === "pen";
    this.picture = this.nearest({ x: event.clientX, y: event.clientY });
    this.picture.canvas.setPointerCapture(event.pointerId);
    this.begin(this.point(event), event.altKey ? "picker" : this.tools.tool);
  }

  /** @param {Point} point @param {string} tool */
  begin(point, tool) {
    if (tool === "picker") this.pick(point);
    else if (tool === "fill") this.fillAt = point;
    else if (tool === "line") {
      this.lineFrom = point;
      this.drawing.seed += 1;
    } else {
      const erases = tool === "eraser";
      this.drawing.begin(point, this.tools.brush, erases ? 1 : this.tools.opacity, erases);
    }
  }

  /** A whole pixel of the drawing. @param {Point} point */
  pixel({ x, y }) {
    const inside = (/** @type {number} */ value) => Math.min(this.drawing.side - 1, Math.max(0, Math.floor(value)));
    return /** @type {const} */ ([inside(x), inside(y)]);
  }

  /** @param {Point} point */
  pick(point) {
    this.tools.setColour(this.drawing.pick(...this.pixel(point)));
  }

  /** @param {PointerEvent} event */
  move(event) {
    this.showCursor(event);
    if (this.touches.has(event.pointerId)) {
      this.touches.set(event.pointerId, { x: event.clientX, y: event.clientY });
      if (this.gesture) this.moveGesture(this.gesture);
    }
    if (event.pointerId !== this.pointer) return;
    if (this.lineFrom) {
      this.drawing.line(this.lineFrom, this.point(event), this.tools.brush, this.tools.opacity);
      return;
    }
    const events = event.getCoalescedEvents?.() ?? [];
    for (const one of events.length ? events : [event]) this.drawing.move(this.point(one));
  }

  /** @param {PointerEvent} event */
  up(event) {
    this.touches.delete(event.pointerId);
    if (this.gesture && !this.touches.size) this.endGesture(this.gesture);
    if (event.pointerId !== this.pointer) return;
    this.pointer = null;
    this.isPen = false;
    const point = this.point(event);
    if (this.lineFrom) this.drawing.line(this.lineFrom, point, this.tools.brush, this.tools.opacity);
    if (this.fillAt) this.drawing.fill(...this.pixel(this.fillAt), this.tools.colour, this.tools.opacity);
    this.lineFrom = this.fillAt = null;
    this.drawing.end(point);
    this.then.ended();
  }

  // Two fingers

  /** Where the fingers are between them, and how far apart. */
  get pinch() {
    const [a, b] = [...this.touches.values()];
    return { middle: { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 }, apart: Math.hypot(a.x - b.x, a.y - b.y) || 1 };
  }

  beginGesture() {
    if (this.pointer !== null) {
      // the first finger was no stroke
      this.pointer = null;
      this.lineFrom = this.fillAt = null;
      this.drawing.cancel();
    }
    this.picture = this.nearest(this.pinch.middle);
    this.gesture = { ...this.pinch, since: performance.now(), moved: 0 };
  }

  /** @param {NonNullable<StrokeInput["gesture"]>} gesture */
  moveGesture(gesture) {
    if (this.touches.size !== 2) return;
    const { middle, apart } = this.pinch;
    const [x, y] = [middle.x - gesture.middle.x, middle.y - gesture.middle.y];
    gesture.moved += Math.hypot(x, y) + Math.abs(apart - gesture.apart);
    const box = this.picture.box.getBoundingClientRect();
    this.view.shift(x / box.width, y / box.height);
    this.view.zoom({ x: (middle.x - box.left) / box.width, y: (middle.y - box.top) / box.height }, apart / gesture.apart);
    Object.assign(gesture, { middle, apart });
  }

  /** @param {NonNullable<StrokeInput["gesture"]>} gesture */
  endGesture(gesture) {
    this.gesture = null;
    if (gesture.moved < TAP_PX && performance.now() - gesture.since < TAP_MS) this.then.undo();
  }

  /** @param {WheelEvent} event */
  wheel(event) {
    if (!event.ctrlKey) return;
    event.preventDefault();
    const box = this.nearest({ x: event.clientX, y: event.clientY }).box.getBoundingClientRect();
    const at = { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height };
    this.view.zoom(at, Math.exp(-WHEEL * event.deltaY));
  }

  /** @param {PointerEvent} event */
  showCursor(event) {
    const cursor = get("cursor");
    const { canvas, box } = this.isDrawing ? this.picture : this.nearest({ x: event.clientX, y: event.clientY });
    const isOver = box.contains(/** @type {Node} */ (document.elementFromPoint(event.clientX, event.clientY)));
    const { tool } = this.tools;
    const isCross = tool === "fill" || tool === "picker";
    const scale = canvas.getBoundingClientRect().width / this.drawing.side;
    const width = isCross ? 17 : Math.max(4, this.tools.brush.size * scale);
    cursor.classList.toggle("cross", isCross);
    cursor.hidden = event.pointerType === "touch" || !(isOver || this.isDrawing);
    cursor.style.width = cursor.style.height = `${width}px`;
    cursor.style.transform = `translate(${event.clientX - width / 2}px, ${event.clientY - width / 2}px)`;
  }
}
