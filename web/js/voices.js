// The server's voices, shared by all parts of the page.

import { el } from "./dom.js";
import { ask } from "./server.js";

const PAGE = 100; // voices in one answer, the most that the server gives

let known = [];

export const voicePath = (id) => `/v1/audio/voices/${encodeURIComponent(id)}`;
export const savedVoices = () => known.filter((voice) => !voice.built_in);
export const voiceOf = (id) => known.find((voice) => voice.id === id);
export const nameOf = (id) => (voiceOf(id) ? titleOf(voiceOf(id)) : id);

const titleOf = (voice) => (voice.id === "default" ? "Built-in voice" : voice.name);

/** Ask the server for all of them, page by page. */
export async function loadVoices() {
  const found = [];
  for (let after = ""; ; ) {
    const list = await (await ask(`/v1/audio/voices?limit=${PAGE}${after}`)).json();
    found.push(...list.data);
    if (!list.has_more) break;
    after = `&after=${encodeURIComponent(list.data.at(-1).id)}`;
  }
  known = found;
  changed();
}

/** Put one in, in place of its former self. */
export function putVoice(voice) {
  const at = known.findIndex(({ id }) => id === voice.id);
  if (at >= 0) known[at] = voice;
  else known.splice(known.filter(({ built_in }) => built_in).length, 0, voice);
  changed();
}

export function dropVoice(id) {
  known = known.filter((voice) => voice.id !== id);
  changed();
}

function changed() {
  document.dispatchEvent(new CustomEvent("voices"));
}

/** Fill a select with the voices; its choice stays, if that voice is still there. */
export function fillVoices(select, chosen = select.value) {
  const option = (voice) => new Option(titleOf(voice), voice.id, false, voice.id === chosen);
  const groups = [
    ["Built-in", known.filter((voice) => voice.built_in)],
    ["Saved", savedVoices()],
  ];
  select.replaceChildren(
    ...groups
      .filter(([, voices]) => voices.length)
      .map(([label, voices]) => el("optgroup", { label }, ...voices.map(option))),
  );
}
