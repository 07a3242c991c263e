// The recorder: a sentence to read, a countdown, a level meter, and a hint when it is long enough.

import { $, attempt, clock, pause, tell } from "./dom.js";
import { MicrophoneError, openMicrophone } from "./recorder.js";

const COUNTDOWN = 3;
const ENOUGH_SECONDS = 10;
const MAX_SECONDS = 60;
const SILENT_SECONDS = 4; // after which a silent microphone is reported
const UNPLUGGED = "The microphone was disconnected: the recording ends there.";

/** Texts to read aloud for cloning: ten to fifteen seconds each, with most sounds of English. */
export const SENTENCES = [
  "The morning train was late again, so we bought coffee and watched the fog lift slowly from the river. " +
    "By nine o'clock the sun had come out, and nobody minded waiting any longer.",
  "My grandmother kept a garden behind the old stone house. Every summer she grew beans, yellow roses and far too " +
    "many tomatoes, and she gave most of them away to whoever walked past the gate.",
  "Have you ever wondered why the sky turns orange in the evening? The light takes a longer way through the air, " +
    "and on that way most of the blue gets lost.",
];

export class RecordingPanel {
  #microphone = null;
  #opening = null; // an AbortController, from the click to the end of the countdown
  #sentences;
  #shown = 0;
  #parts;

  /** Render a recorder in `place`. onDone: called with the WAV file, the displayed sentence, and what to tell of it. */
  constructor(place, { sentences = SENTENCES, enough = ENOUGH_SECONDS, onDone }) {
    place.append($("recorder").content.cloneNode(true));
    const names = ["record", "status", "level", "level-row", "sentence", "next-sentence"];
    this.#parts = Object.fromEntries(names.map((name) => [name, place.querySelector(`.${name}`)]));
    this.#sentences = sentences;
    this.enough = enough;
    this.onDone = onDone;
    const { record, status, "next-sentence": next } = this.#parts;
    record.onclick = () => attempt(status, () => this.#toggle());
    next.onclick = () => this.#show(this.#shown + 1);
    this.#show(0);
    this.#face("Record");
  }

  /** Whether the microphone is open, or about to be. */
  get busy() {
    return Boolean(this.#opening ?? this.#microphone);
  }

  focus() {
    this.#parts.record.focus();
  }

  /** Discard the current recording. */
  async cancel() {
    this.#opening?.abort();
    this.#opening = null;
    const microphone = this.#microphone;
    this.#microphone = null;
    this.#face("Record");
    tell(this.#parts.status, "");
    await microphone?.close();
  }

  async #toggle() {
    if (this.#opening) return this.cancel();
    if (this.#microphone) return this.#finish();
    const opening = (this.#opening = new AbortController());
    this.#face("Cancel");
    tell(this.#parts.status, "Allow the microphone …");
    try {
      const unplugged = () => attempt(this.#parts.status, () => this.#unplugged(microphone));
      const microphone = await openMicrophone((peak) => this.#onLevel(microphone, peak), unplugged);
      if (opening.signal.aborted) return void (await microphone.close());
      this.#microphone = microphone;
      for (let left = COUNTDOWN; left > 0; left--) {
        tell(this.#parts.status, `Recording starts in ${left} …`);
        this.#speakUp(false);
        await pause(1000, opening.signal);
      }
      microphone.start();
      this.#face("Stop recording");
    } catch (error) {
      if (!opening.signal.aborted) this.#face("Record");
      throw error;
    } finally {
      if (this.#opening === opening) this.#opening = null;
    }
  }

  #onLevel(microphone, peak) {
    if (this.#microphone !== microphone) return;
    const { level, status } = this.#parts;
    // Decays slowly, so that the eye can follow; logarithmic, from -50 dB to full scale.
    const now = Math.max(0, 1 + (20 * Math.log10(Math.max(peak, 1e-5))) / 50);
    level.value = Math.max(now, level.value - 0.03);
    const { seconds } = microphone;
    if (!seconds) return;
    if (seconds >= MAX_SECONDS) return void attempt(status, () => this.#finish());
    const told = `${clock(seconds)} · ${this.#advice(microphone)}`;
    if (status.textContent !== told) tell(status, told);
  }

  #advice({ seconds, heardSeconds }) {
    if (seconds > SILENT_SECONDS && heardSeconds < 0.3) return "Nothing is heard: is the right microphone on?";
    if (heardSeconds >= this.enough) return "That is enough: stop at the end of your sentence.";
    return `Read aloud, ${Math.ceil(this.enough - heardSeconds)} s more are best.`;
  }

  async #finish(note = "") {
    const microphone = this.#microphone;
    this.#microphone = null;
    this.#face("Record");
    tell(this.#parts.status, "");
    await this.onDone(await microphone.close(), this.#sentences[this.#shown], note);
  }

  /** Keep what was recorded until then. */
  async #unplugged(microphone) {
    if (this.#microphone !== microphone) return;
    if (microphone.seconds) return this.#finish(UNPLUGGED);
    await this.cancel();
    throw new MicrophoneError("Unplugged");
  }

  /** A screen reader that read out the clock would talk into the recording. */
  #speakUp(may) {
    this.#parts.status.setAttribute("aria-live", may ? "polite" : "off");
  }

  #face(label) {
    const { record, level, "level-row": row, "next-sentence": next } = this.#parts;
    record.textContent = label;
    this.#speakUp(label !== "Stop recording");
    record.classList.toggle("recording", label === "Stop recording");
    row.hidden = label === "Record";
    level.value = 0;
    next.hidden = label !== "Record" || this.#sentences.length < 2;
  }

  #show(number) {
    this.#shown = number % this.#sentences.length;
    this.#parts.sentence.textContent = this.#sentences[this.#shown];
  }
}
