// The chosen recording: its waveform, the part that the voice is made of, and its problems at their places.

import { $ } from "./dom.js";
import { ClipView } from "./clip-view.js";
import { issueItems, listed, recordingIssues } from "./recording-issues.js";
import { ask, formOf } from "./server.js";

const CHECK = "/v1/audio/voices/check";
const UNREADABLE = { name: "unreadable", message: "This browser can't show the file; the server may read it.", places: [] };

/** The page itself says what is too short. */
const refusal = ({ code, message }) => ({ name: code === "audio_too_short" ? "short" : "refused", message, places: [] });

export class RecordingView {
  #view = new ClipView("the recording");
  #own = []; // issues that the page found

  constructor() {
    $("recording-wave").append(this.#view.element);
  }

  /** Show a clip; null if the browser can't decode it. */
  show(clip) {
    this.#own = clip ? recordingIssues(clip) : [UNREADABLE];
    this.#view.show(clip);
    $("recording-wave").hidden = !clip;
    this.found({ used: null, findings: [] });
  }

  /**
   * Ask the server which part it would use, and what is wrong; where it can't say now, creating the voice will.
   * Returns whether it may be able to use the file.
   */
  async check(file, signal) {
    try {
      const response = await ask(CHECK, { method: "POST", body: formOf({ audio_sample: file }), signal });
      const answer = await response.json();
      if (!signal.aborted) this.found(answer);
    } catch (error) {
      if (error.status === 400 && !signal.aborted) return this.#refused(error);
      if (!error.expected && error.name !== "AbortError") throw error;
    }
    return true;
  }

  #refused(error) {
    this.#own = this.#own.filter((issue) => issue !== UNREADABLE);
    this.found({ used: null, findings: [refusal(error)] });
    return false;
  }

  /** Shade the part that is used, and mark the problems; those that the page found as well aren't repeated. */
  found({ used, findings }) {
    const known = new Set(this.#own.map(({ name }) => name));
    const issues = [...this.#own, ...listed(findings).filter(({ name }) => !known.has(name))];
    const { clip } = this.#view;
    const marks = issues.map(({ places }) => places).filter((places) => places.length);
    this.#view.show(clip, { used, marks });
    $("issues").replaceChildren(...issueItems(issues, clip));
  }

  clear() {
    this.#own = [];
    this.#view.show(null);
    this.found({ used: null, findings: [] });
  }
}
