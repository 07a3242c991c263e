// The page's player: plays one clip at a time, including speech that is still arriving.

import { RATE, context } from "./clip.js";

const LEAD_SECONDS = 0.08; // between samples that just arrived and their playback
const MIN_BUFFER_SECONDS = 1; // gathered after the first underrun; twice as much after each further one
const FADE_SECONDS = 0.005; // where sound begins or ends in the midst of a clip: a cut would click
const FADE_OUT_TAU = 0.002; // seconds; after ten of them nothing is left
const TICK_MS = 40;

class Player extends EventTarget {
  clip = null; // playing or paused
  playing = false;
  #nodes = new Set();
  #gain = null; // of all nodes since the last start
  #position = 0; // seconds, where it is paused
  #anchor = { time: 0, position: 0 }; // context time and the position played at that time
  #scheduled = 0; // samples passed to the context
  #buffer = MIN_BUFFER_SECONDS; // to gather at the next underrun
  #timer = null;
  #onGrow = () => this.#schedule();

  /** Play a clip from a position in seconds (from the start if at its end), and stop any other. */
  async play(clip, position = 0) {
    this.#silence();
    this.clip?.removeEventListener("grow", this.#onGrow);
    this.clip = clip;
    this.playing = true;
    const start = atEnd(clip, position) ? 0 : position;
    this.#scheduled = Math.round(start * RATE);
    this.#buffer = MIN_BUFFER_SECONDS;
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

  /** Seek; keep playing if playing, except at the end. */
  seek(clip, position) {
    const place = Math.max(0, Math.min(position, clip.seconds));
    if (!atEnd(clip, place) && (this.clip !== clip || this.playing)) return void this.play(clip, place);
    this.#silence();
    this.clip?.removeEventListener("grow", this.#onGrow);
    Object.assign(this, { clip, playing: false });
    this.#position = place;
    this.#changed();
  }

  /** Whether playback waits for speech that is still to come. */
  get buffering() {
    const { clip, playing } = this;
    return playing && !clip.complete && this.#anchor.time > 0 && this.position >= this.#scheduled / RATE;
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

  /** Pass newly arrived samples to the context; after an underrun, gather some first, and restart the clock. */
  #schedule() {
    const { clip } = this;
    if (!this.playing || clip.length <= this.#scheduled) return;
    const out = context();
    const begin = this.#scheduled / RATE;
    let at = this.#anchor.time + begin - this.#anchor.position;
    if (!this.#anchor.time || at < out.currentTime) {
      if (this.#anchor.time && !this.#gathered()) return;
      at = out.currentTime + LEAD_SECONDS;
      this.#anchor = { time: at, position: begin };
      this.#gain = fadeIn(at, begin);
    }
    const samples = clip.samples(begin);
    const buffer = out.createBuffer(1, samples.length, RATE);
    buffer.copyToChannel(samples, 0);
    const node = new AudioBufferSourceNode(out, { buffer });
    node.onended = () => this.#nodes.delete(node);
    node.connect(this.#gain);
    node.start(at);
    this.#nodes.add(node);
    this.#scheduled = clip.length;
  }

  #gathered() {
    if (!this.clip.complete && this.clip.length - this.#scheduled < this.#buffer * RATE) return false;
    this.#buffer *= 2;
    return true;
  }

  #tick() {
    if (!this.playing) return;
    if (this.clip.complete && this.position >= this.clip.seconds - 0.001) this.stop();
    else this.#changed();
  }

  #silence() {
    clearInterval(this.#timer);
    if (!this.#nodes.size) return;
    const now = context().currentTime;
    this.#gain.gain.cancelScheduledValues(now).setTargetAtTime(0, now, FADE_OUT_TAU);
    for (const node of this.#nodes) {
      node.onended = null;
      node.stop(now + 10 * FADE_OUT_TAU);
    }
    this.#nodes.clear();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

const atEnd = (clip, position) => clip.complete && position >= clip.seconds - 0.01;

/** An output for sound that begins at a time of the context, and at a position of its clip in seconds. */
function fadeIn(time, position) {
  const node = new GainNode(context(), { gain: position ? 0 : 1 });
  if (position) node.gain.setValueAtTime(0, time).linearRampToValueAtTime(1, time + FADE_SECONDS);
  node.connect(context().destination);
  return node;
}

export const player = new Player();
