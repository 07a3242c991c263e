// Problems of a recording that the page detects before uploading it.

import { clock } from "./dom.js";

const [MIN_SECONDS, BEST_SECONDS, MAX_SECONDS] = [2, 6, 300];
const QUIET = 0.06; // peak of full scale
const MAX_PLACES = 5;
const APART = 50; // in 10 ms peaks: clipping closer together is reported once

/** name: the server's name of the issue, so that none is shown twice; message: what is wrong and what to do. */
export function recordingIssues(clip) {
  const issues = [];
  const loudest = clip.peaks.reduce((most, peak) => Math.max(most, peak), 0);
  const length = clip.seconds.toFixed(1);
  if (clip.seconds < MIN_SECONDS) issues.push(["short", `Only ${length} s: at least ${MIN_SECONDS} s are needed.`]);
  else if (clip.seconds < BEST_SECONDS) issues.push(["short", `${length} s are little: 10 s of speech are better.`]);
  if (clip.seconds > MAX_SECONDS) issues.push(["long", `${clock(clip.seconds)} min: at most 5 minutes are taken.`]);
  if (loudest < QUIET) issues.push(["quiet", "Very quiet: speak nearer to the microphone."]);
  const places = clippedAt(clip);
  if (places.length) {
    const named = places.slice(0, MAX_PLACES).map((at) => `${at.toFixed(1)} s`);
    const more = places.length > MAX_PLACES ? " and later" : "";
    issues.push(["clipping", `Clipping (marked red) at ${named.join(", ")}${more}: record again at a lower level.`]);
  }
  return issues.map(([name, message]) => ({ name, message }));
}

function clippedAt({ clipped }) {
  const places = [];
  let last = -Infinity;
  clipped.forEach((cut, i) => {
    if (cut && i - last > APART) places.push(i / 100);
    if (cut) last = i;
  });
  return places;
}
