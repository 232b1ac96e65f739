// @ts-check
// The wire protocol, version 1, as stream/studio/protocol.py has it.

export const VERSION = 1;
export const JPEG = 1, H264 = 2, PATCH = 3, SOUND = 4, THUMBNAIL = 5, PHOTO = 6;
export const KEY = 1, FULL = 2, AT_REST = 4;
const HEADER = 16;

/**
 * A binary message.
 * @param {number} kind
 * @param {number} id
 * @param {ArrayBuffer | Uint8Array} payload
 * @param {{flags?: number, rectangle?: number[]}} [more]
 */
export function pack(kind, id, payload, { flags = 0, rectangle } = {}) {
  const body = payload instanceof Uint8Array ? payload : new Uint8Array(payload);
  const extra = rectangle ? 8 : 0;
  const message = new Uint8Array(HEADER + extra + body.length);
  const view = new DataView(message.buffer);
  view.setUint8(0, kind);
  view.setUint8(1, flags);
  view.setUint16(2, extra, true);
  view.setUint32(4, id, true);
  view.setBigUint64(8, BigInt(Math.round(performance.now() * 1000)), true);
  rectangle?.forEach((value, index) => view.setUint16(HEADER + 2 * index, value, true));
  message.set(body, HEADER + extra);
  return message;
}

/**
 * What a binary message says.
 * @param {ArrayBuffer} message
 */
export function unpack(message) {
  const view = new DataView(message);
  const extra = view.getUint16(2, true);
  const times = extra >= 6 ? [0, 2, 4].map((at) => view.getUint16(HEADER + at, true)) : [];
  return {
    kind: view.getUint8(0),
    flags: view.getUint8(1),
    id: view.getUint32(4, true),
    times,
    payload: new Uint8Array(message, HEADER + extra),
  };
}
