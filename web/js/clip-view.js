// The view of a clip: play button, clickable waveform, time.

import { attempt, clock, el, tell } from "./dom.js";
import { player } from "./player.js";
import { drawWave } from "./wave.js";

const SEEK_SECONDS = 1;

export class ClipView {
  #name;
  #options;
  #button = el("button", { type: "button", className: "play" });
  #canvas = el("canvas", { aria: { hidden: "true" } });
  #slider = el("div", { className: "wave", tabIndex: 0, role: "slider", aria: { valuemin: "0" } }, this.#canvas);
  #time = el("span", { className: "time" });
  #problem = el("p", { role: "status" });
  #load = null;
  #wasActive = true;
  #watching = new AbortController();
  clip = null;

  /**
   * name: for the labels; options: those of drawWave, and `expected`, the estimated seconds of a growing clip;
   * load: returns the clip on first play, if it isn't given.
   */
  constructor(name, { clip = null, load = null, ...options } = {}) {
    this.#name = name;
    this.#options = options;
    this.#load = load;
    this.element = el("div", { className: "clip" }, this.#button, this.#slider, this.#time, this.#problem);
    this.#button.onclick = () => this.toggle();
    this.#slider.onclick = (event) => this.#seekTo(event.offsetX / this.#slider.clientWidth);
    this.#slider.onkeydown = (event) => this.#onKey(event);
    const { signal } = this.#watching;
    player.addEventListener("change", () => this.#show(), { signal });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw(), { signal });
    const resized = new ResizeObserver(() => this.draw());
    resized.observe(this.#slider);
    signal.addEventListener("abort", () => resized.disconnect());
    this.show(clip);
  }

  show(clip, options = {}) {
    Object.assign(this.#options, options);
    if (clip !== this.clip) clip?.addEventListener("grow", () => this.draw(), { signal: this.#watching.signal });
    this.clip = clip;
    this.draw();
  }

  /** Stop playback and remove the listeners. */
  remove() {
    if (player.clip === this.clip && this.clip) player.stop();
    this.#watching.abort();
    this.element.remove();
  }

  async toggle() {
    if (!this.clip) await this.#fetch();
    if (this.clip) player.toggle(this.clip);
  }

  async #fetch() {
    tell(this.#problem, "");
    this.#button.disabled = true;
    const clip = await attempt(this.#problem, this.#load);
    this.#button.disabled = false;
    this.#button.focus();
    if (clip) this.show(clip);
    else if (clip === null) tell(this.#problem, "This browser can't play the recording.", true);
  }

  draw() {
    this.#wasActive = true;
    this.#show();
  }

  get #seconds() {
    const { clip } = this;
    return clip.complete ? clip.seconds : Math.max(clip.seconds, this.#options.expected ?? 0);
  }

  #show() {
    const { clip } = this;
    const active = clip !== null && player.clip === clip;
    if (!active && !this.#wasActive) return;
    this.#wasActive = active;
    const playing = active && player.playing;
    this.#button.classList.toggle("playing", playing);
    this.#button.hidden = !clip && !this.#load;
    this.#button.setAttribute("aria-label", `${playing ? "Pause" : "Play"} ${this.#name}`);
    this.#slider.hidden = !clip;
    this.#time.textContent = "";
    if (!clip) return;
    const position = active ? player.position : 0;
    this.#time.textContent = active ? `${clock(position)} / ${clock(clip.seconds)}` : clock(clip.seconds);
    if (active && player.buffering) this.#time.textContent = "Buffering …";
    this.#slider.setAttribute("aria-label", `Position in ${this.#name}`);
    this.#slider.setAttribute("aria-valuemax", clip.seconds.toFixed(1));
    this.#slider.setAttribute("aria-valuenow", position.toFixed(1));
    this.#slider.setAttribute("aria-valuetext", `${position.toFixed(1)} of ${clip.seconds.toFixed(1)} seconds`);
    drawWave(this.#canvas, clip, { ...this.#options, position, seconds: this.#seconds });
  }

  #seekTo(share) {
    if (this.clip) player.seek(this.clip, share * this.#seconds);
  }

  #onKey(event) {
    const { clip } = this;
    const position = player.positionOf(clip);
    const places = {
      ArrowRight: position + SEEK_SECONDS,
      ArrowLeft: position - SEEK_SECONDS,
      ArrowUp: position + SEEK_SECONDS,
      ArrowDown: position - SEEK_SECONDS,
      Home: 0,
      End: clip.seconds,
    };
    if (event.key === " " || event.key === "Enter") player.toggle(clip);
    else if (event.key in places) player.seek(clip, places[event.key]);
    else return;
    event.preventDefault();
  }
}
