// @ts-check
// The menu of what is painted live: cameras, a video file, the screen.

import { get, make } from "./dom.js";
import { PictureSource } from "./source.js";

export class SourceMenu {
  /**
   * @param {PictureSource} source
   * @param {{camera: (deviceId?: string) => void, file: () => void, screen: () => void}} choose
   */
  constructor(source, choose) {
    this.source = source;
    this.choose = choose;
    get("source").onclick = () => void this.toggle();
    document.addEventListener("click", (event) => {
      if (!(/** @type {Element} */ (event.target)).closest(".menu-holder")) this.close();
    });
    get("source-menu").onkeydown = (/** @type {KeyboardEvent} */ event) => this.key(event);
  }

  async toggle() {
    const menu = get("source-menu");
    if (!menu.hidden) {
      this.close();
      return;
    }
    const cameras = await PictureSource.cameras();
    const item = (/** @type {string} */ label, /** @type {() => void} */ act, checked = false) =>
      make("button", { role: "menuitemradio", "aria-checked": String(checked), text: label, onclick: () => { this.close(); act(); } });
    const now = this.source.source;
    const items = cameras.map(({ label, deviceId }) =>
      item(label, () => this.choose.camera(deviceId), now?.kind === "camera" && now.deviceId === deviceId));
    menu.replaceChildren(
      ...(items.length ? items : [item("Camera", () => this.choose.camera())]),
      make("hr"), item("A video file…", () => this.choose.file(), now?.kind === "file"),
      item("The screen or a window…", () => this.choose.screen(), now?.kind === "screen"));
    menu.hidden = false;
    get("source").setAttribute("aria-expanded", "true");
    menu.querySelector("button")?.focus();
  }

  close() {
    get("source-menu").hidden = true;
    get("source").setAttribute("aria-expanded", "false");
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const by = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (event.key === "Escape") {
      this.close();
      get("source").focus();
    } else if (by) {
      event.preventDefault();
      const items = [...get("source-menu").querySelectorAll("button")];
      const at = items.indexOf(document.activeElement);
      items[(at + by + items.length) % items.length].focus();
    } else return;
    event.stopPropagation();
  }
}
