// @ts-check
// The look: what is painted and how far it goes, in a panel of sliders, and the strip of styles.

import { capital, fill, make, recall, remember } from "./dom.js";

const SEND_MS = 50;
const HOLD_MS = 400;

/** @typedef {Record<string, any>} Words */

/**
 * The panel of one screen. It tells of changes at most 20 times a second, the last one always, and
 * takes no echo of its own while somebody holds a control.
 */
export class LookPanel {
  /**
   * @param {HTMLElement} place
   * @param {string} name Under which the browser remembers the look.
   * @param {(changes: Words) => void} changed
   * @param {Words} [usual] How the model likes to be used.
   */
  constructor(place, name, changed, usual = {}) {
    this.name = name;
    this.changed = changed;
    /** @type {Words} */
    this.look = { ...usual, ...recall(`look.${name}`, {}) };
    /** @type {Words} */
    this.pending = {};
    this.sentAt = 0;
    this.touchedAt = -1e9;
    this.timer = 0;
    /** @type {(() => void)[]} */
    this.refreshers = [];
    const prompt = make("textarea", { rows: "2", maxlength: "500", spellcheck: "false", "aria-label": "Look, in words", placeholder: "oil painting, neon, or two mixed: van gogh:0.6 | neon:0.4" });
    prompt.addEventListener("input", () => this.set({ prompt: prompt.value.trim() }, 250));
    this.refreshers.push(() => {
      if (document.activeElement !== prompt) prompt.value = this.look.prompt ?? "";
    });
    place.className = "group";
    place.append(
      make("h2", { text: "Look" }), prompt,
      this.slider("strength", "Strength", 0.05, 1, 0.01),
      this.slider("stability", "Stability", 0, 1, 0.01),
      this.steps(), this.seed());
    if (name === "live") place.append(this.people());
    this.refresh();
  }

  /** @param {string} word @param {string} label @param {number} min @param {number} max @param {number} step */
  slider(word, label, min, max, step) {
    const id = `${this.name}-${word}`;
    const input = make("input", { type: "range", id, min, max, step });
    const output = make("output", { for: id });
    input.addEventListener("input", () => this.set({ [word]: Number(input.value) }));
    this.refreshers.push(() => {
      input.value = String(this.look[word] ?? 0.5);
      output.textContent = Number(input.value).toFixed(2);
      fill(input);
    });
    return make("div", { class: "slider" }, make("label", { for: id, text: label }), output, input);
  }

  steps() {
    const counts = [1, 2, 3, 4];
    const buttons = counts.map((steps) => make("button", {
      role: "radio", text: String(steps), "aria-label": steps === 1 ? "1 step" : `${steps} steps`,
      onclick: () => this.set({ steps }),
    }));
    this.refreshers.push(() => buttons.forEach((button, index) =>
      button.setAttribute("aria-checked", String(counts[index] === (this.look.steps ?? 1)))));
    return make("div", {}, make("div", { class: "slider" }, make("label", { text: "Steps" })),
      make("div", { class: "segments", role: "radiogroup", "aria-label": "Steps" }, ...buttons));
  }

  seed() {
    const input = make("input", { class: "field", id: `${this.name}-seed`, inputmode: "numeric", pattern: "[0-9]*" });
    input.addEventListener("change", () => this.set({ seed: Math.max(0, Math.round(Number(input.value) || 0)) }));
    const shuffle = make("button", { class: "button", text: "Shuffle", onclick: () => this.set({ seed: Math.floor(Math.random() * 10000) }) });
    this.refreshers.push(() => {
      if (document.activeElement !== input) input.value = String(this.look.seed ?? 0);
    });
    return make("div", {}, make("div", { class: "slider" }, make("label", { for: `${this.name}-seed`, text: "Seed" })),
      make("div", { class: "row" }, input, shuffle));
  }

