// Text to speech: the request, streaming playback, and the Stop button.

import { $, attempt, expectedError, replaceText, tell } from "./dom.js";
import { isBook, startJob, wireBook } from "./book.js";
import { Clip, samplesOf } from "./clip.js";
import { dialogueRequest, isDialogue, showDialogue, showMode, showText, wireDialogue } from "./dialogue.js";
import { wireDraft } from "./draft.js";
import { health, poll } from "./health.js";
import { player } from "./player.js";
import { Result, isMaking, stopMaking } from "./results.js";
import { events, post } from "./server.js";
import { allSettings, setSettings, settings, showVoiceSettings, wireSettings } from "./speech-settings.js";
import { showRequest } from "./api-pane.js";
import { showSample, stopSample, wireVoiceSample } from "./voice-sample.js";
import { fillVoices, nameOf } from "./voices.js";

const CHARACTERS_PER_SECOND = 15; // of English read aloud
const MAX_CHARACTERS = 4096; // the server's default limits; what it says of itself, or its answer, decides
const MAX_BOOK_CHARACTERS = 1_000_000;
const QUEUE_POLL_MS = 1000; // while a request waits

const SAMPLES = {
  Greeting: "Hello and welcome! I am glad that you are here. What would you like to hear?",
  Story:
    "The old lighthouse had been dark for thirty years. Then, one night in autumn, a fisherman saw it shine again, " +
    "and nobody in the village could say who had lit the lamp.",
  News: "Good evening. After three days of rain the river has fallen again, and the bridge in the old town is open.",
  Numbers: "Your train leaves at 9:45 from platform 12. The ticket costs $18.50, and the journey takes 3 hours.",
};

let job = null; // { controller, heard, place }: the current request, whether it sounds, its place in the queue

export function wireSpeech() {
  wireSettings();
  wireDialogue(showCount);
  wireVoiceSample();
  wireBook();
  for (const [name, text] of Object.entries(SAMPLES)) addSample(name, text);
  $("speech").onsubmit = (event) => {
    event.preventDefault();
    attempt($("speech-status"), isBook() ? () => startJob(request()) : generate);
  };
  $("speech").onkeydown = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("speech").requestSubmit();
  };
  $("text").oninput = showCount;
  $("stop").onclick = stop;
  $("voice").onchange = () => chooseVoice($("voice").value);
  player.addEventListener("change", showStop);
  document.addEventListener("making", showStop);
  document.addEventListener("health", showQueue);
  document.addEventListener("voices", () => {
    chooseVoice();
    showCount();
  });
  document.addEventListener("mode", () => {
    showCount();
    showStop();
  });
  wireDraft();
  showMode();
  $("generate").disabled = false;
}

let shown = null; // id of the voice whose settings stand there

/** Choose a voice; by default the one that is chosen is shown as it now is. */
export function chooseVoice(id) {
  fillVoices($("voice"), id);
  const now = $("voice").value;
  if (now !== shown) showVoiceSettings(now);
  shown = now;
  showSample();
}

function addSample(name, text) {
  const button = document.createElement("button");
  Object.assign(button, { type: "button", className: "chip", textContent: name });
  button.onclick = () => {
    replaceText($("text"), text);
  };
  $("samples").append(button);
}

function showCount() {
  const length = charactersOf(isDialogue() ? dialogueRequest().input : $("text").value);
  const most = isBook() ? MAX_BOOK_CHARACTERS : (health?.max_text_characters ?? MAX_CHARACTERS);
  const over = length > most;
  const words = `${length.toLocaleString("en")} / ${most.toLocaleString("en")} characters`;
  const remedy = isBook() ? "send it in parts" : isDialogue() ? "shorten it" : "shorten it, or choose “Long text”";
  tell($(isDialogue() ? "dialogue-count" : "count"), over ? `${words}: too long, ${remedy}` : words, over);
}

/** As the server counts: an emoji is one. */
const charactersOf = (text) => text.length - (text.match(/[\ud800-\udbff][\udc00-\udfff]/g)?.length ?? 0);

/** Stop what is asked for, and playback. */
export function stop() {
  stopMaking();
  stopSpeech();
}

function stopSpeech() {
  job?.controller.abort();
  stopSample();
  player.stop();
}

function showStop() {
  const silent = !job && !player.playing && !isMaking();
  if (silent && document.activeElement === $("stop")) $("generate").focus();
  $("stop").disabled = silent;
  $("stop").hidden = isBook() && silent;
}

