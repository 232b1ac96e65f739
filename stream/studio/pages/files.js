// @ts-check
// Files: dropped on the page, restyled one after the other, compared and downloaded.

import { get, icon, make, onGrip, onSwitch, recall, remember, toast } from "./dom.js";
import { LookPanel } from "./look.js";
import { duration, whole } from "./words.js";

const POLL_MS = 600;
const MOST_BYTES = 2 * 1024 ** 3;

/** @typedef {Record<string, any>} Job */

export class Files {
  /** @param {import("./main.js").Shared} shared */
  constructor(shared) {
    this.shared = shared;
    this.person = recall("person", "");
    if (!this.person) {
      this.person = [...crypto.getRandomValues(new Uint8Array(18))].map((value) => value.toString(16).padStart(2, "0")).join("");
      remember("person", this.person);
    }
    this.panel = new LookPanel(get("files-look"), "files", () => {}, shared.look);
    this.lookAhead = true;
    onSwitch(get("look-ahead"), (on) => { this.lookAhead = on; });
    this.isOpen = false;
    this.timer = 0;
    /** @type {Map<string, {element: HTMLElement, key: string}>} */
    this.cards = new Map();
    /** @type {Map<string, any>} */
    this.uploads = new Map();
    this.wire();
  }

  wire() {
    const drop = get("drop"), input = get("file-input");
    drop.onclick = () => input.click();
    input.onchange = () => { this.take(input.files); input.value = ""; };
    addEventListener("dragover", (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      if (!this.isOpen) location.hash = "#files";
      drop.classList.add("over");
    });
    addEventListener("dragleave", (event) => !event.relatedTarget && drop.classList.remove("over"));
    addEventListener("drop", (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      if (event.dataTransfer?.files.length) this.take(event.dataTransfer.files);
    });
    get("compare-close").onclick = () => get("compare").close();
    get("compare").onclose = () => get("compare-picture").replaceChildren();
  }

  open() {
    this.isOpen = true;
    void this.poll();
  }

  close() {
    this.isOpen = false;
    clearTimeout(this.timer);
  }

  key() {}

  get headers() {
    return { authorization: `Bearer ${this.shared.key}`, "x-person": this.person };
  }

  // Uploads

  /** @param {FileList} files */
  take(files) {
    for (const file of files) this.upload(file);
  }

  /** @param {File} file */
  upload(file) {
    if (file.size > MOST_BYTES) {
      toast(`${file.name} is larger than 2 GB.`);
      return;
    }
    const look = { ...this.panel.words, look_ahead: this.lookAhead };
    const query = new URLSearchParams({ name: file.name, look: JSON.stringify(look) });
    const request = new XMLHttpRequest();
    const id = `upload ${Math.random()}`;
    const job = { id, name: file.name, state: "uploading", done: 0, frames: file.size, look };
    const forget = () => { this.uploads.delete(id); void this.poll(); };
    request.open("PUT", `/api/jobs?${query}`);
    for (const [name, value] of Object.entries(this.headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded }) => { job.done = loaded; };
    request.onload = () => {
      if (request.status !== 201) toast(`${file.name}: ${request.responseText}`, { ms: 10000 });
      forget();
    };
    request.onerror = () => { toast(`${file.name} could not be sent: the studio does not answer.`); forget(); };
    request.onabort = forget;
    this.uploads.set(id, { job, request });
    request.send(file);
    void this.poll();
  }

  // Cards

  async poll() {
    clearTimeout(this.timer);
    try {
      const answer = await fetch("/api/jobs", { headers: this.headers });
      if (answer.ok) this.show(await answer.json());
      else this.shared.chips([{ text: answer.status === 401 ? "The key is missing" : "Not connected", dot: "bad" }]);
    } catch {
      this.shared.chips([{ text: "Not connected", dot: "bad" }]);
    }
    if (this.isOpen) this.timer = setTimeout(() => void this.poll(), POLL_MS);
  }

  /** @param {Job[]} jobs */
  show(jobs) {
    const all = [...[...this.uploads.values()].map(({ job }) => job), ...[...jobs].reverse()];
    const place = get("cards");
    const known = new Set(all.map(({ id }) => id));
    for (const [id, { element }] of this.cards) {
      if (!known.has(id)) {
        element.remove();
        this.cards.delete(id);
      }
    }
    all.forEach((job, index) => {
      const key = JSON.stringify([job.state, job.paused, job.place, job.poster, job.preview, job.result, job.problem]);
      let card = this.cards.get(job.id);
      if (!card || card.key !== key) {
        const element = this.card(job);
        card?.element.replaceWith(element);
        card = { element, key };
        this.cards.set(job.id, card);
      }
      this.refresh(card.element, job);
      if (place.children[index] !== card.element) place.insertBefore(card.element, place.children[index] ?? null);
    });
    if (!this.isOpen) return;
    const active = jobs.filter(({ state }) => !["done", "failed", "stopped"].includes(state));
    const running = active.filter(({ state }) => ["loading", "running"].includes(state)).length;
    const rest = active.length - running;
    this.shared.chips(active.length ? [{ text: [running ? "1 running" : "", rest ? `${rest} waiting` : ""].filter(Boolean).join(", "), dot: running ? "good" : "wait" }] : []);
  }

  /** @param {Job} job */
  card(job) {
    const shot = make("div", { class: "shot" },
      job.poster ? make("img", { src: job.poster, alt: "" }) : null,
      job.preview ? make("img", { class: "after", src: job.preview, alt: "" }) : null);
    const isMoving = ["uploading", "looking", "loading", "running"].includes(job.state);
    return make("article", { class: "card", role: "listitem", "data-state": job.state },
      shot,
      make("div", {},
        make("h3", { text: job.name }),
        make("p", { text: this.look(job) }),
        isMoving ? make("progress", { max: "1" }) : null,
        make("p", { class: job.state === "failed" ? "said trouble" : "said" })),
      make("div", { class: "actions" }, ...this.actions(job)));
  }