  /** Whether the room stays as it is. */
  people() {
    const id = `${this.name}-mask`;
    const control = make("button", { class: "switch", id, role: "switch", onclick: () => this.set({ mask: !this.look.mask }) });
    this.refreshers.push(() => control.setAttribute("aria-checked", String(Boolean(this.look.mask))));
    const label = make("label", { for: id, text: "Only people" });
    label.append(make("small", { text: "the room stays as it is" }));
    return make("div", { class: "switch-row" }, label, control);
  }

  /** The words to start a seat with. */
  get words() {
    const { prompt, strength, stability, steps, seed, grain, mask } = this.look;
    const words = { prompt, strength, stability, steps, seed, grain, mask: this.name === "live" ? mask : undefined };
    return Object.fromEntries(Object.entries(words).filter(([, value]) => value !== undefined));
  }

  /**
   * Somebody changed something.
   * @param {Words} changes
   * @param {number} [afterMs]
   */
  set(changes, afterMs = 0) {
    Object.assign(this.look, changes);
    Object.assign(this.pending, changes);
    this.touchedAt = performance.now();
    remember(`look.${this.name}`, this.words);
    this.refresh();
    clearTimeout(this.timer);
    const wait = Math.max(afterMs, this.sentAt + SEND_MS - performance.now());
    if (wait <= 0) this.flush();
    else this.timer = setTimeout(() => this.flush(), wait);
  }

  /** A little more, or less, of a value from `least` to 1. @param {string} word @param {number} by @param {number} least */
  nudge(word, by, least) {
    const value = (this.look[word] ?? 0.5) + by;
    this.set({ [word]: Math.round(100 * Math.min(1, Math.max(least, value))) / 100 });
  }

  flush() {
    this.sentAt = performance.now();
    const changes = this.pending;
    this.pending = {};
    if (Object.keys(changes).length) this.changed(changes);
  }

  /** The server says what holds. @param {Words} look */
  adopt(look) {
    if (performance.now() - this.touchedAt < HOLD_MS) return;
    this.look = { ...this.look, ...look };
    this.refresh();
  }

  refresh() {
    for (const refresh of this.refreshers) refresh();
  }
}

/** The strip of styles under a picture. */
export class Strip {
  /**
   * @param {HTMLElement} place
   * @param {{prompt: string, description: string}[]} styles
   * @param {LookPanel} panel
   */
  constructor(place, styles, panel) {
    this.styles = styles;
    this.panel = panel;
    /** @type {string[]} */
    this.urls = [];
    this.images = styles.map(({ prompt }) =>
      make("img", { src: `/pages/thumbs/${prompt.replaceAll(" ", "-")}.jpg`, alt: "", width: "104", height: "60", loading: "lazy" }));
    this.buttons = styles.map(({ prompt, description }, index) =>
      make("button", { class: "style", role: "option", title: capital(description), onclick: () => this.choose(index) },
        this.images[index], make("span", { text: capital(prompt) })));
    place.replaceChildren(...this.buttons);
    panel.refreshers.push(() => this.refresh());
    this.refresh();
  }

  /** @param {number} index */
  choose(index) {
    this.panel.set({ prompt: this.styles[index].prompt });
    this.buttons[index].scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  /** One further, or back. @param {number} by */
  step(by) {
    const now = this.styles.findIndex(({ prompt }) => prompt === this.panel.look.prompt);
    this.choose((now + by + this.styles.length) % this.styles.length);
  }

  /** The person's own picture in a style. @param {number} index @param {Uint8Array<ArrayBuffer>} bytes */
  show(index, bytes) {
    if (!this.images[index]) return;
    if (this.urls[index]) URL.revokeObjectURL(this.urls[index]);
    this.urls[index] = URL.createObjectURL(new Blob([bytes], { type: "image/jpeg" }));
    this.images[index].src = this.urls[index];
  }

  refresh() {
    this.buttons.forEach((button, index) =>
      button.setAttribute("aria-selected", String(this.styles[index].prompt === this.panel.look.prompt)));
  }
}

