// Compare original and clone: waveforms, pitch, similarity, and a switch between them.

import { el } from "./dom.js";
import { ClipView } from "./clip-view.js";
import { isDemonstration } from "./health.js";
import { pitchOf } from "./pitch.js";
import { player } from "./player.js";

/** An element, and what removes it. likeness: the server's similarity, or null if it has no speaker model. */
export function comparison({ name, original, clone, likeness }) {
  const views = [
    ["Original", original],
    ["Clone", clone],
  ].map(([title, clip]) => [title, new ClipView(`${title.toLowerCase()} of ${name}`, { clip })]);
  const other = el("button", { type: "button", className: "quiet" }, "Switch (A/B)");
  other.onclick = () => {
    const [from, to] = player.clip === original ? [original, clone] : [clone, original];
    player.play(to, (player.positionOf(from) / from.seconds) * to.seconds);
  };
  // After the waveforms are drawn, since the pitch takes a moment.
  const legend = el("p", { className: "legend" });
  setTimeout(() => showPitch(views.map(([, view]) => view).filter(({ clip }) => clip), legend));
  const element = el(
    "div",
    { className: "comparison" },
    ...views.map(([title, view]) => el("div", { className: "compared" }, el("span", {}, title), view.element)),
    legend,
    likeness ? similarity(likeness) : null,
    el("div", { className: "row" }, other),
  );
  const remove = () => {
    for (const [, view] of views) view.remove();
    element.remove();
  };
  return { element, remove };
}

/** Draw the pitch over the waveforms, on one scale. */
function showPitch(views, legend) {
  const curves = views.map(({ clip }) => pitchOf(clip));
  const voiced = curves.flat().filter((hertz) => !Number.isNaN(hertz));
  if (!voiced.length) return;
  voiced.sort((a, b) => a - b);
  const [low, high] = [0.02, 0.98].map((share) => voiced[Math.floor(share * (voiced.length - 1))]);
  const pitchRange = [low / 1.3, high * 1.3];
  views.forEach((view, i) => view.show(view.clip, { pitch: curves[i], pitchRange }));
  const medians = curves.map((curve) => median(curve.filter((hertz) => !Number.isNaN(hertz))));
  legend.append(el("span", { className: "pitch-key" }), `Pitch (median ${medians.join(" and ")})`);
}

const median = (values) =>
  values.length ? `${Math.round(values.sort((a, b) => a - b)[Math.floor(values.length / 2)])} Hz` : "unvoiced";

export function similarityWords({ similarity: value, threshold, same_speaker: same }) {
  const share = value.toFixed(2);
  if (same) return `Similarity ${share}: the same speaker (from ${threshold} on).`;
  const below = `Similarity ${share}, below ${threshold}`;
  if (isDemonstration()) return `${below}: this demonstration model copies pitch and timbre; the larger one comes closer.`;
  return `${below}: try a shorter, cleaner recording.`;
}

export function similarity(likeness) {
  const { similarity: value, threshold } = likeness;
  const meter = el("meter", { min: 0, max: 1, low: threshold, high: threshold, optimum: 1, value });
  meter.setAttribute("aria-label", "Similarity of the clone to the original");
  return el(
    "div",
    { className: likeness.same_speaker ? "similarity" : "similarity bad" },
    meter,
    el("span", {}, similarityWords(likeness)),
  );
}
