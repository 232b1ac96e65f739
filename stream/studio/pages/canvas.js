// @ts-check
// The canvas: somebody draws, and it is painted while they do.

import { Connection } from "./connection.js";
import { clip, union } from "./brush.js";
import { Drawing } from "./drawing.js";
import { fill, get, icon, make, recall, remember, save, toast } from "./dom.js";
import { LookPanel, Strip } from "./look.js";
import { StateLayer } from "./states.js";
import { keep, kept } from "./store.js";
import { aboutEffort, aboutLine } from "./words.js";
import { AT_REST, FULL, JPEG, PATCH, PHOTO, THUMBNAIL } from "./wire.js";

const SEND_MS = 33;
const KEEP_MS = 400;
const LOST_MS = 1000;
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
const MODES = [["side", "Side by side"], ["onto", "On the painting"], ["drawing", "Drawing"]];

export class Canvas {
  /** @param {import("./main.js").Shared} shared */
  constructor(shared) {
    this.shared = shared;
    this.side = shared.canvasSide;
    this.state = new StateLayer(get("canvas-state"));
    this.drawingContext = /** @type {CanvasRenderingContext2D} */ (get("drawing").getContext("2d", { alpha: false }));
    this.paintedContext = /** @type {CanvasRenderingContext2D} */ (get("painted").getContext("2d", { alpha: false }));
    this.inkContext = /** @type {CanvasRenderingContext2D} */ (get("ink").getContext("2d"));
    this.drawing = new Drawing(this.side, (bounds) => this.changed(bounds));
    this.panel = new LookPanel(get("canvas-look"), "canvas", (changes) => this.connection?.say({ set: changes, n: ++this.number }), shared.look);
    this.number = 0;
    this.strip = new Strip(get("canvas-strip"), shared.styles, this.panel);
    /** @type {Connection | null} */
    this.connection = null;
    this.tool = "brush";
    this.colour = recall("colour", COLOURS[1]);
    this.mode = recall("canvas.mode", innerWidth < 760 ? "onto" : "side");
    /** @type {import("./brush.js").Rectangle | null} */
    this.dirty = null;
    this.isSending = false;
    this.sentAt = 0;
    this.sendTimer = 0;
    this.keepTimer = 0;
    this.lostTimer = 0;
    this.changedAt = 0;
    this.count = 0;
    this.latencyMs = 0;
    this.stats = null;
    this.isAtRest = false;
    /** @type {Map<number, number>} */
    this.sentTimes = new Map();
    /** @type {number | null} */
    this.pointer = null;
    this.lineFrom = null;
    this.isRestored = false;
    this.makeTools();
    this.makePalette();
    this.wire();
    this.drawingContext.drawImage(this.drawing.flat.canvas, 0, 0);
    this.paintedContext.drawImage(this.drawing.flat.canvas, 0, 0);
    this.setMode(this.mode);
    this.showLayers();
  }

  // The screen

  async open() {
    if (!this.isRestored) {
      this.isRestored = true;
      await this.drawing.restore(await kept());
      this.showLayers();
    }
    this.connect();
  }

  close() {
    clearTimeout(this.lostTimer);
    this.connection?.close();
    this.connection = null;
    get("cursor").hidden = true;
  }

  connect() {
    this.connection?.close();
    const where = this.shared.where("canvas", [this.side, this.side], 24, this.panel.words);
    this.connection = new Connection(where, (name, data) => this.hear(name, data));
    this.connection.open();
    this.shared.chips([{ text: "Connecting", dot: "wait" }]);
  }

  /** @param {string} name @param {any} data */
  hear(name, data) {
    if (name === "picture") void this.take(data);
    else if (name === "room") this.pump();
    else if (name === "welcome") this.welcomed(data);
    else if (name === "message") this.listen(data);
    else if (name === "lost") this.lost();
    else if (name === "closed") this.closed(data);
  }

  /** @param {any} welcome */
  welcomed(welcome) {
    clearTimeout(this.lostTimer);
    this.state.clear();
    this.shared.seat(welcome.seat);
    this.panel.adopt(welcome.look);
    this.showGrain();
    this.dirty = this.drawing.whole;
    if (!welcome.ready) this.state.show("loading", { title: "The model is loading", text: "Draw already; it is painted as soon as it can be.", busy: true, soft: true });
    this.pump();
  }

