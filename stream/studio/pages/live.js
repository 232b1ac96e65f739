// @ts-check
// The live screen: a camera in, its painting out.

import { get, make, onGrip, onSwitch, recall, remember, save, toast } from "./dom.js";
import { LookPanel, Strip } from "./look.js";
import { Outputs } from "./outputs.js";
import { PictureSource } from "./source.js";
import { SourceMenu } from "./source-menu.js";
import { StateLayer } from "./states.js";
import { aboutCamera, aboutEffort, aboutLine, aboutLink } from "./words.js";
import { PHOTO, THUMBNAIL } from "./wire.js";

const LOST_MS = 1000;

/** @typedef {import("./main.js").Shared} Shared */

export class Live {
  /** @param {Shared} shared */
  constructor(shared) {
    this.shared = shared;
    this.picture = get("live-picture");
    this.video = /** @type {HTMLVideoElement} */ (get("camera"));
    this.state = new StateLayer(get("live-state"));
    this.worker = new Worker("/pages/live-worker.js", { type: "module" });
    this.source = new PictureSource(this.video, this.worker);
    this.source.onended = () => this.ended();
    const offscreen = /** @type {HTMLCanvasElement} */ (get("painting")).transferControlToOffscreen();
    this.worker.postMessage({ type: "canvas", canvas: offscreen }, [offscreen]);
    this.worker.onmessage = ({ data }) => this.hear(data);
    this.panel = new LookPanel(get("live-look"), "live", (changes) => this.say({ set: changes, n: ++this.number }), shared.look);
    this.number = 0;
    this.strip = new Strip(get("live-strip"), shared.styles, this.panel);
    this.outputs = new Outputs((message) => this.say(message), this.worker, shared);
    this.menu = new SourceMenu(this.source, {
      camera: (deviceId) => void this.startCamera(deviceId),
      file: () => this.chooseFile(),
      screen: () => void this.start(() => this.source.screen()),
    });
    this.isOpen = false;
    this.isConnected = false;
    this.hasPainting = false;
    this.size = [512, 288];
    /** @type {{fps: number, latencyMs: number | null, sends?: string, gets?: string}} */
    this.figures = { fps: 0, latencyMs: null };
    /** @type {any} */
    this.stats = null;
    this.split = recall("split", true);
    this.at = recall("seam", 35);
    this.mirror = recall("mirror", true);
    this.frozen = this.bypassed = false;
    this.lostTimer = 0;
    this.wire();
    this.showSplit();
    this.showMirror();
    this.showButtons();
  }

  wire() {
    get("mirror").onclick = () => { this.mirror = !this.mirror; remember("mirror", this.mirror); this.showMirror(); };
    get("split").onclick = () => this.toggleSplit();
    get("freeze").onclick = () => this.toggleFreeze();
    get("photo").onclick = () => this.takePhoto();
    get("record").onclick = () => this.outputs.toggleRecord();
    onSwitch(get("to-sound"), (on) => this.outputs.wantSound(on));
    onGrip(get("grip"), this.picture, () => this.at, (at) => this.setSeam(at));
    this.video.onresize = () => this.reshape();
  }

  /** The screen is shown. */
  async open() {
    this.isOpen = true;
    if (this.source.source) {
      await this.resume();
      return;
    }
    const permission = await navigator.permissions?.query?.({ name: /** @type {any} */ ("camera") }).catch(() => null);
    if (permission?.state === "granted" && recall("camera", false)) await this.startCamera();
    else this.askFirst();
  }

  /** Another screen is shown. */
  close() {
    this.isOpen = false;
    this.outputs.stopRecord();
    this.disconnect();
    if (this.source.source?.kind === "camera") this.source.stop();
  }

  askFirst() {
    this.state.show("first", {
      title: "See yourself painted, live",
      text: "Your camera’s picture goes to the computer that runs this studio, and nowhere else.",
      actions: [
        { label: "Start the camera", primary: true, act: () => void this.startCamera() },
        { label: "Use a video", act: () => this.chooseFile() },
      ],
    });
    this.shared.chips([{ text: "No picture", dot: "wait" }]);
  }

  /** @param {string} [deviceId] */
  async startCamera(deviceId) {
    await this.start(() => this.source.camera(deviceId ?? recall("device", undefined)));
    if (this.source.source?.kind === "camera") {
      remember("camera", true);
      remember("device", this.source.source.deviceId);
    }
  }

  /** @param {() => Promise<void>} begin */
  async start(begin) {
    try {
      await begin();
    } catch (error) {
      this.cannot(/** @type {DOMException} */ (error).name);
      return;
    }
    this.state.clear();
    get("source").querySelector(".label").textContent = this.source.source?.label ?? "Camera";
    this.showMirror();
    this.connect();
  }

  async resume() {
    if (this.source.source?.kind === "camera" && !this.source.stream) await this.startCamera();
    else this.connect();
  }

