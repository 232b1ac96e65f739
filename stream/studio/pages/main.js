// @ts-check
// Where the page begins: the key, the three screens, and what they share.

import { Canvas } from "./canvas.js";
import { Files } from "./files.js";
import { Live } from "./live.js";
import { get, make } from "./dom.js";
import { aboutSeats } from "./words.js";

/** @typedef {{text: string, dot?: string, title?: string}} Chip */

const SEAT = "allaprima.seat", KEY = "allaprima.key";

/** What the screens share: the key, the seat, and the chips at the top. */
export class Shared {
  /** @param {any} info */
  constructor(info) {
    this.styles = info.styles;
    this.ready = info.ready;
    this.side = info.side;
    this.look = info.look;
    this.canvasSide = info.canvas;
    this.key = findKey();
    this.shown = "";
  }

  /** @param {string} kind @param {number[]} size @param {number} rate @param {Record<string, any>} look */
  where(kind, size, rate, look) {
    const url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`;
    return { url, key: this.key, kind, size, rate, look, resume: sessionStorage.getItem(SEAT) ?? "" };
  }

  /** @param {string} seat */
  seat(seat) {
    sessionStorage.setItem(SEAT, seat);
  }

  /** @param {Chip[]} chips */
  chips(chips) {
    const wanted = chips.filter(({ text }) => text);
    const key = JSON.stringify(wanted);
    if (key === this.shown) return;
    this.shown = key;
    get("chips").replaceChildren(...wanted.map(({ text, dot, title }) =>
      make("span", { class: "chip", title }, dot ? make("i", { class: dot === "good" ? "dot" : `dot ${dot}` }) : null, text)));
  }

  /** @param {any} seats */
  seatsText(seats) {
    return seats ? aboutSeats(seats) : "";
  }

  /** Where OBS finds the painting. */
  stageAddress() {
    return `${location.origin}/obs`;
  }
}

/** The key of the address, which is taken out of it, or that the page was served with. */
function findKey() {
  const found = new URLSearchParams(location.hash.slice(1)).get("key");
  if (found) {
    sessionStorage.setItem(KEY, found);
    history.replaceState(null, "", `${location.pathname}#live`);
  }
  const served = document.querySelector('meta[name="key"]')?.getAttribute("content");
  return served || sessionStorage.getItem(KEY) || "";
}

async function begin() {
  const shared = new Shared(await (await fetch("/api/info")).json());
  const live = new Live(shared), canvas = new Canvas(shared), files = new Files(shared);
  /** @type {Record<string, {open(): unknown, close(): unknown, key(event: KeyboardEvent): void}>} */
  const screens = { live, canvas, files };
  let current = "";
  const show = () => {
    const wanted = location.hash.slice(1);
    const name = wanted in screens ? wanted : "live";
    if (name === current) return;
    if (current) screens[current].close();
    current = name;
    for (const other of Object.keys(screens)) get(other).hidden = other !== name;
    for (const link of document.querySelectorAll(".top nav a")) {
      if (link.getAttribute("href") === `#${name}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    scrollTo(0, 0);
    void screens[name].open();
  };
  addEventListener("hashchange", show);
  addEventListener("keydown", (event) => {
    const target = /** @type {Element} */ (event.target);
    const isTyping = target.matches?.("textarea, select, input:not([type=range]):not([type=color])");
    if (!isTyping) screens[current].key(event);
  });
  Object.assign(window, { studio: screens });
  show();
}

void begin();
