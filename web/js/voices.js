// The server's voices, shared by all parts of the page.

import { el } from "./dom.js";
import { ask } from "./server.js";

const PAGE = 100; // voices in one answer, the most that the server gives

let known = [];

/** Names that a saved voice can answer to: OpenAI's. */
export let aliasNames = [];

export const voicePath = (id) => `/v1/audio/voices/${encodeURIComponent(id)}`;
export const savedVoices = () => known.filter((voice) => !voice.built_in);
export const voiceOf = (id) => known.find((voice) => voice.id === id);
/** The saved voice that answers to one of OpenAI's names, if any. */
export const aliased = (alias) => savedVoices().find(({ aliases }) => aliases.includes(alias));

/** A voice's name as people see it. */
export function nameOf(id) {
  if (id === "default") return "Built-in voice";
  const { name, built_in: own } = voiceOf(id) ?? { name: id };
  return own ? name[0].toUpperCase() + name.slice(1) : name;
}

const titleOf = (id) => [nameOf(id), voiceOf(id).description].filter(Boolean).join(": ");

/** Ask the server for all of them, page by page. */
export async function loadVoices() {
  const found = [];
  for (let after = ""; ; ) {
    const list = await (await ask(`/v1/audio/voices?limit=${PAGE}${after}`)).json();
    found.push(...list.data);
    if (!after) aliasNames = list.voices.map(({ id }) => id).filter((id) => !list.data.some((voice) => voice.id === id));
    if (!list.has_more) break;
    after = `&after=${encodeURIComponent(list.data.at(-1).id)}`;
  }
  known = withoutTwin(found);
  changed();
}

/** Leave the default voice out where it is another's, the first of the model's voices that have names. */
function withoutTwin(voices) {
  const named = voices.some(({ id, built_in: own }) => own && id !== "default");
  return named ? voices.filter(({ id }) => id !== "default") : voices;
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

/**
 * Fill a select with the voices; its choice stays, if that voice is still there, or is made once the voices are known.
 * title: of the id of a voice.
 */
export function fillVoices(select, chosen = select.value || select.dataset.chosen, title = titleOf) {
  select.dataset.chosen = chosen ?? "";
  const option = ({ id }) => new Option(title(id), id, false, id === chosen);
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
