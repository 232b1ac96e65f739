// @ts-check
// Parts of a drawing as PNG, exact, by a worker of their own.

export class PatchEncoder {
  constructor() {
    this.worker = new Worker(new URL("./patch-worker.js", import.meta.url), { type: "module" });
    /** @type {((bytes: ArrayBuffer) => void)[]} In the order in which they were asked for. */
    this.waiting = [];
    this.worker.onmessage = ({ data }) => this.waiting.shift()?.(data);
  }

  /**
   * @param {OffscreenCanvas} picture Without transparency.
   * @param {import("./brush.js").Rectangle} rectangle
   * @returns {Promise<ArrayBuffer>}
   */
  encode(picture, { x, y, w, h }) {
    const part = new OffscreenCanvas(w, h);
    part.getContext("2d", { alpha: false })?.drawImage(picture, x, y, w, h, 0, 0, w, h);
    const bitmap = part.transferToImageBitmap();
    this.worker.postMessage(bitmap, [bitmap]);
    return new Promise((done) => this.waiting.push(done));
  }
}
