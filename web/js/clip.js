// Audio as samples: decoded files, streamed speech, and WAV files of both.

export const RATE = 24000; // samples per second, mono: the server's rate
const PEAKS_PER_SECOND = 100;
const STEP = RATE / PEAKS_PER_SECOND;
const CLIPPED = 0.985; // of full scale; three such samples within 10 ms are marked

let shared;
/** The page's audio context; browsers allow playback only after a click. */
export const context = () => (shared ??= new AudioContext({ sampleRate: RATE }));

/** Mono samples at 24 kHz that may grow: `append` until `end`. */
export class Clip extends EventTarget {
  #samples;
  length = 0;
  complete = false;
  peaks = []; // the loudest sample of each 10 ms, 0 to 1
  clipped = []; // whether the waveform is clipped at full scale, per 10 ms

  constructor(samples = null) {
    super();
    this.#samples = new Float32Array(samples ? samples.length : RATE);
    if (!samples) return;
    this.append(samples);
    this.end();
  }

  get seconds() {
    return this.length / RATE;
  }

  append(samples) {
    const length = this.length + samples.length;
    if (length > this.#samples.length) {
      const larger = new Float32Array(2 * length);
      larger.set(this.samples());
      this.#samples = larger;
    }
    this.#samples.set(samples, this.length);
    this.length = length;
    this.#measure(false);
    this.dispatchEvent(new Event("grow"));
  }

  end() {
    this.complete = true;
    if (this.length < this.#samples.length) this.#samples = this.samples().slice();
    this.#measure(true);
    this.dispatchEvent(new Event("grow"));
  }

  /** A view of the samples in this range of seconds. */
  samples(start = 0, end = Infinity) {
    return this.#samples.subarray(Math.round(start * RATE), Math.min(this.length, Math.round(end * RATE)));
  }

  slice(start, end) {
    return new Clip(this.samples(start, end).slice());
  }

  #measure(rest) {
    for (let at = this.peaks.length * STEP; at + (rest ? 1 : STEP) <= this.length; at += STEP) {
      const end = Math.min(at + STEP, this.length);
      let [peak, cut] = [0, 0];
      for (let i = at; i < end; i++) {
        const level = Math.abs(this.#samples[i]);
        if (level > peak) peak = level;
        if (level >= CLIPPED) cut++;
      }
      this.peaks.push(peak);
      this.clipped.push(cut > 2);
    }
  }
}

/** A clip of a file; null if the browser can't decode it (the server may). */
export async function decoded(blob) {
  try {
    const buffer = await context().decodeAudioData(await blob.arrayBuffer());
    return new Clip(mono(buffer));
  } catch {
    return null;
  }
}

/** A clip of a data: URL, which the page's content security policy forbids to fetch. */
export function decodedDataUrl(url) {
  const bytes = Uint8Array.from(atob(url.slice(url.indexOf(",") + 1)), (letter) => letter.charCodeAt(0));
  return decoded(new Blob([bytes]));
}

function mono(buffer) {
  const mixed = buffer.getChannelData(0).slice();
  for (let channel = 1; channel < buffer.numberOfChannels; channel++) {
    buffer.getChannelData(channel).forEach((sample, i) => (mixed[i] += sample));
  }
  return buffer.numberOfChannels > 1 ? mixed.map((sample) => sample / buffer.numberOfChannels) : mixed;
}

/** Convert base64 16-bit samples to float. */
export function samplesOf(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return Float32Array.from(new Int16Array(bytes.buffer), (sample) => sample / 32768);
}

/** A WAV file of mono samples, 16 bits each. */
export function wavOf(samples, rate = RATE) {
  const data = Int16Array.from(samples, (sample) => Math.max(-32768, Math.min(32767, Math.round(sample * 32768))));
  const header = new DataView(new ArrayBuffer(44));
  const text = (at, letters) => [...letters].forEach((c, i) => header.setUint8(at + i, c.charCodeAt(0)));
  text(0, "RIFF");
  header.setUint32(4, 36 + data.byteLength, true);
  text(8, "WAVEfmt ");
  [16, 0x00010001, rate, 2 * rate, 0x00100002].forEach((value, i) => header.setUint32(16 + 4 * i, value, true));
  text(36, "data");
  header.setUint32(40, data.byteLength, true);
  return new Blob([header, data], { type: "audio/wav" });
}
