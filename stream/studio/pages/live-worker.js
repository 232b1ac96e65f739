// @ts-check
// The worker of the live page: takes the camera's frames, sends them, draws what comes back. It
// keeps its pace in a hidden tab, where a page is given no animation frames.

import { CameraEncoder } from "./camera-encoder.js";
import { Connection } from "./connection.js";
import { codecs, PictureDecoder } from "./picture-decoder.js";
import { AT_REST, PHOTO, SOUND, THUMBNAIL } from "./wire.js";

const REPORT_MS = 500;
const RECENT = 60;

/** @type {Connection | null} */
let connection = null;
/** @type {OffscreenCanvas | null} */
let painting = null;
/** @type {OffscreenCanvasRenderingContext2D | null} */
let paintingContext = null;
let size = [512, 288];
let isFrozen = false;
let ticking = 0;
let readerNumber = 0, wanted = 0;
const shown = codecs();
/** @type {Map<number, number>} */
const sentAt = new Map();
/** @type {number[]} */
const latenciesMs = [];
/** @type {number[]} */
const drawnAt = [];

/** @param {Record<string, unknown>} message @param {Transferable[]} [transfer] */
const post = (message, transfer = []) => self.postMessage(message, { transfer });

const encoder = new CameraEncoder((kind, bytes, flags, at) => {
  if (!connection?.seated) return;
  sentAt.set(connection.send(kind, bytes, { flags }), at);
  if (sentAt.size > RECENT) sentAt.delete(sentAt.keys().next().value ?? 0);
});

const decoder = new PictureDecoder(
  (image, picture) => {
    const [width, height] = image instanceof ImageBitmap ? [image.width, image.height] : [image.displayWidth, image.displayHeight];
    if (!painting || !paintingContext) return;
    if (painting.width !== width || painting.height !== height) [painting.width, painting.height] = [width, height];
    paintingContext.drawImage(image, 0, 0);
    drawn(picture);
  },
  { done: () => connection?.acknowledge(), key: () => connection?.say({ key: true }) });

/** @param {CanvasImageSource & {close(): void}} frame @param {number} width @param {number} height */
async function send(frame, width, height) {
  try {
    if (isFrozen || encoder.isBusy || !connection?.seated || !width) return;
    encoder.ladder.observe(connection.takeFullMs(), performance.now());
    if (connection.room) await encoder.encode(frame, width, height, size);
  } finally {
    frame.close();
  }
}

/** @param {ReturnType<typeof import("./wire.js").unpack>} picture */
function take(picture) {
  if (picture.kind === THUMBNAIL || picture.kind === PHOTO) {
    const bytes = picture.payload.slice();
    post({ type: "bytes", kind: picture.kind, id: picture.id, bytes }, [bytes.buffer]);
    return;
  }
  void decoder.take(picture);
}

/** A painting is seen. @param {ReturnType<typeof import("./wire.js").unpack>} picture */
function drawn(picture) {
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

/** @param {import("./connection.js").Where} where @param {number} number Of what was asked. */
async function connect(where, number) {
  connection?.close();
  connection = null;
  size = where.size;
  encoder.close();
  decoder.close();
  const found = await shown;
  if (number !== wanted) return; // something else was asked for meanwhile
  connection = new Connection({ ...where, codecs: found }, (name, what) => {
    if (name === "picture") take(what);
    else if (name === "room") return;
    else {
      if (name === "welcome") void encoder.allow(what.codecs, size);
      if (name === "lost") { encoder.close(); decoder.close(); }
      if (name === "message" && what.key) encoder.wantsKey = true;
      post({ type: name, data: what });
    }
  });
  connection.open();
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
    sends: encoder.codec,
    gets: decoder.codec,
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
      wanted += 1;
      void connect(data.where, wanted);
      break;
    case "disconnect":
      wanted += 1;
      connection?.close();
      connection = null;
      encoder.close();
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
      ticking = setInterval(() => connection?.seated && !encoder.isBusy && post({ type: "tick" }), 1000 / data.rate);
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
