// The kept voices: hear, rename, correct the words, delete.

import { ask, patch } from "./server.js";

/** Fill a list with a card for each voice; `changed` is called after one was changed or deleted. */
export function drawGallery(list, template, voices, changed) {
  list.replaceChildren(...voices.map((voice) => card(template, voice, changed)));
}

/** How like its recording a voice sounds; nothing where the server has no model that compares speakers. */
export function likenessTold(likeness) {
  if (!likeness) return "";
  const verdict = likeness.same_speaker ? "one speaker" : `below the ${likeness.threshold} of one speaker`;
  return `Likeness to the recording ${likeness.similarity.toFixed(2)}, ${verdict}.`;
}

/** What a listener should know of a recording. */
export function showFindings(list, findings) {
  list.replaceChildren(
    ...findings.map((finding) => {
      const item = document.createElement("li");
      item.textContent = finding.message;
      return item;
    }),
  );
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
  const seconds = `${(voice.used.end - voice.used.start).toFixed(1)} s`;
  $("voice-used").textContent = [seconds, likenessTold(voice.likeness)].filter(Boolean).join(" · ");
  showFindings($("found"), voice.findings);
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