  /** @param {string} name */
  cannot(name) {
    const { title, text } = aboutCamera(name);
    this.state.show(`camera ${name}`, {
      title, text,
      actions: [
        ...(name === "insecure" ? [] : [{ label: "Try again", primary: true, act: () => void this.startCamera() }]),
        { label: "Use a video", primary: name === "insecure", act: () => this.chooseFile() },
      ],
    });
    this.shared.chips([{ text: "No camera", dot: "bad" }]);
  }

  ended() {
    this.disconnect();
    this.state.show("ended", {
      title: "The picture has ended",
      text: "The camera was unplugged, or sharing was stopped.",
      actions: [{ label: "Start the camera", primary: true, act: () => void this.startCamera() }],
    });
  }

  chooseFile() {
    const input = make("input", { type: "file", accept: "video/*" });
    input.onchange = () => input.files?.[0] && void this.start(() => this.source.file(input.files[0]));
    input.click();
  }

  // The connection

  connect() {
    this.size = this.source.size(this.shared.side);
    this.isConnected = true;
    this.picture.style.setProperty("--ratio", String(this.size[0] / this.size[1]));
    this.loading();
    const where = this.shared.where("live", this.size, 24, this.panel.words);
    this.worker.postMessage({ type: "connect", where });
  }

  disconnect() {
    this.isConnected = false;
    clearTimeout(this.lostTimer);
    this.worker.postMessage({ type: "disconnect" });
  }

  /** The camera has been turned: its pictures have another shape. */
  reshape() {
    if (!this.isConnected) return;
    const size = this.source.size(this.shared.side);
    if (size[0] !== this.size[0] || size[1] !== this.size[1]) this.connect();
  }

  /** @param {Record<string, unknown>} message */
  say(message) {
    this.worker.postMessage({ type: "say", message });
  }

  loading() {
    if (this.hasPainting) return;
    this.state.show("loading", {
      title: this.shared.ready ? "The first picture is being painted" : "The model is loading",
      text: this.shared.ready ? "" : "This takes a few seconds; the first time on a machine, a minute.",
      busy: true, soft: true,
    });
  }

  /** @param {any} data From the worker. */
  hear(data) {
    switch (data.type) {
      case "tick": void this.source.tick(); break;
      case "figures": this.figures = data; this.showFigures(); break;
      case "first": this.hasPainting = true; this.state.clear("loading"); this.showSplit(); this.showButtons(); break;
      case "drawn": break;
      case "bytes": this.takeBytes(data); break;
      case "welcome": this.welcomed(data.data); break;
      case "message": this.take(data.data); break;
      case "lost": this.lost(); break;
      case "closed": this.closed(data.data); break;
    }
  }

  /** @param {any} welcome */
  welcomed(welcome) {
    clearTimeout(this.lostTimer);
    this.shared.seat(welcome.seat);
    this.shared.side = welcome.limits.side;
    this.panel.adopt(welcome.look);
    this.outputs.welcome(welcome);
    if (this.hasPainting) this.state.clear();
    else this.loading();
    this.reshape();
  }

  /** @param {any} message */
  take(message) {
    if (message.look) this.panel.adopt(message.look);
    if (message.error && message.n) toast(message.error);
    if (message.stats) {
      this.stats = message.stats;
      if (message.stats.ready && !this.shared.ready) {
        this.shared.ready = true;
        this.state.clear("loading");
        this.loading();
      }
      this.outputs.show(message.stats);
      this.showFigures();
    }
    if (message.output) this.outputs.take(message);
    if (message.busy) this.inLine(message.busy);
    if (message.idle) this.idle(message.idle.seconds);
    if (message.failed) this.failed(message.failed);
  }

  /** @param {{place: number, seats: number}} busy */
  inLine(busy) {
    this.state.show("busy", {
      title: "All seats are taken",
      text: `${aboutLine(busy)} This page goes on by itself.`,
      busy: true,
    });
    this.shared.chips([{ text: `Place ${busy.place} in line`, dot: "wait" }]);
  }

  /** @param {number} seconds */
  idle(seconds) {
    toast(`Somebody is waiting. Without a picture from you, your seat is free in ${seconds} seconds.`);
  }

  /** @param {string} sentence */
  failed(sentence) {
    this.state.show("failed", {
      title: "The model could not paint this",
      text: sentence,
      actions: [{ label: "Try again", primary: true, act: () => { this.state.clear(); this.connect(); } }],
    });
  }

  lost() {
    clearTimeout(this.lostTimer);
    this.lostTimer = setTimeout(() => {
      this.state.show("lost", {
        title: "The studio does not answer",
        text: "Trying again. If it was stopped, start it with: allaprima studio",
        busy: true,
      });
      this.shared.chips([{ text: "Not connected", dot: "bad" }]);
    }, LOST_MS);
  }