  /** @param {any} message */
  listen(message) {
    if (message.look) {
      this.panel.adopt(message.look);
      this.showGrain();
    }
    if (message.error && message.n) toast(message.error);
    if (message.stats) {
      this.stats = message.stats;
      if (message.stats.ready) {
        this.shared.ready = true;
        this.state.clear("loading");
      }
      this.showFigures();
    }
    if (message.busy) this.state.show("busy", { title: "All seats are taken", text: `${aboutLine(message.busy)} Draw meanwhile.`, busy: true });
    if (message.idle) toast(`Somebody is waiting. Draw on, or your seat is free in ${message.idle.seconds} seconds.`);
    if (message.failed) this.state.show("failed", { title: "The model could not paint this", text: message.failed, actions: [{ label: "Try again", primary: true, act: () => this.connect() }] });
    if (message.timelapse) this.filmed(message.timelapse);
  }

  lost() {
    clearTimeout(this.lostTimer);
    this.lostTimer = setTimeout(() => {
      this.state.show("lost", { title: "The studio does not answer", text: "Your drawing is safe here. Trying again.", busy: true });
      this.shared.chips([{ text: "Not connected", dot: "bad" }]);
    }, LOST_MS);
  }

  /** @param {string} reason */
  closed(reason) {
    const again = [{ label: "Paint here", primary: true, act: () => this.connect() }];
    const said = {
      elsewhere: { title: "You are painting in another window", text: "A seat has one page at a time.", actions: again },
      idle: { title: "Your seat went to somebody who waited", text: "Your drawing is safe here.", actions: again },
      full: { title: "Too many people are waiting", text: "Your drawing is safe here.", actions: again },
      key: { title: "This page needs the studio’s key", text: "Open the address that the studio showed when it started; it ends in #key=…" },
    }[reason];
    if (said) this.state.show(reason, said);
    this.shared.chips([{ text: "Not painting", dot: "bad" }]);
  }

  showFigures() {
    if (!this.connection?.seated) return;
    const seats = this.shared.seatsText(this.stats?.seats);
    const said = !this.shared.ready ? "Loading" : this.isAtRest ? "Painted" : this.latencyMs ? `Painted in ${Math.round(this.latencyMs)} ms` : "Ready";
    this.shared.chips([{ text: said, dot: this.shared.ready ? "good" : "wait", title: "From the stroke to the painting" }, { text: seats }]);
    get("canvas-note").textContent = this.isAtRest ? "" : aboutEffort(this.stats?.effort);
  }

  // Patches out, paintings in

  /** @param {import("./brush.js").Rectangle} bounds */
  changed(bounds) {
    const r = bounds;
    this.drawingContext.drawImage(this.drawing.flat.canvas, r.x, r.y, r.w, r.h, r.x, r.y, r.w, r.h);
    get("invitation").style.opacity = this.drawing.isEmpty && !this.drawing.stroke ? "1" : "0";
    if (this.mode === "onto" && this.drawing.stroke && !this.drawing.isErasing) this.showInk(r);
    if (!this.dirty) this.changedAt = performance.now();
    this.dirty = union(this.dirty, r);
    this.isAtRest = false;
    this.pump();
    clearTimeout(this.keepTimer);
    this.keepTimer = setTimeout(() => this.keepDrawing(), KEEP_MS);
    this.showHistory();
  }

  async keepDrawing() {
    await keep(await this.drawing.stored());
  }

  pump() {
    if (this.isSending || !this.dirty || !this.connection?.room) return;
    const wait = this.sentAt + SEND_MS - performance.now();
    clearTimeout(this.sendTimer);
    if (wait > 1) {
      this.sendTimer = setTimeout(() => this.pump(), wait);
      return;
    }
    void this.sendPatch();
  }

