// Waveforms drawn on a canvas: what has played, what was used, where the recording clips, and the pitch.

const BAR = 3; // px from one bar to the next
const STRIP = 5; // px of the strip above the wave that marks a kind of problem
const COLOURS = ["accent", "bad", "ink", "pitch", "wave", "mark-0", "mark-1", "mark-2"];

/** How many kinds of problems have colours of their own; further ones begin anew. */
export const MARK_COLOURS = 3;

let palette = null; // the colours of the present scheme
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => (palette = null));

/** The page's colours, as a canvas understands them: a custom property may be a function of the scheme. */
function colours() {
  if (palette) return palette;
  const probe = document.body.appendChild(document.createElement("i"));
  palette = {};
  for (const name of COLOURS) {
    probe.style.color = `var(--${name})`;
    palette[name] = getComputedStyle(probe).color;
  }
  probe.remove();
  return palette;
}

/**
 * Draw a clip.
 * seconds: the time that the whole width stands for; used: the part that counts, {start, end} in seconds;
 * marks: kinds of problems, each a list of places {start, end};
 * pitch: Hz of each 10 ms, NaN where unvoiced; pitchRange: Hz of the lower and the upper edge.
 */
export function drawWave(canvas, clip, { position = 0, seconds = clip.seconds, used, marks = [], pitch, pitchRange } = {}) {
  const scale = devicePixelRatio;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  if (!width || !seconds) return;
  const pen = canvas.getContext("2d");
  const colour = colours();
  pen.scale(scale, scale);
  const bars = peaksOf(clip, width, seconds);
  const full = Math.max(0.3, ...bars.map((bar) => bar.peak)); // quiet recordings are enlarged, silent ones not
  bars.forEach(({ peak, clipped, time, there }, i) => {
    const inside = !used || (time >= used.start && time <= used.end);
    pen.globalAlpha = inside ? 1 : 0.35;
    pen.fillStyle = clipped ? colour.bad : time < position ? colour.accent : colour.wave;
    const tall = there ? Math.max(2, (peak / full) * (height - 4)) : 1;
    pen.fillRect(i * BAR, (height - tall) / 2, BAR - 1, tall);
  });
  pen.globalAlpha = 1;
  if (used) shade(pen, used, seconds, width, height, colour.accent);
  marks.forEach((places, kind) => drawMarks(pen, places, kind, { seconds, width, height, colour: colour[`mark-${kind % MARK_COLOURS}`] }));
  if (pitch) drawPitch(pen, pitch, pitchRange, seconds, width, height, colour.pitch);
  if (position > 0) {
    pen.fillStyle = colour.ink;
    pen.fillRect(Math.min(width - 2, (position / seconds) * width), 0, 2, height);
  }
}

function peaksOf(clip, width, seconds) {
  const bars = Math.floor(width / BAR);
  return Array.from({ length: bars }, (_, i) => {
    const [from, to] = [i, i + 1].map((bar) => Math.floor((bar / bars) * seconds * 100));
    const end = Math.max(to, from + 1);
    let [peak, clipped] = [0, false];
    for (let at = from; at < Math.min(end, clip.peaks.length); at++) {
      peak = Math.max(peak, clip.peaks[at]);
      clipped ||= clip.clipped[at];
    }
    return { peak, clipped, time: (i / bars) * seconds, there: from < clip.peaks.length };
  });
}

function shade(pen, used, seconds, width, height, colour) {
  const [from, to] = [used.start, used.end].map((at) => (at / seconds) * width);
  pen.fillStyle = colour;
  pen.globalAlpha = 0.12;
  pen.fillRect(from, 0, to - from, height);
  pen.globalAlpha = 1;
  for (const edge of [from, to - 2]) pen.fillRect(Math.max(0, edge), 0, 2, height);
}

/** Tint the places of one kind of problem, and mark them in a strip of its own. */
function drawMarks(pen, places, kind, { seconds, width, height, colour }) {
  pen.fillStyle = colour;
  for (const { start, end } of places) {
    const from = (start / seconds) * width;
    const wide = Math.max(3, ((end - start) / seconds) * width);
    pen.globalAlpha = 0.18;
    pen.fillRect(from, 0, wide, height);
    pen.globalAlpha = 1;
    pen.fillRect(from, kind * STRIP, wide, STRIP - 1);
  }
}

function drawPitch(pen, pitch, range, seconds, width, height, colour) {
  const [low, high] = range.map(Math.log2);
  const perPoint = width / (seconds * 100);
  pen.strokeStyle = colour;
  pen.lineWidth = 2;
  pen.beginPath();
  let down = false;
  pitch.forEach((hertz, i) => {
    if (Number.isNaN(hertz)) return void (down = false);
    const y = height - ((Math.log2(hertz) - low) / (high - low)) * height;
    if (down) pen.lineTo(i * perPoint, y);
    else pen.moveTo(i * perPoint, y);
    down = true;
  });
  pen.stroke();
}
