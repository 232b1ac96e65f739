// @ts-check
// Encodes the patches of a canvas. Not in the page: there Chromium encodes PNG only when nothing else
// is to do, and while somebody draws there always is.

const canvas = new OffscreenCanvas(1, 1);
const context = canvas.getContext("2d", { alpha: false });

self.onmessage = async (/** @type {MessageEvent<ImageBitmap>} */ { data: bitmap }) => {
  [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
  context?.drawImage(bitmap, 0, 0);
  bitmap.close();
  const blob = await canvas.convertToBlob({ type: "image/png" });
  const bytes = await blob.arrayBuffer();
  self.postMessage(bytes, { transfer: [bytes] });
};
