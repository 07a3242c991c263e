// A dialogue: lines of text, each with its own voice.

import { $, el } from "./dom.js";
import { fillVoices, nameOf } from "./voices.js";

const FIRST = ["Did you hear that? It sounds just like you.", "It does! Now let us talk about something else."];

export function wireDialogue() {
  for (const radio of document.querySelectorAll("[name=mode]")) radio.onchange = showMode;
  $("add-line").onclick = () => addLine("").focus();
  document.addEventListener("voices", () => {
    for (const select of $("lines").querySelectorAll("select")) fillVoices(select, select.value, nameOf);
  });
}

export const isDialogue = () => $("mode-dialogue").checked;

/** The text and the voices of a request: "[SPEAKER1] Hello." is spoken by the second of the voices. */
export function dialogueRequest() {
  const lines = [...$("lines").children]
    .map((line) => ({ voice: line.querySelector("select").value, text: line.querySelector("textarea").value.trim().replace(/\s*\n\s*/g, " ") }))
    .filter(({ text }) => text);
  const voices = [...new Set(lines.map(({ voice }) => voice))];
  if (voices.length < 2) return { input: lines.map(({ text }) => text).join("\n"), voice: voices[0] ?? "default" };
  return { input: lines.map(({ voice, text }) => `[SPEAKER${voices.indexOf(voice)}] ${text}`).join("\n"), voices };
}

/** Show the text field of a single voice. */
export function showText() {
  $("mode-single").checked = true;
  showMode();
}

/** Show the lines of an earlier request. */
export function showDialogue(input, voices) {
  $("mode-dialogue").checked = true;
  $("lines").replaceChildren();
  for (const [, speaker, text] of input.matchAll(/\[SPEAKER(\d+)\] (.*)/g)) {
    fillVoices(addLine(text).previousElementSibling, voices[speaker], nameOf);
  }
  showMode();
}

function showMode() {
  $("monologue").hidden = isDialogue();
  $("dialogue").hidden = !isDialogue();
  document.dispatchEvent(new CustomEvent("mode"));
  if (isDialogue() && !$("lines").children.length) {
    FIRST.forEach((text, i) => {
      const select = addLine(text).previousElementSibling;
      select.selectedIndex = Math.min(i, select.options.length - 1);
    });
  }
}

function addLine(text) {
  const number = $("lines").children.length + 1;
  const select = el("select", { aria: { label: `Voice of line ${number}` } });
  const input = el("textarea", { rows: 1, value: text, aria: { label: `Text of line ${number}` } });
  const remove = el("button", { type: "button", className: "quiet", aria: { label: `Remove line ${number}` } }, "✕");
  const line = el("li", { className: "line" }, select, input, remove);
  remove.onclick = () => {
    line.remove();
    $("add-line").focus();
  };
  fillVoices(select, $("lines").lastElementChild?.querySelector("select").value, nameOf);
  $("lines").append(line);
  return input;
}
