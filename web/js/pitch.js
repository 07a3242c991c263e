// The pitch of a clip, drawn over its waveform: normalised autocorrelation of 40 ms frames.

import { RATE } from "./clip.js";

const DOWN = 4; // to 6 kHz
const SLOW = RATE / DOWN;
const [FLOOR_HZ, CEILING_HZ] = [65, 500];
const FRAME = Math.round(0.04 * SLOW);
const HOP = Math.round(SLOW / 50);
const VOICED = 0.6;
const QUIET = 0.05; // share of the loudest frame's level

/** Hz per 10 ms (measured every 20 ms); NaN where unvoiced. */
export function pitchOf(clip) {
  const slow = slowed(clip.samples());
  const longest = Math.floor(SLOW / FLOOR_HZ);
  const shortest = Math.ceil(SLOW / CEILING_HZ);
  const frames = [];
  for (let at = 0; at + FRAME + longest < slow.length; at += HOP) frames.push(at);
  const levels = frames.map((at) => Math.sqrt(correlation(slow, at, at) / FRAME));
  const loudest = Math.max(0.01, ...levels);
  const found = frames.map((at, i) => {
    if (levels[i] < QUIET * loudest) return NaN;
    let [best, lag] = [VOICED, 0];
    for (let candidate = shortest; candidate <= longest; candidate++) {
      const other = correlation(slow, at + candidate, at + candidate);
      const alike = correlation(slow, at, at + candidate) / Math.sqrt(levels[i] ** 2 * FRAME * other + 1e-12);
      // Multiples of the period correlate as well; they must be clearly better to win.
      if (alike > best + (lag ? 0.03 : 0)) [best, lag] = [alike, candidate];
    }
    return lag ? SLOW / lag : NaN;
  });
  return found.flatMap((hertz) => [hertz, hertz]);
}

function slowed(samples) {
  const slow = new Float32Array(Math.floor(samples.length / DOWN));
  for (let i = 0; i < slow.length; i++) {
    for (let j = 0; j < DOWN; j++) slow[i] += samples[DOWN * i + j] / DOWN;
  }
  return slow;
}

function correlation(samples, at, other) {
  let sum = 0;
  for (let i = 0; i < FRAME; i++) sum += samples[at + i] * samples[other + i];
  return sum;
}
