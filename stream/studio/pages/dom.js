// @ts-check
// Elements by name, elements by description, and what the page remembers.

/**
 * The element of this id.
 * @template {HTMLElement} [T=any]
 * @param {string} id
 * @returns {T}
 */
export function get(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`there is no #${id}`);
  return /** @type {T} */ (found);
}

/**
 * A new element. Text goes in as text, never as markup.
 * @param {string} name
 * @param {Record<string, any>} [properties] Attributes; `class`, `text`, and listeners as `onclick`.
 * @param {...(Node | string | null | undefined)} children
 * @returns {any}
 */
export function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "text") element.textContent = value;
    else if (typeof value === "boolean") element.toggleAttribute(key, value);
    else if (value !== null && value !== undefined) element.setAttribute(key, String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/**
 * A drawn sign.
 * @param {string} path
 * @param {string} [kind]
 */
export function icon(path, kind = "icon") {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", kind);
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

/** Show how far a slider is. @param {HTMLInputElement} slider */
export function fill(slider) {
  const share = (Number(slider.value) - Number(slider.min)) / (Number(slider.max) - Number(slider.min));
  slider.style.setProperty("--fill", `${100 * share}%`);
}

/**
 * What this browser remembers under a name.
 * @template T
 * @param {string} name
 * @param {T} otherwise
 * @returns {T}
 */
export function recall(name, otherwise) {
  try {
    const text = localStorage.getItem(`allaprima.${name}`);
    return text === null ? otherwise : JSON.parse(text);
  } catch {
    return otherwise;
  }
}

/** @param {string} name @param {unknown} value */
export function remember(name, value) {
  try {
    localStorage.setItem(`allaprima.${name}`, JSON.stringify(value));
  } catch {
    // a browser that keeps nothing
  }
}

/**
 * Say something for a while.
 * @param {string} text
 * @param {{link?: string, label?: string, name?: string, ms?: number}} [more] A file to download.
 */
export function toast(text, { link, label = "Download", name = "", ms = 6000 } = {}) {
  const box = make("div", { class: link ? "toast" : "toast plain" }, make("span", { text }));
  if (link) {
    box.append(make("a", { class: "button primary", href: link, download: name, text: label, onclick: () => box.remove() }),
      make("button", { class: "button icon-only", "aria-label": "Not now", onclick: () => box.remove() }, icon("M6 6l12 12M18 6L6 18")));
  }
  get("toasts").append(box);
  setTimeout(() => box.remove(), link ? 60000 : ms);
}

/** Save a file. @param {Blob} blob @param {string} name */
export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = make("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

/** A text with a capital letter. @param {string} text */
export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/**
 * A switch that can be turned.
 * @param {HTMLElement} element
 * @param {(on: boolean) => void} changed
 */
export function onSwitch(element, changed) {
  element.addEventListener("click", () => {
    const on = element.getAttribute("aria-checked") !== "true";
    element.setAttribute("aria-checked", String(on));
    changed(on);
  });
}

/**
 * A border between two pictures that can be dragged, or moved with the arrow keys.
 * @param {HTMLElement} grip
 * @param {HTMLElement} picture
 * @param {() => number} at In percent of the picture's width.
 * @param {(at: number) => void} set
 */
export function onGrip(grip, picture, at, set) {
  const move = (/** @type {number} */ to) => set(Math.min(100, Math.max(0, to)));
  grip.onpointerdown = (event) => grip.setPointerCapture(event.pointerId);
  grip.onpointermove = (event) => {
    if (!grip.hasPointerCapture(event.pointerId)) return;
    const box = picture.getBoundingClientRect();
    move((100 * (event.clientX - box.left)) / box.width);
  };
  grip.onkeydown = (event) => {
    const by = event.key === "ArrowLeft" ? -2 : event.key === "ArrowRight" ? 2 : 0;
    if (by) move(at() + by);
  };
}
