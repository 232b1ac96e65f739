// @ts-check
// What comes from the server, as something that can be drawn: JPEG, or H.264 where this browser has it.

import { H264, JPEG, KEY } from "./wire.js";

const ANY = "avc1.42E028";
const SEQUENCE_PARAMETERS = 7;

/** @typedef {ReturnType<typeof import("./wire.js").unpack>} Picture */

/** The codecs that this browser can show, for the hello. @returns {Promise<string[]>} */
export async function codecs() {
  const found = await self.VideoDecoder?.isConfigSupported({ codec: ANY, optimizeForLatency: true }).catch(() => null);
  return found?.supported ? ["jpeg", "h264"] : ["jpeg"];
}

/** The name of a stream's codec, from its first picture. @param {Uint8Array} bytes Annex B. */
function nameOf(bytes) {
  for (let at = 0; at + 6 < bytes.length; at += 1) {
    if (bytes[at] || bytes[at + 1] || bytes[at + 2] !== 1 || (bytes[at + 3] & 31) !== SEQUENCE_PARAMETERS) continue;
    return `avc1.${[...bytes.subarray(at + 4, at + 7)].map((value) => value.toString(16).padStart(2, "0")).join("")}`;
  }
  return ANY;
}

export class PictureDecoder {
  /**
   * @param {(image: ImageBitmap | VideoFrame, picture: Picture) => void} draw Told of each picture in
   *   order; the image is closed afterwards.
   * @param {{done: () => void, key: () => void}} then After each picture, drawn or not; a picture is
   *   needed that decoding can begin with.
   */
  constructor(draw, then) {
    this.draw = draw;
    this.then = then;
    this.codec = "jpeg";
    this.count = 0;
    /** @type {VideoDecoder | null} */
    this.film = null;
    /** @type {Map<number, Picture>} */
    this.waiting = new Map();
  }

  /** @param {Picture} picture */
  async take(picture) {
    if (picture.kind === H264) this.takeFilm(picture);
    else if (picture.kind === JPEG) {
      this.codec = "jpeg";
      this.close();
      await this.takeStill(picture);
    }
  }

  /** @param {Picture} picture */
  async takeStill(picture) {
    try {
      const bitmap = await createImageBitmap(new Blob([picture.payload.slice()], { type: "image/jpeg" }));
      this.draw(bitmap, picture);
      bitmap.close();
    } finally {
      this.then.done();
    }
  }

  /** @param {Picture} picture */
  takeFilm(picture) {
    const isKey = Boolean(picture.flags & KEY);
    this.codec = "h264";
    if (isKey && !this.film) this.film = this.begin(nameOf(picture.payload));
    if (!this.film) {
      this.then.done();
      this.then.key();
      return;
    }
    this.count += 1;
    this.waiting.set(this.count, picture);
    this.film.decode(new EncodedVideoChunk({ type: isKey ? "key" : "delta", timestamp: this.count, data: picture.payload }));
  }

  /** @param {string} codec */
  begin(codec) {
    const film = new VideoDecoder({
      output: (frame) => {
        const picture = this.waiting.get(frame.timestamp);
        this.waiting.delete(frame.timestamp);
        if (picture && film === this.film) this.draw(frame, picture);
        frame.close();
        this.then.done();
      },
      error: () => film === this.film && this.lost(),
    });
    film.configure({ codec, optimizeForLatency: true });
    return film;
  }

  /** Nothing can be decoded until the next key picture; what was on its way counts as seen. */
  lost() {
    const missed = this.waiting.size;
    this.close();
    for (let index = 0; index < missed; index += 1) this.then.done();
    this.then.key();
  }

  close() {
    this.waiting.clear();
    if (this.film && this.film.state !== "closed") this.film.close();
    this.film = null;
  }
}