  /** @param {Job} job */
  look(job) {
    const prompt = job.look?.prompt || "as the model likes";
    return `${prompt} · strength ${Number(job.look?.strength ?? 0.6).toFixed(2)}`;
  }

  /** @param {Job} job */
  actions(job) {
    const button = (/** @type {string} */ text, /** @type {() => void} */ onclick) => make("button", { class: "button", text, onclick });
    const remove = button("Remove", () => void this.ask("DELETE", job.id));
    if (job.state === "uploading") return [button("Stop", () => this.uploads.get(job.id)?.request.abort())];
    if (["loading", "running"].includes(job.state)) return [button("Stop", () => void this.ask("POST", `${job.id}/stop`))];
    if (!job.result) return [remove];
    return [remove, button("Compare", () => this.compare(job)),
      make("a", { class: "button primary", href: job.result, download: "", text: "Download" })];
  }

  /** @param {string} method @param {string} what */
  async ask(method, what) {
    await fetch(`/api/jobs/${what}`, { method, headers: this.headers });
    await this.poll();
  }

  /** @param {HTMLElement} element @param {Job} job */
  refresh(element, job) {
    const progress = element.querySelector("progress");
    const share = job.frames ? job.done / job.frames : undefined;
    if (progress) {
      if (share === undefined || ["looking", "loading"].includes(job.state)) progress.removeAttribute("value");
      else progress.value = share;
    }
    const after = /** @type {HTMLImageElement | null} */ (element.querySelector("img.after"));
    if (after) {
      // the painted part grows with the work; once done, before and after share the picture
      const at = job.state === "running" ? 100 * (1 - (share ?? 0.5)) : 0;
      after.style.setProperty("--done", `${at}%`);
      if (job.state === "running") this.renew(after, job.preview);
    }
    const said = element.querySelector(".said");
    if (said) said.textContent = this.words(job);
  }

  /** Show the newest preview. @param {HTMLImageElement} image @param {string} address */
  renew(image, address) {
    const now = Math.floor(performance.now() / 1500);
    if (image.dataset.at === String(now)) return;
    image.dataset.at = String(now);
    image.src = `${address}?${now}`;
  }

  /** @param {Job} job */
  words(job) {
    switch (job.state) {
      case "uploading": return `Being sent: ${Math.round((100 * job.done) / job.frames)} %`;
      case "looking": return "Being looked at";
      case "waiting": return job.place === 0
        ? job.live ? "Waits until nobody paints live" : "Next"
        : `Waits: ${job.place === 1 ? "one file is" : `${job.place} files are`} before it`;
      case "loading": return "The model is loading";
      case "running": return this.running(job);
      case "done": return `${this.amount(job)} painted in ${duration(job.took)}`;
      case "stopped": return job.result ? `Stopped after ${this.amount(job)}; what there is, is kept` : "Stopped";
      default: return job.problem || "Something went wrong; try it again.";
    }
  }

  /** @param {Job} job */
  running(job) {
    const counted = job.frames ? `${whole(job.done)} of ${whole(job.frames)} frames` : `${whole(job.done)} frames`;
    if (job.paused) return `${counted} · paused while somebody paints live`;
    const pace = job.fps ? ` · ${job.fps.toFixed(1)} fps` : "";
    const left = job.left === null ? "" : ` · ${duration(job.left)} left`;
    return counted + pace + left;
  }

  /** @param {Job} job */
  amount(job) {
    if (job.picture) return "One picture";
    return job.done === 1 ? "One frame" : `${whole(job.done)} frames`;
  }

  // Before and after, in step

  /** @param {Job} job */
  compare(job) {
    const place = get("compare-picture");
    const kind = job.picture ? "img" : "video";
    const [before, after] = [job.source, job.result].map((src) =>
      make(kind, job.picture ? { src, alt: "" } : { src, muted: true, loop: true, playsinline: true }));
    const grip = make("button", { class: "grip", role: "slider", "aria-label": "Where before and after meet" });
    grip.append(icon("M9 7l-5 5 5 5M15 7l5 5-5 5"));
    const seam = make("div", { class: "seam" }, grip);
    const set = (/** @type {number} */ at) => {
      seam.style.setProperty("--at", `${at}%`);
      after.style.clipPath = `inset(0 0 0 ${at}%)`;
      grip.setAttribute("aria-valuenow", String(Math.round(at)));
    };
    place.style.setProperty("--ratio", String(job.size ? job.size[0] / job.size[1] : 16 / 9));
    let where = 50;
    onGrip(grip, place, () => where, (at) => { where = at; set(at); });
    place.replaceChildren(before, after, seam);
    get("compare-name").textContent = job.name;
    set(50);
    const play = get("compare-play");
    play.hidden = job.picture;
    if (!job.picture) this.keepInStep(before, after, play);
    get("compare").showModal();
  }

  /** @param {HTMLVideoElement} before @param {HTMLVideoElement} after @param {HTMLElement} button */
  keepInStep(before, after, button) {
    before.muted = after.muted = true;
    const follow = () => {
      if (Math.abs(before.currentTime - after.currentTime) > 0.04) before.currentTime = after.currentTime;
    };
    after.ontimeupdate = follow;
    after.onplay = () => { void before.play(); button.textContent = "Pause"; };
    after.onpause = () => { before.pause(); follow(); button.textContent = "Play"; };
    button.onclick = () => void (after.paused ? after.play() : after.pause());
    void after.play().catch(() => {});
  }
}
