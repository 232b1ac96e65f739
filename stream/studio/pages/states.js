// @ts-check
// What is said over a dimmed picture: a sentence, a line, and what to do next.

import { make } from "./dom.js";

/**
 * @typedef {{label: string, primary?: boolean, act: () => void}} Action
 * @typedef {{title: string, text?: string, actions?: Action[], busy?: boolean, soft?: boolean}} State
 */

export class StateLayer {
  /** @param {HTMLElement} element */
  constructor(element) {
    this.element = element;
    this.shown = "";
  }

  /**
   * Show a state, or none.
   * @param {string} name
   * @param {State} [state]
   */
  show(name, state) {
    if (name === this.shown && !state?.text) return;
    this.shown = name;
    this.element.hidden = !state;
    this.element.replaceChildren();
    if (!state) return;
    this.element.classList.toggle("soft", Boolean(state.soft));
    const buttons = (state.actions ?? []).map(({ label, primary, act }) =>
      make("button", { class: primary ? "button primary" : "button", text: label, onclick: act }));
    this.element.append(make("div", { role: "status" },
      make("h1", { text: state.title }),
      state.text ? make("p", { text: state.text }) : null,
      state.busy ? make("div", { class: "progress" }) : null,
      buttons.length ? make("div", { class: "buttons" }, ...buttons) : null));
  }

  /** Take a state away, if it is the one that is shown. @param {...string} names */
  clear(...names) {
    if (!names.length || names.includes(this.shown)) this.show("");
  }
}
