// The saved voices: none, a few or hundreds; searched, sorted, imported.

import { $, attempt, tell } from "./dom.js";
import { ask, formOf } from "./server.js";
import { offerUndo } from "./undo.js";
import { useVoice } from "./use-voice.js";
import { VoiceCard } from "./voice-card.js";
import { dropVoice, hideVoice, putVoice, savedVoices, voiceOf, voicePath } from "./voices.js";

// Cards shown at first, and with each "Show more": some screens of them.
const STEP = matchMedia("(max-width: 40rem)").matches ? 8 : 24;
const MAX_LOADING = 2; // waveforms fetched at once

const ORDERS = {
  newest: (a, b) => b.created_at - a.created_at,
  oldest: (a, b) => a.created_at - b.created_at,
  name: (a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }),
  similarity: (a, b) => (b.likeness?.similarity ?? -1) - (a.likeness?.similarity ?? -1),
};

const cards = new Map(); // by voice id
let shown = STEP;

export function wireGallery() {
  document.addEventListener("voices", show);
  for (const id of ["search", "order"]) {
    $(id).oninput = () => {
      shown = STEP;
      show();
    };
  }
  $("show-more").onclick = () => {
    const first = shown;
    shown += STEP;
    show();
    $("gallery").children[first]?.querySelector("button").focus();
  };
  $("import").onchange = () => {
    const files = [...$("import").files];
    $("import").value = "";
    attempt($("gallery-status"), () => importVoices(files));
  };
}

function show() {
  const all = savedVoices();
  const wanted = $("search").value.trim().toLowerCase();
  const matches = ({ name, ref_text: words }) => `${name} ${words ?? ""}`.toLowerCase().includes(wanted);
  const found = all.filter(matches).sort(ORDERS[$("order").value]);
  const page = found.slice(0, shown);
  for (const [id, card] of cards) if (!voiceOf(id)) forget(id, card);
  place(page.map(cardOf));
  $("none").hidden = all.length > 0;
  $("find").hidden = all.length < 2;
  const count = all.length === 1 ? "1 voice" : `${all.length} voices`;
  $("voice-count").textContent = found.length < all.length ? `${found.length} of ${count}` : all.length ? count : "";
  $("no-match").hidden = found.length > 0 || !all.length;
  $("show-more").hidden = found.length <= shown;
  $("show-more").textContent = `Show ${Math.min(STEP, found.length - shown)} more of ${found.length - shown}`;
}

/** Order the cards, moving only those out of place: moving a card would lose the focus. */
function place(wanted) {
  const list = $("gallery");
  const elements = wanted.map((card) => card.element);
  for (const child of [...list.children]) if (!elements.includes(child)) child.remove();
  elements.forEach((element, i) => {
    if (list.children[i] !== element) list.insertBefore(element, list.children[i] ?? null);
  });
}

function cardOf(voice) {
  if (!cards.has(voice.id)) {
    const card = new VoiceCard(voice, { onUse: ({ id }) => useVoice(id), onDelete: remove });
    cards.set(voice.id, card);
    seen.observe(card.element);
  }
  cards.get(voice.id).update(voice);
  return cards.get(voice.id);
}

function forget(id, card) {
  seen.unobserve(card.element);
  card.remove();
  cards.delete(id);
}

// --- Waveforms, of the cards that are looked at -----------------------------------------------------------

const queue = [];
let loading = 0;

const seen = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) continue;
    seen.unobserve(target);
    queue.push([...cards.values()].find((card) => card.element === target));
  }
  loadNext();
});

async function loadNext() {
  if (loading >= MAX_LOADING || !queue.length) return;
  const card = queue.shift();
  loading++;
  if (card.element.isConnected) await card.loadWave().catch(() => {}); // the play button shows the error
  loading--;
  loadNext();
}

// --- What is done with a voice --------------------------------------------------------------------------------

function remove({ id, name }) {
  const choices = [...document.querySelectorAll("#voice, #lines select")].filter(({ value }) => value === id);
  hideVoice(id);
  const replacement = choices[0]?.value;
  offerUndo(`Deleted “${name}”.`, {
    undo: () => {
      hideVoice(id, false);
      for (const select of choices) if (select.value === replacement) choose(select, id); // else it was chosen since
      if (choices.length) tell($("speech-status"), "");
      cards.get(id)?.element.querySelector("button").focus();
    },
    commit: () =>
      attempt($("gallery-status"), async () => {
        try {
          await ask(voicePath(id), { method: "DELETE", keepalive: true }).catch(unlessGone);
          dropVoice(id);
        } finally {
          hideVoice(id, false);
        }
      }),
  });
}

function choose(select, id) {
  select.value = id;
  select.dispatchEvent(new Event("change"));
}

/** Deleted by someone else meanwhile is deleted. */
function unlessGone(error) {
  if (error.status !== 404) throw error;
}

/** Import exported voices, one after the other. */
export async function importVoices(files) {
  const imported = [];
  for (const file of files) {
    tell($("gallery-status"), `Importing ${file.name} …`);
    const response = await ask("/v1/audio/voices/import", { method: "POST", body: formOf({ file }) });
    const voice = await response.json();
    imported.push(voice.name);
    putVoice(voice);
  }
  if (imported.length) tell($("gallery-status"), `Imported ${imported.map((name) => `“${name}”`).join(", ")}.`);
}