  async sendPatch() {
    const bounds = clip(/** @type {import("./brush.js").Rectangle} */ (this.dirty), this.side);
    this.dirty = null;
    if (!bounds) return;
    this.isSending = true;
    this.sentAt = performance.now();
    const since = this.changedAt;
    const { x, y, w, h } = bounds;
    const part = new OffscreenCanvas(w, h);
    const context = part.getContext("2d", { alpha: false });
    context?.drawImage(this.drawing.flat.canvas, x, y, w, h, 0, 0, w, h);
    try {
      const blob = await part.convertToBlob({ type: "image/png" });
      const bytes = await blob.arrayBuffer();
      const isWhole = w === this.side && h === this.side;
      if (this.connection?.room) {
        const id = this.connection.send(PATCH, bytes, { flags: isWhole ? FULL : 0, rectangle: [x, y, w, h] });
        this.sentTimes.set(id, since);
        if (this.sentTimes.size > 64) this.sentTimes.delete(this.sentTimes.keys().next().value ?? 0);
      } else {
        this.dirty = union(this.dirty, bounds);
      }
    } finally {
      this.isSending = false;
    }
    this.pump();
  }

  /** @param {ReturnType<typeof import("./wire.js").unpack>} picture */
  async take(picture) {
    const bytes = picture.payload.slice();
    if (picture.kind === THUMBNAIL) this.strip.show(picture.id, bytes);
    if (picture.kind === PHOTO) {
      save(new Blob([bytes], { type: "image/png" }), "alla-prima-canvas.png");
      toast("The painting is in your downloads.");
    }
    if (picture.kind !== JPEG) return;
    try {
      const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/jpeg" }));
      this.paintedContext.drawImage(bitmap, 0, 0, this.side, this.side);
      bitmap.close();
    } finally {
      this.connection?.acknowledge();
    }
    this.state.clear("loading");
    const since = this.sentTimes.get(picture.id);
    const isNewest = picture.id === this.connection?.id && !this.dirty && !this.isSending;
    this.isAtRest = Boolean(picture.flags & AT_REST) && isNewest && this.pointer === null;
    if (since !== undefined && !(picture.flags & AT_REST)) {
      this.latencyMs = performance.now() - since;
      this.sentTimes.delete(picture.id);
    }
    if (isNewest && this.pointer === null) this.fadeInk();
    this.count += 1;
    this.showFigures();
  }

  // Ink on the painting until it is painted

  /** @param {import("./brush.js").Rectangle} r */
  showInk(r) {
    const { inkContext, drawing } = this;
    get("ink").classList.remove("fading");
    inkContext.clearRect(r.x, r.y, r.w, r.h);
    inkContext.globalAlpha = drawing.strokeOpacity;
    inkContext.drawImage(drawing.wet.canvas, r.x, r.y, r.w, r.h, r.x, r.y, r.w, r.h);
    inkContext.globalAlpha = 1;
  }

  fadeInk() {
    const ink = get("ink");
    if (ink.classList.contains("fading")) return;
    ink.classList.add("fading");
    setTimeout(() => {
      if (ink.classList.contains("fading")) this.inkContext.clearRect(0, 0, this.side, this.side);
      ink.classList.remove("fading");
    }, 200);
  }

  // The pointer

  wire() {
    for (const id of ["drawing", "ink"]) {
      const element = /** @type {HTMLElement} */ (get(id));
      element.onpointerdown = (event) => this.down(element, event);
      element.onpointermove = (event) => this.move(element, event);
      element.onpointerup = element.onpointercancel = (event) => this.up(element, event);
      element.onpointerenter = (event) => this.showCursor(element, event);
      element.onpointerleave = () => { get("cursor").hidden = true; };
      element.oncontextmenu = (event) => event.preventDefault();
    }
    get("undo").onclick = () => this.step("undo");
    get("redo").onclick = () => this.step("redo");
    get("clear").onclick = () => { this.drawing.clear(); this.showLayers(); toast("A new ground. Undo brings the old one back."); };
    get("under").onclick = () => get("under-file").click();
    get("under-file").onchange = () => void this.putUnder(get("under-file"));
    get("export").onclick = () => this.export();
    get("timelapse").onclick = () => { this.connection?.say({ timelapse: true }); toast("The timelapse is being made."); };
    get("add-layer").onclick = () => { this.drawing.addLayer(`Layer ${this.drawing.layers.length + 1}`); this.showLayers(); };
    for (const id of ["brush-size", "brush-opacity", "brush-grain"]) {
      const input = get(id);
      const show = () => {
        const unit = id === "brush-size" ? " px" : id === "brush-opacity" ? " %" : "";
        input.parentElement.querySelector("output").textContent = `${input.value}${unit}`;
        fill(input);
      };
      input.value = recall(id, input.value);
      input.oninput = () => {
        show();
        remember(id, input.value);
        if (id === "brush-grain") this.panel.set({ grain: Number(input.value) });
      };
      show();
    }
    get("view-mode").replaceChildren(...MODES.map(([mode, label]) =>
      make("button", { role: "radio", "data-mode": mode, text: label, onclick: () => this.setMode(mode) })));
  }

