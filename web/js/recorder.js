// The microphone, recorded as uncompressed samples for the best clone.

import { wavOf } from "./clip.js";
import { ServerError } from "./server.js";

const PLAIN = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
const HEARD = 0.02; // minimum peak level of speech

const REASONS = {
  NotAllowedError: "Microphone access is blocked. Allow it in the browser's site settings, then press Record again.",
  NotFoundError: "No microphone was found. Connect one, or choose a file instead.",
  NotReadableError: "The microphone is in use by another program. Close that, then press Record again.",
  Unplugged: "The microphone was disconnected. Connect it, then press Record again.",
  Insecure: "Browsers record only on https:// pages and on localhost. Open this page by https, or choose a file.",
};

/** Why recording is impossible, as a message. */
export class MicrophoneError extends Error {
  expected = true;

  constructor(name, detail) {
    super(REASONS[name] ?? `The microphone can't be used: ${detail}. Choose a file instead.`);
  }
}

/**
 * An open microphone. onLevel: called 50 times a second with the peak, 0 to 1; onEnded: called if it is unplugged.
 * MicrophoneError if there is none, ServerError if the server is gone.
 */
export async function openMicrophone(onLevel, onEnded) {
  if (!navigator.mediaDevices) throw new MicrophoneError("Insecure");
  const stream = await navigator.mediaDevices.getUserMedia({ audio: PLAIN }).catch((error) => {
    throw new MicrophoneError(error.name, error.message);
  });
  const context = new AudioContext();
  await context.audioWorklet.addModule("/web/js/recorder-worklet.js").catch(() => {
    stream.getTracks().forEach((track) => track.stop());
    context.close();
    throw new ServerError(0); // the browser calls it an AbortError
  });
  const tap = new AudioWorkletNode(context, "tap", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
  context.createMediaStreamSource(stream).connect(tap);
  await context.resume();
  for (const track of stream.getTracks()) track.onended = onEnded;
  return new Microphone(stream, context, tap, onLevel);
}

class Microphone {
  #stream;
  #context;
  #blocks = null; // while recording
  heardSeconds = 0; // seconds with speech

  constructor(stream, context, tap, onLevel) {
    this.#stream = stream;
    this.#context = context;
    tap.port.onmessage = ({ data }) => {
      const peak = data.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
      if (this.#blocks) {
        this.#blocks.push(data);
        if (peak > HEARD) this.heardSeconds += data.length / context.sampleRate;
      }
      onLevel(peak);
    };
  }

  start() {
    this.#blocks = [];
  }

  get seconds() {
    return this.#blocks ? this.#blocks.length / 50 : 0;
  }

  /** Close the microphone; return the recording as a WAV file. */
  async close() {
    this.#stream.getTracks().forEach((track) => track.stop());
    const rate = this.#context.sampleRate;
    await this.#context.close();
    const samples = new Float32Array((this.#blocks ?? []).reduce((sum, block) => sum + block.length, 0));
    let at = 0;
    for (const block of this.#blocks ?? []) {
      samples.set(block, at);
      at += block.length;
    }
    return wavOf(samples, rate);
  }
}
