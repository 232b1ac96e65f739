// @ts-check
// The canvas: somebody draws, and it is painted while they do.

import { Connection } from "./connection.js";
import { clip, union } from "./brush.js";
import { Drawing } from "./drawing.js";
import { get, make, recall, remember, save, toast } from "./dom.js";
import { Layers } from "./layers.js";
import { LookPanel, Strip } from "./look.js";
import { PatchEncoder } from "./patches.js";
import { StateLayer } from "./states.js";
import { keep, kept } from "./store.js";
import { StrokeInput } from "./stroke-input.js";
import { Tools } from "./tools.js";
import { View } from "./view.js";
import { aboutEffort, aboutLine } from "./words.js";
import { AT_REST, FULL, JPEG, PATCH, PHOTO, THUMBNAIL } from "./wire.js";

const SEND_MS = 16;
const KEEP_MS = 400;
const LOST_MS = 1000;
const RECENT = 500;
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
    this.panel = new LookPanel(get("canvas-look"), "canvas", (changes) => this.changeLook(changes), shared.look);
    this.number = 0;
    this.strip = new Strip(get("canvas-strip"), shared.styles, this.panel);
    /** @type {Connection | null} */
    this.connection = null;
    this.mode = recall("canvas.mode", innerWidth < 760 ? "onto" : "side");
    /** @type {import("./brush.js").Rectangle | null} */
    this.dirty = null;
    this.patches = new PatchEncoder();
    this.isSending = false;
    this.sentAt = 0;
    this.sendTimer = 0;
    this.keepTimer = 0;
    this.lostTimer = 0;
    this.changedAt = 0;
    this.count = 0;
    /** @type {number[]} From the first event of a stroke that was not sent to the painting that has it. */
    this.latenciesMs = [];
    this.stats = null;
    this.isAtRest = false;
    /** @type {Map<number, number>} */
    this.sentTimes = new Map();
    this.isRestored = false;
    this.tools = new Tools((grain) => this.panel.set({ grain }));
    this.layers = new Layers(this.drawing, () => this.showLayers());
    this.view = new View(["drawing", "painted", "ink"].map(get), (scale) => {
      for (const button of this.wholeButtons) {
        button.hidden = scale === 1;
        button.textContent = `${Math.round(100 * scale)} %`;
      }
    });
    const pictures = [["drawing", "drawing-box"], ["ink", "painted-box"]].map(([canvas, box]) => ({ canvas: get(canvas), box: get(box) }));
    this.input = new StrokeInput(get("canvas").querySelector(".stage"), pictures, this.drawing, this.tools, this.view,
      { ended: () => this.showLayers(), undo: () => this.step("undo") });
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
    this.tools.showGrain(this.panel.look.grain);
    this.dirty = this.drawing.whole;
    if (!welcome.ready) this.state.show("loading", { title: "The model is loading", text: "Draw already; it is painted as soon as it can be.", busy: true, soft: true });
    this.pump();
  }

  /** @param {any} message */
  listen(message) {
    if (message.look) {
      this.panel.adopt(message.look);
      this.tools.showGrain(this.panel.look.grain);
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
    if (message.busy) {
      this.state.show("busy", { title: "All seats are taken", text: `${aboutLine(message.busy)} Draw meanwhile.`, busy: true, soft: true });
      this.shared.chips([{ text: `Place ${message.busy.place} in line`, dot: "wait" }]);
    }
    if (message.idle) toast(`Somebody is waiting. Draw on, or your seat is free in ${message.idle.seconds} seconds.`);
    if (message.failed) this.state.show("failed", { title: "The model could not paint this", text: message.failed, actions: [{ label: "Try again", primary: true, act: () => this.connect() }] });
    if (message.timelapse) this.filmed(message.timelapse);
  }

  lost() {
    clearTimeout(this.lostTimer);
    this.lostTimer = setTimeout(() => {
      this.state.show("lost", { title: "The studio does not answer", text: "Your drawing is safe here. Trying again.", busy: true, soft: true });
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
    const said = !this.shared.ready ? "Loading" : this.isAtRest ? "Painted" : this.latenciesMs.length ? `${Math.round(this.latenciesMs.at(-1) ?? 0)} ms` : "Ready";
    this.shared.chips([{ text: said, dot: this.shared.ready ? "good" : "wait", title: "From the stroke to the painting" }, { text: seats }]);
    get("canvas-note").textContent = this.isAtRest ? "" : aboutEffort(this.stats?.effort);
  }

  // Patches out, paintings in

  /** @param {import("./brush.js").Rectangle} bounds */
  changed(bounds) {
    const r = bounds;
    this.drawingContext.drawImage(this.drawing.flat.canvas, r.x, r.y, r.w, r.h, r.x, r.y, r.w, r.h);
    this.showInvitation();
    if (this.input?.picture.canvas.id === "ink" && this.drawing.stroke && !this.drawing.isErasing) this.showInk(r);
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
    try {
      const bytes = await this.patches.encode(this.drawing.flat.canvas, bounds);
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
    this.isAtRest = Boolean(picture.flags & AT_REST) && isNewest && !this.input.isDrawing;
    if (since !== undefined && !(picture.flags & AT_REST)) {
      this.latenciesMs.push(performance.now() - since);
      if (this.latenciesMs.length > RECENT) this.latenciesMs.shift();
      this.sentTimes.delete(picture.id);
    }
    if (isNewest && !this.input.isDrawing) this.fadeInk();
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

  // Controls

  wire() {
    get("undo").onclick = () => this.step("undo");
    get("redo").onclick = () => this.step("redo");
    get("clear").onclick = () => { this.drawing.clear(); this.showLayers(); toast("A new ground. Undo brings the old one back."); };
    get("under").onclick = () => get("under-file").click();
    get("under-file").onchange = () => void this.putUnder(get("under-file"));
    get("export").onclick = () => this.export();
    get("timelapse").onclick = () => { this.connection?.say({ timelapse: true }); toast("The timelapse is being made."); };
    for (const button of this.wholeButtons) button.onclick = () => this.view.reset();
    get("view-mode").replaceChildren(...MODES.map(([mode, label]) =>
      make("button", { role: "radio", "data-mode": mode, text: label, onclick: () => this.setMode(mode) })));
  }

  get wholeButtons() {
    return /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(".whole"));
  }

  /** @param {Record<string, any>} changes */
  changeLook(changes) {
    this.isAtRest = false;
    this.connection?.say({ set: changes, n: ++this.number });
  }

  showLayers() {
    this.layers.show();
    this.showInvitation();
    this.showHistory();
  }

  showInvitation() {
    const opacity = this.drawing.isEmpty && !this.drawing.stroke ? "1" : "0";
    for (const invitation of document.querySelectorAll(".invitation")) /** @type {HTMLElement} */ (invitation).style.opacity = opacity;
  }

  showHistory() {
    get("undo").disabled = !this.drawing.done.length;
    get("redo").disabled = !this.drawing.undone.length;
  }

  /** @param {"undo" | "redo"} which */
  step(which) {
    if (this.input.isDrawing) return;
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
    if (key === "0") this.view.reset();
    else this.tools.key(key);
  }
}
