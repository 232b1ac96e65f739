// @ts-check
// The page for OBS: the painting on nothing, no words; the last picture stays, retries never end.

import { Connection } from "./connection.js";
import { JPEG } from "./wire.js";

const AGAIN_MS = 2000;

const canvas = /** @type {HTMLCanvasElement} */ (document.getElementById("painting"));
const context = canvas.getContext("2d", { alpha: false });
const key = new URLSearchParams(location.hash.slice(1)).get("key")
  || document.querySelector('meta[name="key"]')?.getAttribute("content") || "";
const url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`;
const where = { url, key, kind: "watch", size: [512, 288], rate: 24, resume: "", look: {} };

const connection = new Connection(where, (name, data) => {
  if (name === "picture") void draw(data);
  if (name === "closed") setTimeout(() => connection.open(), AGAIN_MS);
});

/** @param {ReturnType<typeof import("./wire.js").unpack>} picture */
async function draw(picture) {
  if (picture.kind !== JPEG) return;
  try {
    const bitmap = await createImageBitmap(new Blob([picture.payload.slice()], { type: "image/jpeg" }));
    if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
      [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
    }
    context?.drawImage(bitmap, 0, 0);
    bitmap.close();
    canvas.classList.add("there");
  } finally {
    connection.acknowledge();
  }
}

connection.open();
