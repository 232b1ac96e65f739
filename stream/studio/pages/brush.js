// @ts-check
// A brush of bristles: a stroke is drawn segment by segment, each bristle a line of its own shade.
// The model paints flat fills flat; streaks of slightly different colours become brushwork.

const SHADE = 16;
const SPACING_PX = 2.5;
const MOST_BRISTLES = 44;
const SMOOTHING = 0.5;

/** @typedef {{x: number, y: number, pressure: number}} Point */
/** @typedef {{x: number, y: number, w: number, h: number}} Rectangle */
/** @typedef {{size: number, colour: string, bristles: boolean}} BrushStyle */

/** A fixed source of chance, so that a stroke drawn again is the same. @param {number} seed */
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 4294967296;
  };
}

/** @param {string} colour As #rrggbb. */
export function channels(colour) {
  const value = Number.parseInt(colour.slice(1), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

/** @param {Rectangle | null} a @param {Rectangle | null} b @returns {Rectangle | null} */
export function union(a, b) {
  if (!a || !b) return a ?? b;
  const x = Math.min(a.x, b.x), y = Math.min(a.y, b.y);
  return { x, y, w: Math.max(a.x + a.w, b.x + b.w) - x, h: Math.max(a.y + a.h, b.y + b.h) - y };
}

/** Whole pixels within a picture; null where there are none. @param {Rectangle} r @param {number} side */
export function clip(r, side) {
  const x = Math.max(0, Math.floor(r.x)), y = Math.max(0, Math.floor(r.y));
  const w = Math.min(side, Math.ceil(r.x + r.w)) - x, h = Math.min(side, Math.ceil(r.y + r.h)) - y;
  return w > 0 && h > 0 ? { x, y, w, h } : null;
}

export class Stroke {
  /**
   * @param {CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D} context Empty; what is
   *   drawn is opaque, the layer below takes it with the stroke's opacity.
   * @param {BrushStyle} style
   * @param {number} seed
   */
  constructor(context, style, seed) {
    this.context = context;
    this.style = style;
    /** @type {Point | null} */
    this.last = null;
    /** @type {Point | null} */
    this.smooth = null;
    this.normal = { x: 0, y: 1 };
    const chance = random(seed);
    const count = style.bristles ? Math.max(5, Math.min(MOST_BRISTLES, Math.round(style.size * 0.8))) : 1;
    const [r, g, b] = channels(style.colour);
    this.bristles = Array.from({ length: count }, (_, index) => {
      const shade = style.bristles ? (chance() * 2 - 1) * SHADE : 0;
      const warmth = style.bristles ? (chance() * 2 - 1) * SHADE * 0.4 : 0;
      const part = (/** @type {number} */ value) => Math.max(0, Math.min(255, Math.round(value)));
      return {
        offset: count === 1 ? 0 : (index + 0.5) / count * 2 - 1 + (chance() - 0.5) / count,
        colour: `rgb(${part(r + shade + warmth)} ${part(g + shade)} ${part(b + shade - warmth)})`,
        thickness: 0.8 + chance() * 0.9,
        reach: 0.75 + chance() * 0.25,
      };
    });
  }

  /** How wide the brush is at a pressure. @param {number} pressure */
  width(pressure) {
    return Math.max(1, this.style.size * (0.25 + 0.75 * Math.min(1, pressure * 1.5)));
  }

  /**
   * Go on to a point; what was drawn on comes back.
   * @param {Point} point
   * @returns {Rectangle | null}
   */
  to(point) {
    if (!this.last || !this.smooth) {
      this.last = this.smooth = { ...point };
      return this.dab(point);
    }
    const smooth = {
      x: this.smooth.x + (point.x - this.smooth.x) * SMOOTHING,
      y: this.smooth.y + (point.y - this.smooth.y) * SMOOTHING,
      pressure: this.smooth.pressure + (point.pressure - this.smooth.pressure) * SMOOTHING,
    };
    this.smooth = smooth;
    return Math.hypot(smooth.x - this.last.x, smooth.y - this.last.y) < SPACING_PX ? null : this.segment(smooth);
  }

  /** The stroke ends where the pointer is. @param {Point} point */
  end(point) {
    return this.last && Math.hypot(point.x - this.last.x, point.y - this.last.y) > 0.5 ? this.segment(point) : null;
  }

  /** A first touch. @param {Point} point @returns {Rectangle} */
  dab(point) {
    const width = this.width(point.pressure) * (this.style.bristles ? 0.8 : 1);
    const { context } = this;
    if (this.style.bristles) {
      for (const bristle of this.bristles) {
        const half = Math.sqrt(Math.max(0, 1 - bristle.offset ** 2)) * width * 0.3;
        this.line(bristle, point.x - half, point.y + bristle.offset * width / 2, point.x + half, point.y + bristle.offset * width / 2, width);
      }
    } else {
      context.fillStyle = this.bristles[0].colour;
      context.beginPath();
      context.arc(point.x, point.y, width / 2, 0, 2 * Math.PI);
      context.fill();
    }
    return { x: point.x - width, y: point.y - width, w: 2 * width, h: 2 * width };
  }

  /** @param {Point} to @returns {Rectangle} */
  segment(to) {
    const from = /** @type {Point} */ (this.last);
    const length = Math.hypot(to.x - from.x, to.y - from.y) || 1;
    const turned = { x: -(to.y - from.y) / length, y: (to.x - from.x) / length };
    if (turned.x * this.normal.x + turned.y * this.normal.y < 0) {
      turned.x = -turned.x;
      turned.y = -turned.y;
    }
    const a = this.normal, blend = 0.6;
    const b = { x: a.x + (turned.x - a.x) * blend, y: a.y + (turned.y - a.y) * blend };
    const norm = Math.hypot(b.x, b.y) || 1;
    b.x /= norm;
    b.y /= norm;
    const before = this.width(from.pressure), after = this.width(to.pressure);
    for (const bristle of this.bristles) {
      if (this.style.bristles && Math.abs(bristle.offset) > bristle.reach + 0.15) continue;
      const out = bristle.offset / 2;
      this.line(bristle,
        from.x + a.x * out * before, from.y + a.y * out * before,
        to.x + b.x * out * after, to.y + b.y * out * after, (before + after) / 2);
    }
    this.normal = b;
    this.last = { ...to };
    const reach = Math.max(before, after) / 2 + 4;
    const x = Math.min(from.x, to.x) - reach, y = Math.min(from.y, to.y) - reach;
    return { x, y, w: Math.abs(to.x - from.x) + 2 * reach, h: Math.abs(to.y - from.y) + 2 * reach };
  }

  /**
   * @param {{colour: string, thickness: number}} bristle
   * @param {number} x0 @param {number} y0 @param {number} x1 @param {number} y1 @param {number} width
   */
  line(bristle, x0, y0, x1, y1, width) {
    const { context } = this;
    context.strokeStyle = bristle.colour;
    context.lineCap = "round";
    context.lineWidth = this.style.bristles ? Math.max(1, (width / this.bristles.length) * 1.7 * bristle.thickness) : width;
    context.beginPath();
    context.moveTo(x0, y0);
    context.lineTo(x1, y1);
    context.stroke();
  }
}

/**
 * Fill what has one colour around a point.
 * @param {ImageData} seen The whole picture.
 * @param {number} x @param {number} y
 * @param {string} colour
 * @param {number} tolerance
 * @returns {{mask: Uint8Array, bounds: Rectangle} | null}
 */
export function flood(seen, x, y, colour, tolerance) {
  const { width, height, data } = seen;
  const at = (y * width + x) * 4;
  const wanted = [data[at], data[at + 1], data[at + 2]];
  const mask = new Uint8Array(width * height);
  const alike = (/** @type {number} */ index) => {
    const i = index * 4;
    return Math.abs(data[i] - wanted[0]) + Math.abs(data[i + 1] - wanted[1]) + Math.abs(data[i + 2] - wanted[2]) <= tolerance;
  };
  const stack = [y * width + x];
  let left = x, right = x, top = y, bottom = y;
  while (stack.length) {
    const start = /** @type {number} */ (stack.pop());
    if (mask[start]) continue;
    const row = Math.floor(start / width) * width;
    let from = start, to = start;
    while (from > row && !mask[from - 1] && alike(from - 1)) from -= 1;
    while (to < row + width - 1 && !mask[to + 1] && alike(to + 1)) to += 1;
    for (let index = from; index <= to; index += 1) {
      mask[index] = 1;
      for (const next of [index - width, index + width]) {
        if (next >= 0 && next < mask.length && !mask[next] && alike(next)) stack.push(next);
      }
    }
    left = Math.min(left, from - row);
    right = Math.max(right, to - row);
    top = Math.min(top, row / width);
    bottom = Math.max(bottom, row / width);
  }
  return { mask, bounds: { x: left, y: top, w: right - left + 1, h: bottom - top + 1 } };
}