  /** @param {string} reason */
  closed(reason) {
    const again = { label: "Paint here", primary: true, act: () => { this.state.clear(); this.connect(); } };
    const said = {
      elsewhere: { title: "You are painting in another window", text: "A seat has one page at a time.", actions: [again] },
      idle: { title: "Your seat went to somebody who waited", text: "Nothing came from this page for a while.", actions: [again] },
      full: { title: "Too many people are waiting", text: "Try again in a while.", actions: [{ ...again, label: "Try again" }] },
      key: { title: "This page needs the studio’s key", text: "Open the address that the studio showed when it started; it ends in #key=…" },
    }[reason];
    this.isConnected = false;
    if (said) this.state.show(reason, said);
    this.shared.chips([{ text: "Not painting", dot: "bad" }]);
  }

  // What is shown

  showFigures() {
    if (!this.isOpen || !this.isConnected || ["busy", "lost", "key"].includes(this.state.shown)) return;
    const { fps, latencyMs } = this.figures;
    const seats = this.shared.seatsText(this.stats?.seats);
    if (this.frozen) this.shared.chips([{ text: "Frozen", dot: "wait" }, { text: seats }]);
    else if (!fps) this.shared.chips([{ text: this.shared.ready ? "Starting" : "Loading", dot: "wait" }, { text: seats }]);
    else {
      this.shared.chips([
        { text: `${Math.round(fps)} fps`, dot: "good" },
        { text: latencyMs === null ? "" : `${Math.round(latencyMs)} ms`, title: aboutLink(this.figures) },
        { text: seats },
      ]);
    }
    get("live-note").textContent = aboutEffort(this.stats?.effort);
  }

  showMirror() {
    const isCamera = !this.source.source || this.source.source.kind === "camera";
    this.picture.classList.toggle("mirrored", this.mirror && isCamera);
    get("mirror").setAttribute("aria-pressed", String(this.mirror));
    get("mirror").hidden = !isCamera;
    get("tag-before").textContent = isCamera ? "Camera" : "Before";
  }

  /** What needs a painting can be had once there is one. */
  showButtons() {
    for (const id of ["freeze", "photo", "record"]) get(id).disabled = !this.hasPainting;
  }

  toggleSplit() {
    this.split = !this.split;
    remember("split", this.split);
    this.showSplit();
  }

  showSplit() {
    const on = this.split && this.hasPainting;
    get("split").setAttribute("aria-pressed", String(this.split));
    get("seam").hidden = get("tag-before").hidden = get("tag-after").hidden = !on;
    // what is mirrored is cut on its other side
    const painting = get("painting");
    this.picture.style.setProperty("--at", `${this.at}%`);
    const isMirrored = this.picture.classList.contains("mirrored");
    painting.style.clipPath = on ? (isMirrored ? `inset(0 ${this.at}% 0 0)` : `inset(0 0 0 ${this.at}%)`) : "none";
    painting.style.visibility = this.hasPainting ? "visible" : "hidden";
    get("tag-before").style.opacity = this.at > 16 ? "1" : "0";
    get("tag-after").style.opacity = this.at < 84 ? "1" : "0";
    get("grip").setAttribute("aria-valuenow", String(Math.round(this.at)));
  }

  /** @param {number} at */
  setSeam(at) {
    this.at = at;
    remember("seam", this.at);
    this.showSplit();
  }

  toggleBypass() {
    this.bypassed = !this.bypassed;
    this.say({ set: { bypass: this.bypassed }, n: ++this.number });
    toast(this.bypassed ? "Nothing is painted until you press B again." : "Painting again.");
  }

  toggleFreeze() {
    if (!this.hasPainting) return;
    this.frozen = !this.frozen;
    get("freeze").setAttribute("aria-pressed", String(this.frozen));
    this.say({ set: { freeze: this.frozen }, n: ++this.number });
    if (this.frozen) this.video.pause();
    else void this.video.play().catch(() => {});
    this.showFigures();
  }

  takePhoto() {
    if (this.hasPainting) this.say({ photo: true });
  }

  /** @param {{kind: number, id: number, bytes: Uint8Array<ArrayBuffer>}} data */
  takeBytes({ kind, id, bytes }) {
    if (kind === THUMBNAIL) this.strip.show(id, bytes);
    if (kind === PHOTO) {
      save(new Blob([bytes], { type: "image/png" }), `alla-prima-${new Date().toISOString().slice(0, 19).replaceAll(":", "-")}.png`);
      toast("The photo is in your downloads.");
    }
  }

  /** A key was pressed. @param {KeyboardEvent} event */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    /** @type {Record<string, () => void>} */
    const keys = {
      f: () => this.toggleFreeze(),
      s: () => this.toggleSplit(),
      c: () => this.takePhoto(),
      r: () => this.outputs.toggleRecord(),
      n: () => this.strip.step(1),
      p: () => this.strip.step(-1),
      "+": () => this.panel.nudge("strength", 0.05, 0.05), "=": () => this.panel.nudge("strength", 0.05, 0.05),
      "-": () => this.panel.nudge("strength", -0.05, 0.05),
      "]": () => this.panel.nudge("stability", 0.05, 0), "[": () => this.panel.nudge("stability", -0.05, 0),
      b: () => this.toggleBypass(),
      Escape: () => this.menu.close(),
    };
    keys[event.key]?.();
  }
}
