// The page's one player: a clip that plays stops any other, and speech is heard while it still arrives.

import { RATE, context } from "./clip.js";

const LEAD_SECONDS = 0.08; // between samples that just arrived and their playback
const TICK_MS = 40;

class Player extends EventTarget {
  clip = null; // what plays, or stands paused
  playing = false;
  #nodes = new Set();
  #position = 0; // seconds, where it stands paused
  #anchor = { time: 0, position: 0 }; // when, by the context's clock, which position sounds
  #scheduled = 0; // samples handed to the context
  #timer = null;
  #onGrow = () => this.#schedule();

  /** Play a clip from a position in seconds, from its begin at the end; whatever plays stops. */
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

  /** Silence at once, and back to the begin. */
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

  /** Go on from there: playing, if it plays. */
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

  /** Hand the context what has arrived; after a gap in the arriving the clock starts anew. */
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
