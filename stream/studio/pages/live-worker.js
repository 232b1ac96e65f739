// @ts-check
// The worker of the live page: takes the camera's frames, sends them, draws what comes back. It
// keeps its pace in a hidden tab, where a page is given no animation frames.

import { Connection } from "./connection.js";
import { AT_REST, JPEG, PHOTO, SOUND, THUMBNAIL } from "./wire.js";

const QUALITY = 0.8;
const REPORT_MS = 500;
const RECENT = 60;

/** @type {Connection | null} */
let connection = null;
/** @type {OffscreenCanvas | null} */
let painting = null;
/** @type {OffscreenCanvasRenderingContext2D | null} */
let paintingContext = null;
const small = new OffscreenCanvas(16, 16);
const smallContext = small.getContext("2d", { alpha: false });
let size = [512, 288];
let isBusy = false, isFrozen = false;
let ticking = 0;
let readerNumber = 0;
/** @type {Map<number, number>} */
const sentAt = new Map();
/** @type {number[]} */
const latenciesMs = [];
/** @type {number[]} */
const drawnAt = [];

/** @param {Record<string, unknown>} message @param {Transferable[]} [transfer] */
const post = (message, transfer = []) => self.postMessage(message, { transfer });

/** @param {CanvasImageSource & {close(): void}} frame @param {number} width @param {number} height */
async function send(frame, width, height) {
  if (isBusy || isFrozen || !connection?.room || !smallContext || !width) {
    frame.close();
    return;
  }
  isBusy = true;
  const at = performance.now();
  if (small.width !== size[0] || small.height !== size[1]) [small.width, small.height] = size;
  const scale = Math.max(size[0] / width, size[1] / height);
  const [w, h] = [width * scale, height * scale];
  smallContext.drawImage(frame, (size[0] - w) / 2, (size[1] - h) / 2, w, h);
  frame.close();
  try {
    const blob = await small.convertToBlob({ type: "image/jpeg", quality: QUALITY });
    const bytes = await blob.arrayBuffer();
    if (connection.room) {
      sentAt.set(connection.send(JPEG, bytes), at);
      if (sentAt.size > RECENT) sentAt.delete(sentAt.keys().next().value ?? 0);
    }
  } finally {
    isBusy = false;
  }
}

/** @param {ReturnType<typeof import("./wire.js").unpack>} picture */
async function draw(picture) {
  if (picture.kind === THUMBNAIL || picture.kind === PHOTO) {
    const bytes = picture.payload.slice();
    post({ type: "bytes", kind: picture.kind, id: picture.id, bytes }, [bytes.buffer]);
    return;
  }
  if (picture.kind !== JPEG || !painting || !paintingContext) return;
  try {
    const bitmap = await createImageBitmap(new Blob([picture.payload], { type: "image/jpeg" }));
    if (painting.width !== bitmap.width || painting.height !== bitmap.height) {
      [painting.width, painting.height] = [bitmap.width, bitmap.height];
    }
    paintingContext.drawImage(bitmap, 0, 0);
    bitmap.close();
  } finally {
    connection?.acknowledge();
  }
  const now = performance.now();
  const since = sentAt.get(picture.id);
  if (since !== undefined) {
    latenciesMs.push(now - since);
    if (latenciesMs.length > RECENT) latenciesMs.shift();
  }
  drawnAt.push(now);
  if (drawnAt.length === 1) post({ type: "first" });
  if (drawnAt.length > 4 * RECENT) drawnAt.splice(0, RECENT);
  post({ type: "drawn", id: picture.id, atRest: Boolean(picture.flags & AT_REST) });
}

function report() {
  const now = performance.now();
  const sorted = [...latenciesMs].sort((a, b) => a - b);
  const fps = drawnAt.filter((at) => now - at < 2000).length / 2;
  post({
    type: "figures",
    fps,
    latencyMs: sorted.length ? sorted[Math.floor(sorted.length / 2)] : null,
    p95Ms: sorted.length ? sorted[Math.floor(0.95 * (sorted.length - 1))] : null,
  });
}
setInterval(report, REPORT_MS);

/** @param {ReadableStream} readable */
async function read(readable) {
  const mine = ++readerNumber;
  const reader = readable.getReader();
  while (mine === readerNumber) {
    const { value, done } = await reader.read();
    if (done) return;
    void send(value, value.displayWidth, value.displayHeight);
  }
  await reader.cancel();
}

self.onmessage = ({ data }) => {
  switch (data.type) {
    case "canvas":
      painting = /** @type {OffscreenCanvas} */ (data.canvas);
      paintingContext = painting.getContext("2d", { alpha: false, desynchronized: true });
      break;
    case "connect":
      connection?.close();
      size = data.where.size;
      connection = new Connection(data.where, (name, what) => {
        if (name === "picture") void draw(what);
        else if (name === "room") return;
        else post({ type: name, data: what });
      });
      connection.open();
      break;
    case "disconnect":
      connection?.close();
      connection = null;
      latenciesMs.length = drawnAt.length = 0;
      break;
    case "say":
      connection?.say(data.message);
      break;
    case "sound":
      connection?.pour(SOUND, data.bytes);
      break;
    case "frozen":
      isFrozen = data.frozen;
      break;
    case "read":
      clearInterval(ticking);
      void read(data.readable);
      break;
    case "tick":
      readerNumber += 1;
      clearInterval(ticking);
      ticking = setInterval(() => connection?.room && !isBusy && post({ type: "tick" }), 1000 / data.rate);
      break;
    case "stop":
      readerNumber += 1;
      clearInterval(ticking);
      break;
    case "frame":
      void send(data.frame, data.frame.width, data.frame.height);
      break;
  }
};
