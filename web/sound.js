// Sound in the browser: recording, waveforms, and speech played while it still arrives.

export const RATE = 24000; // samples a second of the server's pcm: 16 bits, little-endian, mono
const LEAD_SECONDS = 0.08; // between the first samples and their playback

let shared;
/** The page's audio context; browsers let it sound only after a click. */
export const context = () => (shared ??= new AudioContext());

/** Record from the microphone until `stop` is called, which gives a Blob. */
export async function record() {
  const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const stream = await navigator.mediaDevices.getUserMedia({ audio: plain });
  const recorder = new MediaRecorder(stream);
  const parts = [];
  recorder.ondataavailable = (event) => parts.push(event.data);
  recorder.start(250);
  return {
    stop: () =>
      new Promise((resolve) => {
        recorder.onstop = () => {
          stream.getTracks().forEach((track) => track.stop());
          resolve(new Blob(parts, { type: recorder.mimeType }));
        };
        recorder.stop();
      }),
  };
}

/** Draw samples as vertical strokes; what of them was used (in seconds) stands out. */
export function drawWave(canvas, samples, seconds, used = { start: 0, end: seconds }) {
  const scale = devicePixelRatio;
  const [width, height] = [canvas.clientWidth * scale, 72 * scale];
  canvas.width = width;
  canvas.height = height;
  const pen = canvas.getContext("2d");
  pen.fillStyle = getComputedStyle(canvas).color;
  const step = 3 * scale;
  for (let x = 0; x < width; x += step) {
    const [from, to] = [x, x + step].map((at) => Math.floor((at / width) * samples.length));
    let peak = 0;
    for (let i = from; i < to; i++) peak = Math.max(peak, Math.abs(samples[i]));
    const at = (x / width) * seconds;
    pen.globalAlpha = at >= used.start && at <= used.end ? 1 : 0.25;
    const tall = Math.max(scale, peak * height);
    pen.fillRect(x, (height - tall) / 2, 2 * scale, tall);
  }
}

/** A mono sound of any kind that the browser knows; null where it knows it not (the server may). */
export async function decoded(blob) {
  try {
    return await context().decodeAudioData(await blob.arrayBuffer());
  } catch {
    return null;
  }
}

/**
 * Play 16-bit samples as they arrive. `onFirst` is called when the first are there. Gives all of them as
 * a WAV file, also when the signal that the response was asked with ends it before.
 */
export async function playArriving(response, signal, onFirst) {
  const out = context();
  await out.resume();
  const [parts, playing] = [[], []];
  let [rest, next] = [new Uint8Array(), 0];
  signal.addEventListener("abort", () => playing.forEach((node) => node.stop()));
  const reader = response.body.getReader();
  while (!signal.aborted) {
    const { done, value } = await reader.read().catch(() => ({ done: true }));
    if (done) break;
    const bytes = new Uint8Array(rest.length + value.length);
    bytes.set(rest);
    bytes.set(value, rest.length);
    const whole = bytes.length - (bytes.length % 2);
    rest = bytes.slice(whole);
    const samples = new Int16Array(bytes.buffer.slice(0, whole));
    if (!samples.length) continue;
    if (!parts.length) onFirst();
    parts.push(samples);
    next = Math.max(next, out.currentTime + LEAD_SECONDS);
    playing.push(scheduled(out, samples, next));
    next += samples.length / RATE;
  }
  return wav(parts);
}

function scheduled(out, samples, at) {
  const buffer = out.createBuffer(1, samples.length, RATE);
  buffer.getChannelData(0).set(Float32Array.from(samples, (sample) => sample / 32768));
  const node = new AudioBufferSourceNode(out, { buffer });
  node.connect(out.destination);
  node.start(at);
  return node;
}

function wav(parts) {
  const size = 2 * parts.reduce((sum, part) => sum + part.length, 0);
  const header = new DataView(new ArrayBuffer(44));
  const text = (at, letters) => [...letters].forEach((c, i) => header.setUint8(at + i, c.charCodeAt(0)));
  text(0, "RIFF");
  header.setUint32(4, 36 + size, true);
  text(8, "WAVEfmt ");
  [16, 0x00010001, RATE, 2 * RATE, 0x00100002].forEach((value, i) => header.setUint32(16 + 4 * i, value, true));
  text(36, "data");
  header.setUint32(40, size, true);
  return new Blob([header, ...parts], { type: "audio/wav" });
}
