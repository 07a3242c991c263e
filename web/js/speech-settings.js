// Delivery of the speech: speed, pitch, volume, style and seed; starts with the voice's own settings.

import { $, attempt, tell } from "./dom.js";
import { patch } from "./server.js";
import { putVoice, voiceOf, voicePath } from "./voices.js";

const NEUTRAL = { speed: 1, pitch: 0, volume: 0 };
const UNITS = {
  speed: (value) => `${value.toFixed(2)}×`,
  pitch: (value) => `${signed(value)} semitones`,
  volume: (value) => `${signed(value)} dB`,
};
const signed = (value) => (value > 0 ? `+${value}` : `${value}`.replace("-", "−"));

let own = { ...NEUTRAL, instructions: "" }; // the voice's default delivery

export function wireSettings() {
  for (const name of Object.keys(NEUTRAL)) $(name).oninput = showFigures;
  // A field that the browser finds wrong can only be pointed at where it is seen.
  $("settings").addEventListener("invalid", () => ($("settings").open = true), true);
  $("settings").addEventListener("input", () => tell($("settings-status"), ""));
  $("settings-reset").onclick = () => {
    tell($("settings-status"), "");
    $("seed").value = "";
    setSettings(own);
  };
  $("settings-keep").onclick = () => attempt($("settings-status"), keepForVoice);
}

/** Show a voice's settings; what was set by hand stays, so that voices can be compared. */
export function showVoiceSettings(id) {
  const asked = settings();
  const voice = voiceOf(id) ?? {};
  const said = Object.fromEntries(Object.keys(NEUTRAL).map((name) => [name, voice[name] ?? NEUTRAL[name]]));
  own = { ...said, instructions: voice.instructions ?? "" };
  $("settings-keep").hidden = !voice.id || voice.built_in;
  tell($("settings-status"), "");
  setSettings(asked);
}

/** Set the fields, e.g. to those of an earlier request. */
export function setSettings(values) {
  const all = { ...own, ...values };
  for (const name of [...Object.keys(own), "seed"]) if (name in all) $(name).value = all[name];
  showFigures();
}

function showFigures() {
  for (const [name, write] of Object.entries(UNITS)) $(`${name}-figure`).textContent = write(Number($(name).value));
}

/** A request's fields: those that differ from the voice's settings, and the seed, if any. */
export function settings() {
  const asked = {};
  for (const name of Object.keys(NEUTRAL)) {
    const value = Number($(name).value);
    if (value !== own[name]) asked[name] = value;
  }
  const style = $("instructions").value.trim();
  if (style !== own.instructions) asked.instructions = style;
  if ($("seed").value !== "") asked.seed = Number($("seed").value);
  return asked;
}

/** The chosen voice's own settings; after a reload they tell what was set by hand. */
export const voiceSettings = () => own;

export function restoreVoiceSettings(values) {
  own = { ...own, ...values };
}

/** All that is in force, said in full: what a request gives once the voice's default is another. */
export const allSettings = () => ({ ...own, ...settings() });

async function keepForVoice() {
  const id = $("voice").value;
  const values = { instructions: $("instructions").value.trim() };
  for (const [name, neutral] of Object.entries(NEUTRAL)) {
    const value = Number($(name).value);
    values[name] = value === neutral ? null : value;
  }
  putVoice(await (await patch(voicePath(id), values)).json());
  showVoiceSettings(id);
  tell($("settings-status"), "Saved: this voice now speaks so by default.");
}
