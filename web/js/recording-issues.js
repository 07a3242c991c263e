// Problems of a recording: those that the page detects before uploading it, and the list of all, with their places.

import { clock, el } from "./dom.js";
import { player } from "./player.js";
import { MARK_COLOURS } from "./wave.js";

const [MIN_SECONDS, BEST_SECONDS, MAX_SECONDS] = [2, 6, 300];
const QUIET = 0.06; // peak of full scale
const MAX_PLACES = 5;
const APART = 0.5; // seconds: clipping closer together is one place
const LEAD_SECONDS = 0.3; // heard before a place

/** Issues as the server's: name; message, what is wrong and what to do; places, {start, end} in seconds. */
export function recordingIssues(clip) {
  const issues = [];
  const add = (name, message, places = []) => issues.push({ name, message, places });
  const loudest = clip.peaks.reduce((most, peak) => Math.max(most, peak), 0);
  const length = clip.seconds.toFixed(1);
  if (clip.seconds < MIN_SECONDS) add("short", `Only ${length} s: at least ${MIN_SECONDS} s are needed.`);
  else if (clip.seconds < BEST_SECONDS) add("short", `${length} s are little: 10 s of speech are better.`);
  if (clip.seconds > MAX_SECONDS) add("long", `${clock(clip.seconds)} min: at most 5 minutes are taken.`);
  if (loudest < QUIET) add("quiet", "Very quiet: speak nearer to the microphone.");
  const places = clippedAt(clip);
  if (places.length) add("clipping", "Clipping, too loud for the microphone: record again at a lower level.", places);
  return issues;
}

function clippedAt({ clipped }) {
  const places = [];
  clipped.forEach((cut, i) => {
    if (!cut) return;
    const last = places.at(-1);
    if (last && i / 100 - last.end < APART) last.end = (i + 1) / 100;
    else places.push({ start: i / 100, end: (i + 1) / 100 });
  });
  return places;
}

/** The issues to list: a low similarity has a picture of its own. */
export const listed = (findings) => findings.filter(({ name }) => name !== "unlike");

/** What to do about what the server found; its own message says what is wrong. */
const REMEDIES = {
  hum: "Move away from mains cables and chargers.",
  noise: "Record in a quieter room.",
  two_voices: "One speaker alone makes the best clone.",
};

/** The issues as list items; a place plays the clip from there. clip: null if it can't be played. */
export function issueItems(issues, clip) {
  const marked = issues.filter(({ places }) => places.length);
  return issues.map(({ name, message, places }) => {
    const shown = clip ? places.slice(0, MAX_PLACES) : [];
    const kind = marked.findIndex((issue) => issue.name === name);
    return el(
      "li",
      { className: kind < 0 ? "" : `mark-${kind % MARK_COLOURS}` },
      [message, REMEDIES[name]].filter(Boolean).join(" "),
      ...shown.flatMap((place, i) => [i ? " " : " Hear it at ", placeButton(name, place, clip)]),
      places.length > shown.length && shown.length ? " and later." : null,
    );
  });
}

function placeButton(name, { start }, clip) {
  const words = `${start.toFixed(1)} s`;
  const aria = { label: `Hear ${name.replace("_", " ")} at ${words}` };
  const button = el("button", { type: "button", className: "place", aria }, words);
  button.onclick = () => player.play(clip, Math.max(0, start - LEAD_SECONDS));
  return button;
}
