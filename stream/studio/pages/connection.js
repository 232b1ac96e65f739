// @ts-check
// A page's socket: hello, seat, credit, and coming back after it was lost. Used by pages and by
// the worker of the live page.

import { pack, unpack, VERSION } from "./wire.js";

const MOST_IN_FLIGHT = 2;
const FIRST_RETRY_MS = 250, LAST_RETRY_MS = 4000, JITTER_MS = 250;
const KEY_WRONG = 4401, IDLE = 4408, ELSEWHERE = 4409, BUSY = 4429;

/**
 * @typedef {{url: string, key: string, kind: string, size: number[], rate: number, resume: string,
 *   look: Record<string, unknown>, codecs?: string[]}} Where
 */

export class Connection {
  /**
   * @param {Where} where
   * @param {(name: string, data?: any) => void} tell Told of: welcome, message, picture, lost,
   *   closed (with a reason), room.
   */
  constructor(where, tell) {
    this.where = where;
    this.tell = tell;
    this.id = 0;
    this.acknowledged = 0;
    this.wanted = false;
    this.retryMs = FIRST_RETRY_MS;
    /** @type {WebSocket | null} */
    this.socket = null;
    this.seated = false;
    this.timer = 0;
    this.fullSince = 0;
    this.fullMs = 0;
  }

  open() {
    this.wanted = true;
    clearTimeout(this.timer);
    const socket = new WebSocket(this.where.url);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.onopen = () => {
      const { key, kind, size, rate, resume, look, codecs } = this.where;
      socket.send(JSON.stringify({ hello: VERSION, key, kind, size, rate, resume, look, codecs }));
    };
    socket.onmessage = (event) => this.hear(event.data);
    socket.onclose = (event) => socket === this.socket && this.closed(event.code);
  }

  close() {
    this.wanted = false;
    clearTimeout(this.timer);
    this.seated = false;
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }

  /** Whether another picture may be sent. */
  get room() {
    return this.seated && this.id - this.acknowledged < MOST_IN_FLIGHT;
  }

  /** For how long there was no room since this was last asked, in ms. */
  takeFullMs() {
    const now = performance.now();
    const full = this.fullMs + (this.seated && !this.room ? now - this.fullSince : 0);
    this.fullMs = 0;
    this.fullSince = now;
    return full;
  }

  /** @param {Record<string, unknown>} message */
  say(message) {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }

  /**
   * Send a picture; its number, by which its painting is known.
   * @param {number} kind
   * @param {ArrayBuffer | Uint8Array} payload
   * @param {{flags?: number, rectangle?: number[]}} [more]
   */
  send(kind, payload, more) {
    this.id += 1;
    if (this.socket?.readyState === WebSocket.OPEN) {
      this.socket.send(pack(kind, this.id, payload, more));
    }
    if (!this.room) this.fullSince = performance.now();
    return this.id;
  }

  /**
   * Send what needs no acknowledgement.
   * @param {number} kind
   * @param {ArrayBuffer | Uint8Array} payload
   */
  pour(kind, payload) {
    if (this.seated && this.socket?.readyState === WebSocket.OPEN) {
      this.socket.send(pack(kind, 0, payload));
    }
  }

  /** A painting has been drawn. */
  acknowledge() {
    this.say({ ack: 1 });
  }

  /** @param {string | ArrayBuffer} data */
  hear(data) {
    if (typeof data !== "string") {
      this.tell("picture", unpack(data));
      return;
    }
    const message = JSON.parse(data);
    if (message.ack !== undefined) {
      const wasFull = !this.room;
      this.acknowledged = Math.max(this.acknowledged, message.ack);
      if (wasFull && this.room) this.fullMs += performance.now() - this.fullSince;
      this.tell("room");
      return;
    }
    if (message.welcome) {
      this.seated = true;
      this.retryMs = FIRST_RETRY_MS;
      this.acknowledged = this.id;
      this.where.resume = message.welcome.seat;
      this.tell("welcome", message.welcome);
      return;
    }
    this.tell("message", message);
  }

  /** @param {number} code */
  closed(code) {
    this.seated = false;
    this.socket = null;
    if (!this.wanted) return;
    /** @type {Record<number, string>} */
    const reasons = { [KEY_WRONG]: "key", [IDLE]: "idle", [ELSEWHERE]: "elsewhere", [BUSY]: "full" };
    if (code in reasons) {
      this.wanted = false;
      this.tell("closed", reasons[code]);
      return;
    }
    this.tell("lost");
    const waitMs = this.retryMs + Math.random() * JITTER_MS;
    this.retryMs = Math.min(LAST_RETRY_MS, 2 * this.retryMs);
    this.timer = setTimeout(() => this.wanted && this.open(), waitMs);
  }
}
