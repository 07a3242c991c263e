// Generated speech: each result with its waveform, seed, and downloads in every format.

import { $, attempt, el, fileName, saveFile, tell } from "./dom.js";
import { wavOf } from "./clip.js";
import { ClipView } from "./clip-view.js";
import { post } from "./server.js";
import { SpokenWords } from "./words.js";

const MAX_RESULTS = 20;
const FORMATS = { WAV: "wav", MP3: "mp3", FLAC: "flac", Opus: "opus", AAC: "aac" };

let count = 0;
let making = null; // the AbortController of the file that the server makes: one at a time
const shown = new Map(); // element → result

export const isMaking = () => making !== null;
export const stopMaking = () => making?.abort();

function setMaking(controller) {
  making = controller;
  document.dispatchEvent(new CustomEvent("making"));
}

export class Result {
  #details = el("p", { className: "details" });
  #status = el("p", { role: "status" });
  #made = el("p", { role: "status" }); // of downloads
  #downloads = el("details", { className: "downloads", hidden: true }, el("summary", {}, "Download"));
  #view;
  #text;

  /**
   * body: a request that gives the same audio again, whatever becomes the voice's default; plain: gives what people
   * see of a part of its text; voice: its name; clip: the speech, which may still grow; expected: seconds it is likely
   * to have. onReuse: called with the body.
   */
  constructor({ body, plain, voice, clip, expected, onReuse }) {
    this.body = body;
    this.clip = clip;
    this.voice = voice;
    const name = `result ${++count}`;
    this.#view = new ClipView(name, { clip, expected });
    this.#text = new SpokenWords({ name, text: body.input, plain, clip });
    const button = (words, onclick) =>
      el("button", { type: "button", className: "quiet", onclick, aria: { label: `${words}: ${name}` } }, words);
    this.element = el(
      "li",
      { className: "result" },
      this.#text.element,
      this.#view.element,
      this.#details,
      el(
        "div",
        { className: "row" },
        this.#downloads,
        button("Reuse settings", () => onReuse(this.body)),
        button("Remove", () => this.#remove()),
      ),
      this.#status,
      this.#made,
    );
    this.describe();
    $("results").prepend(this.element);
    shown.set(this.element, this);
    while (shown.size > MAX_RESULTS) shown.get($("results").lastElementChild).#drop();
    $("results-title").hidden = false;
  }

  /** Add words whose times are known. */
  addWords(words) {
    this.#text.add(words);
  }

  /** Show the current state. problem: why it is incomplete; issues: problems of its sound. */
  describe({ problem = null, issues = [] } = {}) {
    const length = this.clip.length ? `${this.clip.seconds.toFixed(1)} s` : null;
    this.#details.textContent = [this.voice, length, `seed ${this.body.seed}`].filter(Boolean).join(" · ");
    if (problem) tell(this.#status, problem, true);
    if (issues.length) tell(this.#status, issues.map(({ message }) => message).join(" "), true);
    if (this.clip.complete && this.clip.length) this.#offerDownloads(problem !== null);
  }

  #offerDownloads(partial) {
    const words = partial ? "Download the part that arrived" : "Download";
    const formats = partial ? { WAV: "wav" } : FORMATS;
    const buttons = Object.entries(formats).map(([label, format]) =>
      el("button", { type: "button", onclick: () => attempt(this.#made, () => this.#download(format)) }, label),
    );
    this.#downloads.replaceChildren(el("summary", {}, words), el("div", { className: "row" }, ...buttons));
    this.#downloads.hidden = false;
  }

  /** The WAV file is local; other formats are requested from the server with the same seed. */
  async #download(format) {
    const name = `${fileName(this.voice)}-${this.body.seed}.${format}`;
    if (format === "wav") return saveFile(wavOf(this.clip.samples()), name);
    if (making) return;
    tell(this.#made, `Making the ${format.toUpperCase()} file …`);
    setMaking(new AbortController());
    try {
      const body = { ...this.body, response_format: format, stream: false };
      const response = await post("/v1/audio/speech", body, { signal: making.signal });
      saveFile(await response.blob(), name);
    } catch (error) {
      if (error.code === "voice_not_found") error.message = "This voice was deleted. The WAV file holds the same speech.";
      throw error;
    } finally {
      tell(this.#made, "");
      setMaking(null);
    }
  }

  #drop() {
    shown.delete(this.element);
    this.#view.remove();
    this.#text.remove();
    this.element.remove();
  }

  #remove() {
    const next = this.element.nextElementSibling ?? this.element.previousElementSibling;
    this.#drop();
    $("results-title").hidden = !$("results").children.length;
    (next?.querySelector(".play") ?? $("generate")).focus();
  }
}
