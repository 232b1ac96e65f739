// @ts-check
// The camera's pictures as they are sent: JPEG, and on a link that is short of room H.264, where this
// browser can make it.

import { H264, JPEG, KEY } from "./wire.js";

const CODEC = "avc1.42E028";
const STEPS = [{ quality: 0.8 }, { quality: 0.6 }, { bitrate: 500_000 }, { bitrate: 250_000 }];
const SHORT_MS = 3000, SHORT_SHARE = 0.5;
const ROOM_MS = 10_000, ROOM_SHARE = 0.1, MOST_ROOM_MS = 160_000;

/** @typedef {{quality?: number, bitrate?: number}} Step */

/** Which step a link can take, by how long there was no room on it; as the server's viewer.py. */
export class Ladder {
  /** @param {Step[]} steps Best first. */
  constructor(steps) {
    this.steps = steps;
    this.index = 0;
    this.roomMs = ROOM_MS;
    this.upAt = -Infinity;
    this.since = this.waited = 0;
  }

  get step() {
    return this.steps[this.index];
  }

  /** @param {number} now */
  begin(now) {
    this.since = now;
    this.waited = 0;
  }

  /** There was no room for so long, until now, both in ms. @param {number} waited @param {number} now */
  observe(waited, now) {
    if (!this.since) this.begin(now - waited);
    this.waited += waited;
    const span = now - this.since, share = this.waited / Math.max(1, span);
    if (span >= SHORT_MS && share >= SHORT_SHARE) {
      if (now - this.upAt < 2 * SHORT_MS) this.roomMs = Math.min(MOST_ROOM_MS, 2 * this.roomMs);
      this.index = Math.min(this.index + 1, this.steps.length - 1);
      this.begin(now);
    } else if (span >= this.roomMs) {
      if (share <= ROOM_SHARE && this.index) {
        this.index -= 1;
        this.upAt = now;
      }
      this.begin(now);
    }
  }
}

export class CameraEncoder {
  /** @param {(kind: number, bytes: ArrayBuffer | Uint8Array, flags: number, at: number) => void} send */
  constructor(send) {
    this.send = send;
    this.canvas = new OffscreenCanvas(16, 16);
    this.context = this.canvas.getContext("2d", { alpha: false });
    this.ladder = new Ladder(STEPS.filter(({ quality }) => quality));
    this.isBusy = false;
    this.wantsKey = true;
    this.codec = "jpeg";
    /** @type {VideoEncoder | null} */
    this.film = null;
    this.filmKey = "";
  }

  /** The server has said what it takes. @param {string[]} codecs @param {number[]} size */
  async allow(codecs, [width, height]) {
    const config = { codec: CODEC, width, height, bitrate: 500_000 };
    const found = codecs.includes("h264") ? await self.VideoEncoder?.isConfigSupported(config).catch(() => null) : null;
    const steps = found?.supported ? STEPS : STEPS.filter(({ quality }) => quality);
    if (steps.length !== this.ladder.steps.length) this.ladder = new Ladder(steps);
  }

  /**
   * Encode a picture, fitted into the size that is sent.
   * @param {CanvasImageSource} image @param {number} width @param {number} height Of the image.
   * @param {number[]} size
   */
  async encode(image, width, height, size) {
    if (!this.context) return;
    const at = performance.now();
    const { canvas } = this;
    if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
    const scale = Math.max(size[0] / width, size[1] / height);
    const [w, h] = [width * scale, height * scale];
    this.context.drawImage(image, (size[0] - w) / 2, (size[1] - h) / 2, w, h);
    const { quality, bitrate } = this.ladder.step;
    this.codec = bitrate ? "h264" : "jpeg";
    if (bitrate) this.encodeFilm(bitrate, size, at);
    else await this.encodeStill(quality, at);
  }

  /** @param {number | undefined} quality @param {number} at */
  async encodeStill(quality, at) {
    this.close();
    this.isBusy = true;
    try {
      const blob = await this.canvas.convertToBlob({ type: "image/jpeg", quality });
      this.send(JPEG, await blob.arrayBuffer(), 0, at);
    } finally {
      this.isBusy = false;
    }
  }

  /** @param {number} bitrate @param {number[]} size @param {number} at */
  encodeFilm(bitrate, size, at) {
    const key = `${size} ${bitrate}`;
    if (!this.film || this.filmKey !== key) {
      this.close();
      this.film = this.begin(bitrate, size);
      this.filmKey = key;
      this.wantsKey = true;
    }
    const frame = new VideoFrame(this.canvas, { timestamp: Math.round(at * 1000) });
    this.isBusy = true;
    this.film.encode(frame, { keyFrame: this.wantsKey });
    this.wantsKey = false;
    frame.close();
  }

  /** @param {number} bitrate @param {number[]} size */
  begin(bitrate, [width, height]) {
    const film = new VideoEncoder({
      output: (chunk) => {
        this.isBusy = false;
        if (film !== this.film) return;
        const bytes = new Uint8Array(chunk.byteLength);
        chunk.copyTo(bytes);
        this.send(H264, bytes, chunk.type === "key" ? KEY : 0, chunk.timestamp / 1000);
      },
      error: () => {
        // JPEG alone from now on
        this.ladder = new Ladder(STEPS.filter(({ quality }) => quality));
        this.close();
      },
    });
    film.configure({ codec: CODEC, width, height, bitrate, framerate: 24, latencyMode: "realtime", avc: { format: "annexb" } });
    return film;
  }

  close() {
    this.isBusy = false;
    if (this.film && this.film.state !== "closed") this.film.close();
    this.film = null;
    this.wantsKey = true;
  }
}
