// A saved voice is taken into the text to speech: from its card, or as soon as it is cloned.

import { $, tell } from "./dom.js";
import { isDialogue, showText } from "./dialogue.js";
import { chooseVoice } from "./speech.js";
import { fillVoices, nameOf, voiceOf } from "./voices.js";

let line = null; // of the dialogue, worked on last

$("lines").addEventListener("focusin", ({ target }) => (line = target.closest(".line")));

/** Choose a voice, in a dialogue for the line that was worked on last; the text gets the focus. */
export function useVoice(id) {
  const lines = isDialogue() ? [...$("lines").children] : [];
  const number = Math.max(0, lines.indexOf(line));
  const [select, text] = lines[number]?.querySelectorAll("select, textarea") ?? [$("voice"), $("text")];
  if (lines.length) fillVoices(select, id, nameOf);
  else takeAlone(id);
  $("speech-section").scrollIntoView({ block: "start" });
  text.focus();
  if (select.value === id) tell($("speech-status"), `Voice${lines.length ? ` of line ${number + 1}` : ""}: ${nameOf(id)}`);
}

/** Speak the text in a voice, at once. */
export function sayIn(id) {
  takeAlone(id);
  $("speech-section").scrollIntoView({ block: "start" });
  if (voiceOf(id)) $("speech").requestSubmit();
}

function takeAlone(id) {
  if (isDialogue()) showText();
  chooseVoice(id);
}
