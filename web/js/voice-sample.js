// The button beside the choice of voice: hear the voice say a sentence, before anything is generated.

import { $, attempt } from "./dom.js";
import { showRequest } from "./api-pane.js";
import { decoded } from "./clip.js";
import { player } from "./player.js";
import { ask } from "./server.js";
import { nameOf, voiceOf, voicePath } from "./voices.js";

const samples = new WeakMap(); // voice, as the server last gave it → its clip

export function wireVoiceSample() {
  $("hear").onclick = () => attempt($("speech-status"), hear);
  player.addEventListener("change", showSample);
}

/** Show the button for the chosen voice. */
export function showSample() {
  const voice = voiceOf($("voice").value);
  const playing = player.playing && Boolean(voice) && player.clip === samples.get(voice);
  $("hear").disabled = !voice;
  $("hear").classList.toggle("playing", playing);
  if (voice) $("hear").setAttribute("aria-label", playing ? `Pause ${nameOf(voice.id)}` : `Hear ${nameOf(voice.id)}`);
}

async function hear() {
  const voice = voiceOf($("voice").value);
  if (!samples.has(voice)) {
    const path = `${voicePath(voice.id)}/preview`;
    $("hear").classList.add("loading");
    try {
      samples.set(voice, await decoded(await (await ask(path)).blob()));
    } finally {
      $("hear").classList.remove("loading");
    }
    showRequest({ title: "Hear a voice", method: "GET", path, output: "preview.mp3" });
  }
  player.toggle(samples.get(voice));
}
