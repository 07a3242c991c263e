// The page: a recording becomes a voice, the voice speaks, and stays.

import { drawGallery, likenessTold, showFindings } from "./gallery.js";
import { ask, events, post, useKey } from "./server.js";
import { decoded, drawWave, playArriving, record } from "./sound.js";

const $ = (id) => document.getElementById(id);
const STEPS = { read: "read", choose: "choose the best part", encode: "encode", speak: "speak", keep: "keep" };
const WATCH_MS = 3000;

let recording = null; // the Blob that "Keep" sends
let sound = null; // its decoded samples, where the browser can
let running = null; // the recorder at work
let speaking = null; // the AbortController of the speech under way

/** Say something in one of the page's status lines. */
function tell(id, message, bad = false) {
  $(id).textContent = message;
  $(id).classList.toggle("bad", bad);
}

async function telling(id, work) {
  try {
    await work();
  } catch (error) {
    if (error.name === "AbortError") return;
    if (error.status === 401) $("key-form").hidden = false;
    tell(id, error.message, true);
  }
}

// --- A recording ------------------------------------------------------------------------------------

async function take(blob, name) {
  recording = blob;
  sound = await decoded(blob);
  $("original").src = URL.createObjectURL(blob);
  $("original").hidden = false;
  $("keep").disabled = $("recognise").disabled = false;
  $("steps").hidden = true;
  $("found").replaceChildren();
  tell("made", "");
  tell("taken", sound ? `${name}: ${sound.duration.toFixed(1)} s` : name);
  showWave();
}

function showWave(used) {
  $("wave").hidden = !sound;
  if (sound) drawWave($("wave"), sound.getChannelData(0), sound.duration, used);
}

async function toggleRecording() {
  if (running) {
    const blob = await running.stop();
    running = null;
    await take(blob, "Recording");
  } else {
    running = await record();
    tell("taken", "Recording … read a few sentences aloud.");
  }
  $("record").setAttribute("aria-pressed", Boolean(running));
  $("record").textContent = running ? "Stop" : "Record";
}

function form(fields) {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) if (value) body.append(name, value);
  return { method: "POST", body };
}

async function recognise() {
  tell("made", "Listening …");
  const answer = await ask("/v1/audio/transcriptions", form({ file: recording, model: "whisper-1" }));
  $("words").value = (await answer.json()).text;
  tell("made", "Correct the words where they are wrong.");
}

async function keep() {
  $("keep").disabled = true;
  $("found").replaceChildren();
  tell("made", "");
  try {
    const response = await ask(
      "/api/public/voice/onboarding/clone",
      form({
        audio_file: recording,
        user_id: "page",
        voice_name: $("name").value,
        ref_text: $("words").value.trim(),
        stream: "true",
      }),
    );
    for await (const event of events(response)) {
      if (event.type === "voice.onboarding.step") showSteps(event.steps);
      else await made(event);
    }
  } finally {
    $("keep").disabled = false;
  }
}

function showSteps(steps) {
  const states = Object.fromEntries(steps.map((step) => [step.name, step.state]));
  $("steps").hidden = false;
  $("steps").replaceChildren(
    ...Object.entries(STEPS).map(([name, title]) => {
      const item = document.createElement("li");
      item.className = states[name] ?? "waiting";
      item.textContent = title;
      return item;
    }),
  );
}

async function made(answer) {
  const { start, end } = answer.used;
  const likeness = likenessTold(answer.likeness);
  tell("made", `Kept. ${start.toFixed(1)} to ${end.toFixed(1)} s were used. ${likeness}`);
  showFindings($("found"), answer.findings);
  showWave(answer.used);
  show(answer.sample_audio, `${answer.voice_name}.mp3`);
  tell("spoken", `“${answer.sample_text}”`);
  await $("result").play().catch(() => {});
  await showVoices(answer.voice_id);
}

// --- Speech -----------------------------------------------------------------------------------------

