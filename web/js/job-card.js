// A long text as a card: how far it came, pause and resume, downloads, and its pieces.

import { $, attempt, clock, el, fileName, saveFile, tell } from "./dom.js";
import { showRequest } from "./api-pane.js";
import { PieceList } from "./piece-list.js";
import { ask, hasKey, post } from "./server.js";
import { nameOf } from "./voices.js";

const OPEN = ["queued", "in_progress"];
const FORMATS = { M4B: "m4b", MP3: "mp3", Opus: "opus", FLAC: "flac", WAV: "wav" };
const STATES = {
  queued: "Waiting",
  in_progress: "Speaking",
  completed: "Done",
  failed: "Failed",
  cancelled: "Paused",
};

export class JobCard {
  #path;
  #pieces;

  /** onChange: called with the job in its new state; onDelete: with the job. */
  constructor(job, { onChange, onDelete }) {
    this.#path = `/v1/audio/speech/jobs/${job.id}`;
    this.element = $("job-card").content.firstElementChild.cloneNode(true);
    this.#pieces = new PieceList(this.#path, onChange);
    this.#part("pieces").append(this.#pieces.element);
    this.#part("pieces").ontoggle = () => this.#told(() => this.#pieces.show(this.#part("pieces").open, this.job));
    this.#part("pause").onclick = () => this.#turn("cancel", "resume", onChange);
    this.#part("resume").onclick = () => this.#turn("resume", "pause", onChange);
    this.#part("delete").onclick = () => onDelete(this.job);
    const formats = Object.entries(FORMATS).map(([label, format]) =>
      el("button", { type: "button", onclick: () => this.#told(() => this.#download(format)) }, label),
    );
    this.#part("downloads").append(el("div", { className: "row" }, ...formats));
    this.update(job);
  }

  get open() {
    return OPEN.includes(this.job.status);
  }

  get title() {
    return this.job.title || this.job.chapters.find(({ title }) => title)?.title || "Long text";
  }

  update(job) {
    const was = this.job && (this.open ? "open" : "ended");
    this.job = job;
    const { pieces, status } = job;
    this.#part("job-title").textContent = this.#part("job-title").title = this.title;
    const progress = this.#part("job-progress");
    Object.assign(progress, { max: pieces.total, value: pieces.done });
    progress.setAttribute("aria-label", `Progress of ${this.title}`);
    progress.hidden = status === "completed";
    this.#part("job-details").textContent = [STATES[status], ...figuresOf(job)].join(" · ");
    this.#part("job-problem").textContent = job.error?.message ?? job.note ?? "";
    this.#part("pause").hidden = !this.open;
    this.#part("resume").hidden = !["failed", "cancelled"].includes(status);
    this.#part("downloads").hidden = status !== "completed";
    for (const name of ["pause", "resume", "delete"]) {
      this.#part(name).setAttribute("aria-label", `${this.#part(name).textContent} ${this.title}`);
    }
    if (was === "open" && !this.open) {
      tell(this.#part("told"), `${STATES[status]}.`, status === "failed");
      document.dispatchEvent(new CustomEvent("job-ended"));
    } else if (was === "ended" && this.open) {
      tell(this.#part("told"), "");
    }
    this.#told(() => this.#pieces.update(job));
  }

  remove() {
    this.#pieces.remove();
    this.element.remove();
  }

  #part(name) {
    return this.element.querySelector(`.${name}`);
  }

  #told(work) {
    return attempt(this.#part("told"), work);
  }

  /** Pause or resume; the focus goes to the button that takes it back. */
  #turn(action, back, onChange) {
    return this.#told(async () => {
      tell(this.#part("told"), "");
      onChange(await (await post(`${this.#path}/${action}`, {})).json());
      if (!this.#part(back).hidden) this.#part(back).focus();
    });
  }

  /** A book is large: where no key is needed the browser fetches it by itself. */
  async #download(format) {
    const path = `${this.#path}/content?response_format=${format}`;
    const output = `${fileName(this.title)}.${format}`;
    showRequest({ title: "Download a long text", method: "GET", path, output });
    if (!hasKey()) return el("a", { href: path, download: output }).click();
    tell(this.#part("told"), `Making the ${format.toUpperCase()} file …`);
    saveFile(await (await ask(path)).blob(), output);
    tell(this.#part("told"), "");
  }
}

function figuresOf({ pieces, seconds, seconds_left: left, status, chapters, voices }) {
  const made = pieces.done < pieces.total ? `${pieces.done} of ${pieces.total} pieces` : null;
  const parts = chapters.length > 1 ? `${chapters.length} chapters` : null;
  const speech = seconds ? `${clock(seconds)} of speech` : null;
  const rest = OPEN.includes(status) && left ? `about ${duration(left)} left` : null;
  return [made, parts, speech, rest, voices.map(nameOf).join(", ")].filter(Boolean);
}

/** 200 → "4 min" */
function duration(seconds) {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
