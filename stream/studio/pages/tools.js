// @ts-check
// What one draws with: the tool, its size and opacity, the colour.

import { fill, get, icon, make, recall, remember } from "./dom.js";

const COLOURS = [
  "#1f2a44", "#3f6fb5", "#8fb7e0", "#e9d7b8", "#f0c890", "#f7e18c", "#d9773c", "#a23b2c",
  "#5a3927", "#2f4a2a", "#5f8b3a", "#a3b85a", "#7a6a8a", "#d9a0a8", "#ffffff", "#26231f",
];
const TOOLS = [
  { name: "brush", label: "Brush", key: "b", path: "M4 20c3 0 5-1 5-4a2.5 2.5 0 00-4-2c-1.600 1.200-.4 4-1 6zM9.500 14L20 3.500" },
  { name: "pencil", label: "Pencil", key: "n", path: "M4 20l1-4L16 5l3 3L8 19zM14 7l3 3" },
  { name: "line", label: "Line", key: "l", path: "M5 19L19 5M3.500 19a1.500 1.500 0 103 0 1.500 1.500 0 10-3 0M17.500 5a1.500 1.500 0 103 0 1.500 1.500 0 10-3 0" },
  { name: "eraser", label: "Eraser", key: "e", path: "M8 20h12M5.500 16.500l9-11 5 4-8.500 10.500H8z" },
  { name: "fill", label: "Fill", key: "g", path: "M11 4l8 8-7 7-8-8 7-7zM4 11h14M20 15c1.400 2 1.400 4 0 4s-1.400-2 0-4" },
  { name: "picker", label: "Pick a colour", key: "i", path: "M4 20l1-4 8-8 3 3-8 8zM12 7l2-2a2.500 2.500 0 014 4l-2 2" },
];
const UNITS = { "brush-size": " px", "brush-opacity": " %", "brush-grain": "" };
const LARGER = 1.15;

export class Tools {
  /** @param {(grain: number) => void} setGrain */
  constructor(setGrain) {
    this.setGrain = setGrain;
    this.tool = "brush";
    this.before = "brush";
    this.colour = recall("colour", COLOURS[1]);
    get("tools").prepend(...TOOLS.map(({ name, label, key, path }) =>
      make("button", { class: "tool", role: "radio", "data-tool": name, "aria-label": label, title: `${label} (${key.toUpperCase()})`, onclick: () => this.setTool(name) }, icon(path))));
    this.setTool("brush");
    this.makePalette();
    for (const id of Object.keys(UNITS)) this.makeSlider(id);
  }

  // The tool

  /** @param {string} name */
  setTool(name) {
    if (this.tool !== "picker") this.before = this.tool;
    this.tool = name;
    for (const button of get("tools").querySelectorAll(".tool[data-tool]")) button.setAttribute("aria-checked", String(button.getAttribute("data-tool") === name));
  }

  get brush() {
    const size = Number(get("brush-size").value);
    const isPencil = this.tool === "pencil";
    return { size: isPencil ? Math.max(1.5, size / 8) : size, colour: this.colour, bristles: !isPencil && this.tool !== "eraser" };
  }

  get opacity() {
    return Number(get("brush-opacity").value) / 100;
  }

  /** @param {string} id */
  makeSlider(id) {
    const input = get(id);
    input.value = recall(id, input.value);
    input.oninput = () => {
      this.showSlider(id);
      remember(id, input.value);
      if (id === "brush-grain") this.setGrain(Number(input.value));
    };
    this.showSlider(id);
  }

  /** @param {string} id */
  showSlider(id) {
    const input = get(id);
    input.parentElement.querySelector("output").textContent = `${input.value}${/** @type {any} */ (UNITS)[id]}`;
    fill(input);
  }

  /** The server says how much grain there is. @param {number | undefined} grain */
  showGrain(grain) {
    const input = get("brush-grain");
    if (grain === undefined || document.activeElement === input) return;
    input.value = String(grain);
    this.showSlider("brush-grain");
  }

  /** A tool's key, or another size. @param {string} key */
  key(key) {
    const tool = TOOLS.find((one) => one.key === key);
    if (tool) this.setTool(tool.name);
    if (key === "[" || key === "]") {
      const size = get("brush-size"), by = key === "]" ? LARGER : 1 / LARGER;
      size.value = String(Number(size.value) + Math.sign(by - 1) * Math.max(1, Math.abs(Number(size.value) * (by - 1))));
      size.oninput();
    }
  }

  // The colour

  makePalette() {
    const own = make("input", { type: "color", "aria-label": "A colour of your own" });
    own.addEventListener("input", () => this.setColour(own.value));
    this.own = own;
    this.swatches = COLOURS.map((colour) => {
      const swatch = make("button", { class: "swatch", role: "radio", "aria-label": colour, "data-colour": colour, onclick: () => this.setColour(colour) });
      swatch.style.background = colour;
      return swatch;
    });
    get("swatches").replaceChildren(...this.swatches, make("label", { class: "own-colour" }, own, "Another colour"));
    this.setColour(this.colour);
  }

  /** @param {string} colour */
  setColour(colour) {
    this.colour = colour;
    remember("colour", colour);
    if (this.own) this.own.value = colour;
    for (const swatch of this.swatches ?? []) swatch.setAttribute("aria-checked", String(swatch.getAttribute("data-colour") === colour));
    if (this.tool === "picker") this.setTool(this.before === "eraser" ? "brush" : this.before);
    else if (this.tool === "eraser") this.setTool("brush");
  }
}
