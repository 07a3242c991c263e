// The steps from a recording to a voice, with their progress.

import { $, el, megabytes } from "./dom.js";

const TITLES = {
  upload: "Upload",
  read: "Read the recording",
  choose: "Choose the best part",
  verify: "Check the consent",
  listen: "Transcribe",
  encode: "Encode",
  speak: "Try the voice",
  keep: "Save",
};
const OPTIONAL = ["verify", "listen"]; // shown once they start

let states = {};

/** The upload, from start to end. */
export function showUpload(sent, total) {
  states = { upload: { state: sent < total ? "running" : "completed", note: `${megabytes(sent)} of ${megabytes(total)}` } };
  if (sent >= total) states.read = { state: "running" };
  show();
}

export function showSteps(steps) {
  for (const { name, state } of steps) states[name] = { state };
  states.upload = { state: "completed" };
  show();
}

/** The current step has failed. */
export function failSteps() {
  for (const step of Object.values(states)) if (step.state === "running") step.state = "failed";
  show();
}

export function hideSteps() {
  $("steps").hidden = true;
}

function show() {
  $("steps").hidden = false;
  $("steps").replaceChildren(
    ...Object.entries(TITLES)
      .filter(([name]) => states[name] || !OPTIONAL.includes(name))
      .map(([name, title]) => {
        const { state = "waiting", note } = states[name] ?? {};
        const words = state === "running" && note ? `${title}: ${note}` : title;
        return el("li", { className: state }, words, el("span", { className: "unseen" }, ` (${state})`));
      }),
  );
}