function show(url, name) {
  $("result").src = $("download").href = url;
  $("download").download = name;
  $("result").hidden = $("download").hidden = false;
}

async function say() {
  speaking?.abort();
  speaking = new AbortController();
  const { signal } = speaking;
  const begun = performance.now();
  const since = () => (performance.now() - begun) / 1000;
  $("stop").disabled = false;
  tell("spoken", "…");
  let first = 0;
  try {
    const body = { model: "higgs-audio", input: $("text").value, voice: $("voice").value };
    const speed = Number($("speed").value);
    // A speed of 1 is left to the voice, which may have one of its own.
    const asked = { ...body, ...(speed !== 1 && { speed }), response_format: "pcm" };
    const response = await post("/v1/audio/speech", asked, { signal });
    const file = await playArriving(response, signal, () => {
      first = since();
      tell("spoken", `First sound after ${Math.round(1000 * first)} ms …`);
    });
    const seconds = (file.size - 44) / 48000;
    const factor = (since() / seconds).toFixed(2);
    const rate = `${seconds.toFixed(1)} s of speech in ${since().toFixed(1)} s (real-time factor ${factor})`;
    tell("spoken", `First sound after ${Math.round(1000 * first)} ms; ${rate}.`);
    show(URL.createObjectURL(file), "speech.wav");
  } finally {
    if (speaking.signal === signal) $("stop").disabled = true;
  }
}

async function hearOriginal() {
  const response = await ask(`/v1/audio/voices/${encodeURIComponent($("voice").value)}/recording`);
  await new Audio(URL.createObjectURL(await response.blob())).play();
}

// --- Kept voices and the server ------------------------------------------------------------------------

async function showVoices(chosen = $("voice").value) {
  const list = await (await ask("/v1/audio/voices?limit=100")).json();
  $("voice").replaceChildren(
    ...list.data.map((voice) => new Option(voice.name, voice.id, false, voice.id === chosen)),
  );
  chooseVoice();
  const kept = list.data.filter((voice) => !voice.built_in);
  $("none").hidden = kept.length > 0;
  drawGallery($("gallery"), $("voice-card"), kept, showVoices);
}

const chooseVoice = () => ($("compare").disabled = $("voice").value === "default");

async function watch() {
  try {
    const health = await (await fetch("/health")).json();
    const queue = health.waiting ? `${health.waiting} waiting` : "nobody waits";
    tell("server", health.status === "ready" ? `${health.model} on ${health.device}, ${queue}` : health.status);
    $("notice").textContent = [health.fallback, health.license_notice].filter(Boolean).join(" ");
    $("notice").hidden = !$("notice").textContent;
    if (health.status === "ready" && !$("voice").options.length) await telling("server", showVoices);
  } catch {
    tell("server", "The server can't be reached.", true);
  }
  setTimeout(watch, WATCH_MS);
}

// --- Wiring -------------------------------------------------------------------------------------------

$("record").onclick = () => telling("taken", toggleRecording);
$("file").onchange = () => $("file").files[0] && take($("file").files[0], $("file").files[0].name);
$("drop").ondragover = (event) => {
  event.preventDefault();
  $("drop").classList.add("over");
};
$("drop").ondragleave = () => $("drop").classList.remove("over");
$("drop").ondrop = (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  const [file] = event.dataTransfer.files;
  if (file) take(file, file.name);
};
$("recognise").onclick = () => telling("made", recognise);
$("make").onsubmit = (event) => {
  event.preventDefault();
  telling("made", keep);
};
$("speak").onsubmit = (event) => {
  event.preventDefault();
  telling("spoken", say);
};
$("stop").onclick = () => speaking.abort();
$("compare").onclick = () => telling("spoken", hearOriginal);
$("voice").onchange = chooseVoice;
$("speed").oninput = () => ($("speed-told").textContent = Number($("speed").value).toFixed(1));
$("key-form").onsubmit = (event) => {
  event.preventDefault();
  useKey($("key").value.trim());
  $("key-form").hidden = true;
  telling("server", showVoices);
};
watch();
