// The page's player: plays one clip at a time, including speech that is still arriving.

import { RATE, context } from "./clip.js";

const LEAD_SECONDS = 0.08; // between samples that just arrived and their playback
const TICK_MS = 40;

class Player extends EventTarget {
  clip = null; // playing or paused
  playing = false;
  #nodes = new Set();
  #position = 0; // seconds, where it is paused
  #anchor = { time: 0, position: 0 }; // context time and the position played at that time
  #scheduled = 0; // samples passed to the context
  #timer = null;
  #onGrow = () => this.#schedule();

  /** Play a clip from a position in seconds (from the start if at its end), and stop any other. */
  async play(clip, position = 0) {
    this.#silence();
    this.clip?.removeEventListener("grow", this.#onGrow);
    this.clip = clip;
    this.playing = true;
    const start = clip.complete && position >= clip.seconds - 0.01 ? 0 : position;
    this.#scheduled = Math.round(start * RATE);
    this.#anchor = { time: 0, position: start };
    this.#changed();
    await context().resume();
    if (this.clip !== clip || !this.playing) return;
    clip.addEventListener("grow", this.#onGrow);
    this.#schedule();
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  pause() {
    if (!this.playing) return;
    this.#position = this.position;
    this.#silence();
    this.playing = false;
    this.#changed();
  }

  /** Stop at once and return to the start. */
  stop() {
    this.#silence();
    this.clip?.removeEventListener("grow", this.#onGrow);
    Object.assign(this, { clip: null, playing: false });
    this.#position = 0;
    this.#changed();
  }

  toggle(clip) {
    if (this.clip === clip && this.playing) this.pause();
    else this.play(clip, this.positionOf(clip));
  }

  /** Seek; keep playing if playing. */
  seek(clip, position) {
    const place = Math.max(0, Math.min(position, clip.seconds));
    if (this.clip === clip && !this.playing) {
      this.#position = place;
      this.#changed();
    } else {
      this.play(clip, place);
    }
  }

  /** Seconds into the clip. */
  get position() {
    if (!this.playing) return this.#position;
    const passed = this.#anchor.time ? Math.max(0, context().currentTime - this.#anchor.time) : 0;
    return Math.min(this.#scheduled / RATE, this.#anchor.position + passed);
  }

  positionOf(clip) {
    return this.clip === clip ? this.position : 0;
  }

  /** Pass newly arrived samples to the context; after an underrun, restart the clock. */
  #schedule() {
    const { clip } = this;
    if (!this.playing || clip.length <= this.#scheduled) return;
    const out = context();
    const begin = this.#scheduled / RATE;
    let at = this.#anchor.time + begin - this.#anchor.position;
    if (at < out.currentTime) {
      at = out.currentTime + LEAD_SECONDS;
      this.#anchor = { time: at, position: begin };
    }
    const samples = clip.samples(begin);
    const buffer = out.createBuffer(1, samples.length, RATE);
    buffer.copyToChannel(samples, 0);
    const node = new AudioBufferSourceNode(out, { buffer });
    node.onended = () => this.#nodes.delete(node);
    node.connect(out.destination);
    node.start(at);
    this.#nodes.add(node);
    this.#scheduled = clip.length;
  }

  #tick() {
    if (!this.playing) return;
    if (this.clip.complete && this.position >= this.clip.seconds - 0.001) this.stop();
    else this.#changed();
  }

  #silence() {
    clearInterval(this.#timer);
    for (const node of this.#nodes) {
      node.onended = null;
      node.stop();
    }
    this.#nodes.clear();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

export const player = new Player();
