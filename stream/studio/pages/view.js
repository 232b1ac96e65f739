// @ts-check
// What of the canvas is seen: all of it, or a part, larger.

export const MOST_SCALE = 8;

/** @typedef {{x: number, y: number}} Place In shares of the box that the pictures lie in. */

/** Zoom and shift of pictures that lie on each other or side by side. */
export class View {
  /** @param {HTMLElement[]} pictures @param {(scale: number) => void} changed */
  constructor(pictures, changed) {
    this.pictures = pictures;
    this.changed = changed;
    this.scale = 1;
    this.x = 0;
    this.y = 0;
  }

  /** Larger or smaller, around a place of the box. @param {Place} at @param {number} by */
  zoom(at, by) {
    const scale = Math.min(MOST_SCALE, Math.max(1, this.scale * by));
    const part = scale / this.scale;
    this.x = at.x - (at.x - this.x) * part;
    this.y = at.y - (at.y - this.y) * part;
    this.scale = scale;
    this.apply();
  }

  /** @param {number} x @param {number} y In shares of the box. */
  shift(x, y) {
    this.x += x;
    this.y += y;
    this.apply();
  }

  reset() {
    this.scale = 1;
    this.apply();
  }

  apply() {
    const within = (/** @type {number} */ value) => Math.min(0, Math.max(1 - this.scale, value));
    this.x = within(this.x);
    this.y = within(this.y);
    const transform = this.scale === 1 ? "" : `translate(${100 * this.x}%, ${100 * this.y}%) scale(${this.scale})`;
    for (const picture of this.pictures) picture.style.transform = transform;
    this.changed(this.scale);
  }
}
