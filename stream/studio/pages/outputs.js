// @ts-check
// Where a live painting goes besides the page: virtual camera, OBS, a stream, a recording.

import { get, onSwitch, recall, remember, toast } from "./dom.js";
import { duration, size } from "./words.js";

const SWITCHES = { virtualcam: "to-virtualcam", pipewire: "to-pipewire", stream: "to-stream" };

export class Outputs {
  /**
   * @param {(message: Record<string, unknown>) => void} say
   * @param {Worker} worker
   * @param {import("./main.js").Shared} shared
   */
  constructor(say, worker, shared) {
    this.say = say;
    this.worker = worker;
    this.shared = shared;
    this.recordedSince = 0;
    this.wantsSound = false;
    /** @type {AudioContext | null} */
    this.audio = null;
    for (const output of /** @type {const} */ (["virtualcam", "pipewire"])) {
      onSwitch(get(SWITCHES[output]), (on) => say({ output, on }));
    }
    onSwitch(get("to-stage"), (on) => { say({ stage: on }); this.showStage(on); });
    onSwitch(get("to-stream"), (on) => this.stream(on));
    const address = get("stream-address").querySelector("input");
    address.value = recall("stream", "");
    address.onkeydown = (/** @type {KeyboardEvent} */ event) => event.key === "Enter" && this.stream(true);
    get("stage-address").querySelector("button").onclick = () => {
      void navigator.clipboard?.writeText(get("stage-address").querySelector("input").value);
      toast("Copied. Add it in OBS as a browser source.");
    };
    setInterval(() => this.showTime(), 500);
  }

  /** @param {any} welcome */
  welcome(welcome) {
    const isOwner = welcome.role === "owner";
    for (const id of [...Object.values(SWITCHES), "to-stage"]) get(id).disabled = !isOwner;
    get("pipewire-row").hidden = !welcome.outputs.includes("pipewire");
  }

  /** @param {boolean} on */
  showStage(on) {
    get("stage-address").hidden = !on;
    get("stage-address").querySelector("input").value = this.shared.stageAddress();
  }

  /** @param {boolean} on */
  stream(on) {
    const place = get("stream-address"), input = place.querySelector("input");
    place.hidden = !on;
    if (!on) this.say({ output: "stream", on: false });
    else if (input.value.includes("://")) {
      remember("stream", input.value);
      this.say({ output: "stream", on: true, address: input.value.trim() });
    } else {
      get("to-stream").setAttribute("aria-checked", "false");
      input.focus();
    }
  }

  /** What runs, as the server says it. @param {any} stats */
  show(stats) {
    for (const [name, id] of Object.entries(SWITCHES)) {
      get(id).setAttribute("aria-checked", String(stats.outputs.includes(name)));
    }
    const said = stats.waits?.stream ?? "";
    get("stream-state").textContent = said;
    get("stream-state").hidden = !said;
    get("to-stage").setAttribute("aria-checked", String(stats.stage));
    this.showStage(stats.stage);
    if (stats.outputs.includes("recording") !== Boolean(this.recordedSince)) {
      this.setRecording(stats.outputs.includes("recording"));
    }
  }

  /** @param {any} message Of an output. */
  take(message) {
    const id = /** @type {Record<string, string>} */ (SWITCHES)[message.output];
    if (message.error) toast(message.error, { ms: 10000 });
    if (id) get(id).setAttribute("aria-checked", String(Boolean(message.on)));
    if (message.output === "recording") {
      this.setRecording(Boolean(message.on));
      if (message.download) {
        toast(`Recorded, ${size(message.bytes)}.`, { link: message.download, name: "alla-prima.mp4" });
      }
    }
  }

  toggleRecord() {
    this.say({ record: !this.recordedSince, sound: Boolean(this.audio) });
  }

  stopRecord() {
    if (this.recordedSince) this.say({ record: false });
  }

  /** @param {boolean} on */
  setRecording(on) {
    this.recordedSince = on ? this.recordedSince || performance.now() : 0;
    const button = get("record");
    button.setAttribute("aria-pressed", String(on));
    button.querySelector("span").textContent = on ? "Stop" : "Record";
    get("tag-recording").hidden = !on;
    this.showTime();
  }

  showTime() {
    if (!this.recordedSince) return;
    const text = duration((performance.now() - this.recordedSince) / 1000);
    get("tag-recording").querySelector("span").textContent = this.audio ? text : `${text}, without sound`;
  }

  /** Open or close the microphone. @param {boolean} on */
  async wantSound(on) {
    const control = get("to-sound");
    if (!on) {
      await this.audio?.close();
      this.audio = null;
      return;
    }
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, noiseSuppression: false } });
      const audio = new AudioContext({ sampleRate: 48000 });
      await audio.audioWorklet.addModule("/pages/sound-worklet.js");
      const samples = new AudioWorkletNode(audio, "samples", { numberOfOutputs: 0 });
      samples.port.onmessage = ({ data }) => this.worker.postMessage({ type: "sound", bytes: data }, [data]);
      audio.createMediaStreamSource(stream).connect(samples);
      this.audio = audio;
    } catch {
      control.setAttribute("aria-checked", "false");
      toast("The microphone could not be opened, so recordings have no sound.");
    }
  }
}

