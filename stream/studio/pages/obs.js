// @ts-check
// The page for OBS: the painting on nothing, no words; the last picture stays, retries never end.

import { Connection } from "./connection.js";
import { codecs, PictureDecoder } from "./picture-decoder.js";

const AGAIN_MS = 2000;

const canvas = /** @type {HTMLCanvasElement} */ (document.getElementById("painting"));
const context = canvas.getContext("2d", { alpha: false });
const key = new URLSearchParams(location.hash.slice(1)).get("key")
  || document.querySelector('meta[name="key"]')?.getAttribute("content") || "";
const url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`;
const where = { url, key, kind: "watch", size: [512, 288], rate: 24, resume: "", look: {}, codecs: await codecs() };

const connection = new Connection(where, (name, data) => {
  if (name === "picture") void decoder.take(data);
  if (name === "lost") decoder.close();
  if (name === "closed") setTimeout(() => connection.open(), AGAIN_MS);
});

const decoder = new PictureDecoder(
  (image) => {
    const [width, height] = image instanceof ImageBitmap ? [image.width, image.height] : [image.displayWidth, image.displayHeight];
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    context?.drawImage(image, 0, 0);
    canvas.classList.add("there");
  },
  { done: () => connection.acknowledge(), key: () => connection.say({ key: true }) });

connection.open();
