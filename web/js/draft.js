// What was written and chosen, kept while the tab is open: a reload, or the way back from another page, loses nothing.

import { $ } from "./dom.js";
import { linesNow, showLines } from "./dialogue.js";
import { restoreVoiceSettings, voiceSettings } from "./speech-settings.js";
import { storage } from "./storage.js";

const KEY = "draft";
const FIELDS = ["text", "book-title", "speed", "pitch", "volume", "instructions", "seed"];

export function wireDraft() {
  addEventListener("pagehide", keep);
  const draft = JSON.parse(storage.getItem(KEY));
  if (!draft) return;
  // Who is quick has written before the scripts came; the page that kept the draft may have been an older one.
  for (const name of FIELDS) if ($(name).value === $(name).defaultValue) $(name).value = draft[name] ?? $(name).value;
  restoreVoiceSettings(draft.voiceSettings);
  if ($("mode-single").checked) $(draft.mode).checked = true;
  $("voice").dataset.chosen = draft.voice; // once the voices are known
  if (draft.lines) showLines(draft.lines);
}

function keep() {
  const values = Object.fromEntries(FIELDS.map((name) => [name, $(name).value]));
  const mode = document.querySelector("[name=mode]:checked").id;
  const voice = $("voice").value || $("voice").dataset.chosen;
  const draft = { ...values, mode, voice, voiceSettings: voiceSettings(), lines: linesNow() };
  try {
    storage.setItem(KEY, JSON.stringify(draft));
  } catch {
    storage.removeItem(KEY); // a text larger than the browser keeps
  }
}