/** The queue's length when the request is sent is its place; later requests make only the queue longer. */
function showQueue() {
  if (!job || job.heard || !health?.waiting) return;
  job.place = Math.min(job.place, health.waiting);
  tell($("speech-status"), `Waiting: place ${job.place} in the queue …`);
}

function request() {
  const said = isDialogue() ? dialogueRequest() : { input: $("text").value, voice: $("voice").value };
  // The page chooses the seed: the server's have 63 bits, more than a JavaScript number.
  const seed = crypto.getRandomValues(new Uint32Array(1))[0];
  return { model: "higgs-audio", ...said, seed, ...settings() };
}

async function generate() {
  stopSpeech();
  const mine = (job = { controller: new AbortController(), heard: false, place: Infinity });
  const watch = setInterval(() => !mine.heard && poll(), QUEUE_POLL_MS);
  const body = request();
  const pinned = isDialogue() ? body : { ...body, ...allSettings() }; // voices of a dialogue have their own
  const clip = new Clip();
  const voice = (body.voices ?? [body.voice]).map(nameOf).join(", ");
  const expected = body.input.length / CHARACTERS_PER_SECOND / (body.speed ?? 1);
  const plain = (text) => text.replace(/\[SPEAKER(\d+)\]/g, (tag, speaker) => (body.voices ? `${nameOf(body.voices[speaker])}:` : tag));
  let result = null;
  tell($("speech-status"), "Waiting for the server …");
  showStop();
  try {
    const begun = performance.now();
    const { response, stream } = await open(body, mine.controller.signal);
    result = new Result({ body: pinned, plain, voice, clip, expected, onReuse: reuse });
    showRequest({ title: "Generate speech", ...asFile(body) });
    player.play(clip);
    const done = await receive(stream, clip, result, () => {
      mine.heard = true;
      tell($("speech-status"), `First sound after ${Math.round(performance.now() - begun)} ms …`);
    });
    clip.end();
    result.describe({ issues: done.quality?.faults ?? [] });
    tellDone(clip, (performance.now() - begun) / 1000, response);
  } catch (error) {
    clip.end();
    if (result) result.describe({ problem: incomplete(error, clip) });
    if (error.name !== "AbortError") throw error;
    tell($("speech-status"), "Stopped.");
  } finally {
    clearInterval(watch);
    if (job === mine) job = null;
    showStop();
  }
}

async function open(body, signal) {
  const onBusy = (wait) => tell($("speech-status"), `The server is busy. Trying again in ${wait} s …`);
  const asked = { ...body, response_format: "pcm", stream_format: "sse", timestamp_granularities: ["word"] };
  const response = await post("/v1/audio/speech", asked, { signal, onBusy });
  return { response, stream: events(response) };
}

/** Fill the clip, and time the words of the result; return the last event. A stream without it is an error. */
async function receive(stream, clip, result, onFirst) {
  for await (const event of stream) {
    if (event.type === "speech.audio.done") return event;
    if (event.type === "speech.audio.words") {
      result.addWords(event.words);
      continue;
    }
    if (!clip.length) onFirst();
    clip.append(samplesOf(event.audio));
  }
  throw expectedError("The server ended the speech too early. Try again.");
}

function incomplete(error, clip) {
  const part = `after ${clip.seconds.toFixed(1)} s`;
  return error.name === "AbortError" ? `Stopped ${part}.` : `Incomplete: the connection broke ${part}.`;
}

function tellDone(clip, took, response) {
  const first = $("speech-status").textContent.replace(/ …$/, "");
  const times = (clip.seconds / took).toFixed(1);
  const style = response.headers.get("x-instructions-followed") === "false";
  const note = style ? " This model can't follow a style; it was left out." : "";
  tell($("speech-status"), `${first}, ${clip.seconds.toFixed(1)} s of speech at ${times}× real time.${note}`);
}

/** The request for the API pane: the same audio, as a file. */
function asFile(body) {
  const json = { ...body, response_format: "mp3", stream: false };
  return { method: "POST", path: "/v1/audio/speech", json, output: "speech.mp3" };
}

function reuse(body) {
  if (body.voices) {
    showDialogue(body.input, body.voices);
  } else {
    showText();
    replaceText($("text"), body.input);
    chooseVoice(body.voice);
  }
  setSettings({ ...body, seed: body.seed ?? "" });
  $("settings").open = true;
  $("generate").focus();
}
