// The kept voices: hear, rename, correct the words, delete.

import { ask, patch } from "./server.js";

/** Fill a list with a card for each voice; `changed` is called after one was changed or deleted. */
export function drawGallery(list, template, voices, changed) {
  list.replaceChildren(...voices.map((voice) => card(template, voice, changed)));
}

function card(template, voice, changed) {
  const item = template.content.firstElementChild.cloneNode(true);
  const $ = (name) => item.querySelector(`.${name}`);
  const path = `/v1/audio/voices/${encodeURIComponent(voice.id)}`;
  const telling = async (work) => {
    $("told").textContent = "";
    try {
      await work();
    } catch (error) {
      $("told").textContent = error.message;
      $("told").classList.add("bad");
    }
  };
  const play = async (what) => {
    const response = await ask(`${path}/${what}`);
    await new Audio(URL.createObjectURL(await response.blob())).play();
  };
  $("voice-name").textContent = voice.name;
  $("voice-used").textContent = `${(voice.used.end - voice.used.start).toFixed(1)} s`;
  $("new-name").value = voice.name;
  $("new-words").value = voice.ref_text ?? "";
  $("hear").onclick = () => telling(() => play("preview"));
  $("source").onclick = () => telling(() => play("recording"));
  item.querySelector("form").onsubmit = (event) => {
    event.preventDefault();
    telling(async () => {
      await patch(path, { name: $("new-name").value, ref_text: $("new-words").value });
      await changed();
    });
  };
  $("delete").onclick = () => {
    if (!confirm(`Delete the voice “${voice.name}” for good?`)) return;
    telling(async () => {
      await ask(path, { method: "DELETE" });
      await changed();
    });
  };
  return item;
}
