// The button beside the choice of voice: hear the voice say a sentence, before anything is generated.

import { $, attempt, expectedError, tell } from "./dom.js";
import { showRequest } from "./api-pane.js";
import { decoded } from "./clip.js";
import { player } from "./player.js";
import { ask } from "./server.js";
import { nameOf, voiceOf, voicePath } from "./voices.js";

const samples = new WeakMap(); // voice, as the server last gave it → its clip
let loading = null; // { id, controller } of the voice that is being fetched
let heard = null; // { id, clip } that was played last

export function wireVoiceSample() {
  $("hear").onclick = () => attempt($("hear-status"), hear);
  player.addEventListener("change", showSample);
}

/** Show the button for the chosen voice; another's sample ends. */
export function showSample() {
  const id = $("voice").value;
  if (loading && loading.id !== id) stopSample();
  if (heard && player.clip === heard.clip && heard.id !== id) return player.stop();
  const playing = player.playing && player.clip === heard?.clip;
  $("hear").disabled = !voiceOf(id);
  $("hear").classList.toggle("playing", playing);
  if (voiceOf(id)) $("hear").setAttribute("aria-label", playing ? `Pause ${nameOf(id)}` : `Hear ${nameOf(id)}`);
}

export const stopSample = () => loading?.controller.abort();

async function hear() {
  if (loading) return;
  const voice = voiceOf($("voice").value);
  if (!samples.has(voice)) samples.set(voice, await fetched(voice));
  heard = { id: voice.id, clip: samples.get(voice) };
  player.toggle(heard.clip);
}

async function fetched({ id }) {
  const path = `${voicePath(id)}/preview`;
  const { signal } = (loading = { id, controller: new AbortController() }).controller;
  const onBusy = (wait) => tell($("hear-status"), `The server is busy. Trying again in ${wait} s …`);
  $("hear").classList.add("loading");
  try {
    const clip = await decoded(await (await ask(path, { onBusy, signal })).blob());
    signal.throwIfAborted();
    if (!clip) throw expectedError("This browser can't play the sample.");
    showRequest({ title: "Hear a voice", method: "GET", path, output: "preview.mp3" });
    return clip;
  } finally {
    loading = null;
    $("hear").classList.remove("loading");
    tell($("hear-status"), "");
  }
}
