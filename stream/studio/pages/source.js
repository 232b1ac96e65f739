// @ts-check
// Where live pictures come from: a camera, a video file, the screen.

const RATE = 24;

/** @typedef {{kind: "camera" | "file" | "screen", label: string, deviceId?: string}} Source */

export class PictureSource {
  /** @param {HTMLVideoElement} video That shows it, unpainted. @param {Worker} worker That sends it. */
  constructor(video, worker) {
    this.video = video;
    this.worker = worker;
    /** @type {MediaStream | null} */
    this.stream = null;
    /** @type {Source | null} */
    this.source = null;
    this.onended = () => {};
    this.url = "";
  }

  /**
   * Open a camera. Sizes and rates are wishes: some browsers refuse to have more.
   * @param {string} [deviceId]
   */
  async camera(deviceId) {
    if (!navigator.mediaDevices?.getUserMedia) throw new DOMException("", "insecure");
    const video = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: RATE } };
    const chosen = deviceId ? { ...video, deviceId: { ideal: deviceId } } : { ...video, facingMode: { ideal: "user" } };
    const stream = await navigator.mediaDevices.getUserMedia({ video: chosen });
    const track = stream.getVideoTracks()[0];
    await this.begin(stream, { kind: "camera", label: track.label || "Camera", deviceId: track.getSettings().deviceId });
  }

  async screen() {
    if (!navigator.mediaDevices?.getDisplayMedia) throw new DOMException("", "insecure");
    const stream = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { ideal: RATE } } });
    await this.begin(stream, { kind: "screen", label: "Screen" });
  }

  /** @param {File} file */
  async file(file) {
    this.stop();
    this.url = URL.createObjectURL(file);
    this.video.srcObject = null;
    this.video.src = this.url;
    this.video.loop = true;
    await this.video.play();
    this.source = { kind: "file", label: file.name };
    this.worker.postMessage({ type: "tick", rate: RATE });
  }

  /** @param {MediaStream} stream @param {Source} source */
  async begin(stream, source) {
    this.stop();
    this.stream = stream;
    this.source = source;
    const track = stream.getVideoTracks()[0];
    track.onended = () => stream === this.stream && this.onended();
    this.video.removeAttribute("src");
    this.video.srcObject = stream;
    await this.video.play().catch(() => {});
    const Processor = /** @type {any} */ (globalThis).MediaStreamTrackProcessor;
    if (Processor) {
      const readable = new Processor({ track, maxBufferSize: 1 }).readable;
      this.worker.postMessage({ type: "read", readable }, [readable]);
    } else {
      this.worker.postMessage({ type: "tick", rate: RATE });
    }
  }

  /** The worker's clock asks for a frame. */
  async tick() {
    if (this.video.readyState < 2) return;
    const frame = await createImageBitmap(this.video);
    this.worker.postMessage({ type: "frame", frame }, [frame]);
  }

  /** The size to send: that of the source, cut to its shape, with this short side. @param {number} side */
  size(side) {
    const { videoWidth, videoHeight } = this.video;
    const shape = videoWidth && videoHeight ? videoWidth / videoHeight : 16 / 9;
    const long = Math.min(2 * side, Math.round((side * Math.max(shape, 1 / shape)) / 16) * 16);
    return shape >= 1 ? [long, side] : [side, long];
  }

  stop() {
    this.worker.postMessage({ type: "stop" });
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    this.video.pause();
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = "";
  }

  /** Cameras by name, once one has been opened. */
  static async cameras() {
    const devices = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
    return devices.filter(({ kind, label }) => kind === "videoinput" && label);
  }
}