  showGrain() {
    const input = get("brush-grain"), grain = this.panel.look.grain;
    if (grain === undefined || document.activeElement === input) return;
    input.value = String(grain);
    input.parentElement.querySelector("output").textContent = input.value;
    fill(input);
  }

  /** @param {HTMLElement} element @param {PointerEvent} event @returns {import("./brush.js").Point} */
  point(element, event) {
    const box = element.getBoundingClientRect();
    const pressure = event.pointerType === "mouse" || !event.pressure ? 0.5 : event.pressure;
    return { x: ((event.clientX - box.left) / box.width) * this.side, y: ((event.clientY - box.top) / box.height) * this.side, pressure };
  }

  get brush() {
    const size = Number(get("brush-size").value);
    const isPencil = this.tool === "pencil";
    return { size: isPencil ? Math.max(1.5, size / 8) : size, colour: this.colour, bristles: !isPencil && this.tool !== "eraser" };
  }

  get opacity() {
    return Number(get("brush-opacity").value) / 100;
  }

  /** @param {HTMLElement} element @param {PointerEvent} event */
  down(element, event) {
    if (this.pointer !== null || event.button > 0) return;
    event.preventDefault();
    /** @type {HTMLElement | null} */ (document.activeElement)?.blur();
    const point = this.point(element, event);
    const [x, y] = [point.x, point.y].map((value) => Math.min(this.side - 1, Math.max(0, Math.floor(value))));
    if (this.tool === "picker" || event.altKey) {
      this.setColour(this.drawing.pick(x, y));
      return;
    }
    if (this.tool === "fill") {
      this.drawing.fill(x, y, this.colour, this.opacity);
      this.showLayers();
      return;
    }
    element.setPointerCapture(event.pointerId);
    this.pointer = event.pointerId;
    if (this.tool === "line") {
      this.lineFrom = point;
      this.drawing.seed += 1;
    } else {
      this.drawing.begin(point, this.brush, this.tool === "eraser" ? 1 : this.opacity, this.tool === "eraser");
    }
  }

  /** @param {HTMLElement} element @param {PointerEvent} event */
  move(element, event) {
    this.showCursor(element, event);
    if (event.pointerId !== this.pointer) return;
    if (this.lineFrom) {
      this.drawing.line(this.lineFrom, this.point(element, event), this.brush, this.opacity);
      return;
    }
    const events = event.getCoalescedEvents?.() ?? [];
    for (const one of events.length ? events : [event]) this.drawing.move(this.point(element, one));
  }

  /** @param {HTMLElement} element @param {PointerEvent} event */
  up(element, event) {
    if (event.pointerId !== this.pointer) return;
    this.pointer = null;
    const point = this.point(element, event);
    if (this.lineFrom) this.drawing.line(this.lineFrom, point, this.brush, this.opacity);
    this.lineFrom = null;
    this.drawing.end(point);
    this.showLayers();
  }

  /** @param {HTMLElement} element @param {PointerEvent} event */
  showCursor(element, event) {
    const cursor = get("cursor");
    const scale = element.getBoundingClientRect().width / this.side;
    const isCross = this.tool === "fill" || this.tool === "picker";
    const width = isCross ? 17 : Math.max(4, this.brush.size * scale);
    cursor.classList.toggle("cross", isCross);
    cursor.hidden = event.pointerType === "touch";
    cursor.style.width = cursor.style.height = `${width}px`;
    cursor.style.transform = `translate(${event.clientX - width / 2}px, ${event.clientY - width / 2}px)`;
  }

  // Tools, colours, layers

  makeTools() {
    get("tools").replaceChildren(...TOOLS.map(({ name, label, key, path }) =>
      make("button", { class: "tool", role: "radio", "data-tool": name, "aria-label": label, title: `${label} (${key.toUpperCase()})`, onclick: () => this.setTool(name) }, icon(path))));
    this.setTool("brush");
  }

