// Sound as 16-bit samples, mono, 40 ms a piece, as the server takes it.
const PIECE = 1920;

class Samples extends AudioWorkletProcessor {
  constructor() {
    super();
    this.piece = new Int16Array(PIECE);
    this.count = 0;
  }

  /** @param {Float32Array[][]} inputs */
  process(inputs) {
    const channel = inputs[0]?.[0];
    if (!channel) return true;
    for (const value of channel) {
      this.piece[this.count++] = Math.round(32767 * Math.max(-1, Math.min(1, value)));
      if (this.count === PIECE) {
        this.port.postMessage(this.piece.buffer, [this.piece.buffer]);
        this.piece = new Int16Array(PIECE);
        this.count = 0;
      }
    }
    return true;
  }
}

registerProcessor("samples", Samples);
