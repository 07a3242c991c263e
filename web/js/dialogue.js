// A dialogue: lines of text, each with its own voice.

import { $, el } from "./dom.js";
import { fillVoices, nameOf } from "./voices.js";

const FIRST = ["Did you hear that? It sounds just like you.", "It does! Now let us talk about something else."];

let onText = () => {};

/** changed: called when lines are written, added or removed. */
export function wireDialogue(changed) {
  onText = changed;
  for (const radio of document.querySelectorAll("[name=mode]")) radio.onchange = showMode;
  $("add-line").onclick = () => addLine().focus();
  $("lines").oninput = onText;
  document.addEventListener("voices", () => {
    for (const select of $("lines").querySelectorAll("select")) fillVoices(select, undefined, nameOf);
  });
}

export const isDialogue = () => $("mode-dialogue").checked;

/** The lines as they stand: { voice, text } of each. */
export const linesNow = () =>
  [...$("lines").children].map((line) => ({ voice: line.querySelector("select").value, text: line.querySelector("textarea").value }));

/** The text and the voices of a request: "[SPEAKER1] Hello." is spoken by the second of the voices. */
export function dialogueRequest() {
  const lines = linesNow()
    .map(({ voice, text }) => ({ voice, text: text.trim().replace(/\s*\n\s*/g, " ") }))
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
  showLines([...input.matchAll(/\[SPEAKER(\d+)\] (.*)/g)].map(([, speaker, text]) => ({ voice: voices[speaker], text })));
  showMode();
}

export function showLines(lines) {
  $("lines").replaceChildren();
  for (const line of lines) addLine(line);
}

/** Show what belongs to the chosen mode. */
export function showMode() {
  $("monologue").hidden = isDialogue();
  $("dialogue").hidden = !isDialogue();
  if (isDialogue() && !$("lines").children.length) {
    FIRST.forEach((text, i) => {
      const select = addLine({ text }).previousElementSibling;
      select.selectedIndex = Math.min(i, select.options.length - 1);
    });
  }
  document.dispatchEvent(new CustomEvent("mode"));
}

/** voice: by default that of the line above. */
function addLine({ text = "", voice = $("lines").lastElementChild?.querySelector("select").value } = {}) {
  const select = el("select");
  const input = el("textarea", { rows: 1, value: text });
  const remove = el("button", { type: "button", className: "quiet" }, "✕");
  const line = el("li", { className: "line" }, select, input, remove);
  remove.onclick = () => {
    line.remove();
    number();
    $("add-line").focus();
  };
  fillVoices(select, voice, nameOf);
  $("lines").append(line);
  number();
  return input;
}

function number() {
  [...$("lines").children].forEach((line, i) => {
    const [select, input, remove] = line.children;
    select.setAttribute("aria-label", `Voice of line ${i + 1}`);
    input.setAttribute("aria-label", `Text of line ${i + 1}`);
    remove.setAttribute("aria-label", `Remove line ${i + 1}`);
  });
  onText();
}