  /** @param {string} name */
  setTool(name) {
    this.tool = name;
    for (const button of get("tools").children) button.setAttribute("aria-checked", String(button.getAttribute("data-tool") === name));
  }

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
    if (this.tool === "picker" || this.tool === "eraser") this.setTool("brush");
  }

  showLayers() {
    const { drawing } = this;
    const rows = drawing.layers.map((layer, index) => {
      const shot = make("canvas", { width: "72", height: "72" });
      shot.getContext("2d").drawImage(layer.context.canvas, 0, 0, 72, 72);
      const row = make("div", { class: layer.visible ? "layer" : "layer off", "aria-selected": String(index === drawing.active) },
        shot,
        make("button", { class: "name", text: layer.name, onclick: () => { drawing.active = index; this.showLayers(); } }),
        make("button", { "aria-label": layer.visible ? `Hide ${layer.name}` : `Show ${layer.name}`, onclick: () => { drawing.toggleLayer(index); this.showLayers(); } },
          icon(layer.visible ? "M2 12s4-6 10-6 10 6 10 6-4 6-10 6-10-6-10-6zM12 9a3 3 0 100 6 3 3 0 000-6" : "M4 4l16 16M2 12s4-6 10-6c1.500 0 3 .4 4.200 1M22 12s-4 6-10 6c-1.500 0-3-.4-4.200-1")),
        drawing.layers.length > 1 ? make("button", { "aria-label": `Remove ${layer.name}`, onclick: () => { drawing.removeLayer(index); this.showLayers(); } }, icon("M6 6l12 12M18 6L6 18")) : null);
      return row;
    });
    get("layers").replaceChildren(...rows.reverse());
    get("add-layer").disabled = !drawing.canAdd;
    get("invitation").style.opacity = drawing.isEmpty ? "1" : "0";
    this.showHistory();
  }

  showHistory() {
    get("undo").disabled = !this.drawing.done.length;
    get("redo").disabled = !this.drawing.undone.length;
  }

  /** @param {"undo" | "redo"} which */
  step(which) {
    if (this.pointer !== null) return;
    this.drawing[which]();
    this.showLayers();
  }

  /** @param {string} mode */
  setMode(mode) {
    this.mode = mode;
    remember("canvas.mode", mode);
    for (const button of get("view-mode").children) button.setAttribute("aria-checked", String(button.getAttribute("data-mode") === mode));
    const pair = get("pair");
    pair.className = `pair${mode === "side" ? "" : " one"}${mode === "onto" ? " onto" : ""}`;
    get("drawing-box").parentElement?.toggleAttribute("data-off", mode === "onto");
    get("painted-box").parentElement?.toggleAttribute("data-off", mode === "drawing");
    this.inkContext.clearRect(0, 0, this.side, this.side);
  }

  /** @param {HTMLInputElement} input */
  async putUnder(input) {
    const file = input.files?.[0];
    input.value = "";
    if (!file) return;
    try {
      const picture = await createImageBitmap(file);
      if (!this.drawing.putUnder(picture)) toast("There are eight layers; remove one first.");
    } catch {
      toast(`${file.name} is not a picture that this browser can read.`);
    }
    this.showLayers();
  }

  export() {
    if (this.connection?.say({ photo: true })) return;
    /** @type {HTMLCanvasElement} */ (get("painted")).toBlob((blob) => blob && save(blob, "alla-prima-canvas.png"));
  }

  /** @param {{frames: number, error: string, download?: string}} made */
  filmed({ frames, error, download }) {
    if (download) toast(`Your painting coming to be, ${Math.round(frames / 24)} seconds.`, { link: download, name: "alla-prima-timelapse.mp4" });
    else toast(error || "Paint something first; the timelapse shows how it comes to be.");
  }

  /** A key was pressed. @param {KeyboardEvent} event */
  key(event) {
    const key = event.key.toLowerCase();
    if (event.ctrlKey || event.metaKey) {
      if (key === "z") this.step(event.shiftKey ? "redo" : "undo");
      else if (key === "y") this.step("redo");
      else return;
      event.preventDefault();
      return;
    }
    const tool = TOOLS.find((one) => one.key === key);
    if (tool) this.setTool(tool.name);
    const size = get("brush-size");
    if (key === "[" || key === "]") {
      size.value = String(Number(size.value) * (key === "]" ? 1.15 : 1 / 1.15));
      size.oninput();
    }
  }
}
