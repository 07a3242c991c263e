// The speaker's consent, recorded along with the voice if required.

import { $, attempt, expectedError, tell } from "./dom.js";
import { ClipView } from "./clip-view.js";
import { decoded } from "./clip.js";
import { health } from "./health.js";
import { RecordingPanel } from "./recording-panel.js";
import { ask, formOf } from "./server.js";

const SENTENCE = "I am the owner of this voice, and I agree that a clone of it is made and used on this server.";

let required = false; // by the server
let consent = null; // { recording, id }: the id once the server has it
let recorder = null;
const view = new ClipView("the consent");

export function wireConsent() {
  const onDone = (blob, sentence, note) => take(blob, note);
  recorder = new RecordingPanel($("consent-recorder"), { sentences: [SENTENCE], enough: 4, onDone });
  $("consent-wave").append(view.element);
  $("consent-file").onchange = () => {
    const [file] = $("consent-file").files;
    $("consent-file").value = ""; // so that the same file can be chosen again
    if (file) attempt($("consent-status"), () => take(file));
  };
  // Nobody would see that it goes on.
  $("consent").addEventListener("toggle", () => $("consent").open || recorder.cancel());
  document.addEventListener("health", () => {
    if (health) need(Boolean(health.consent_required));
  });
  $("clone-form").addEventListener("reset", () => {
    recorder.cancel();
    forget();
  });
}

function need(wanted) {
  if (wanted && !required) $("consent").open = true;
  required = wanted;
  $("consent-need").textContent = required ? "(this server wants one)" : "(optional)";
}

function forget() {
  consent = null;
  view.show(null);
  $("consent-wave").hidden = true;
  tell($("consent-status"), "");
}

/** Use a recording, or a file. note: what to tell of it. */
async function take(blob, note = "") {
  await recorder.cancel();
  forget();
  const mine = (consent = { recording: blob, id: null });
  const clip = await decoded(blob);
  if (consent !== mine) return; // started over meanwhile
  if (!clip && !/^(audio|video)\//.test(blob.type)) {
    forget();
    throw expectedError(`${blob.name} is no sound. Choose a recording of the consent.`);
  }
  $("consent-wave").hidden = !clip;
  view.show(clip);
  const unread = clip ? "" : "This browser can't play the file; the server may read it.";
  tell($("consent-status"), [note, unread, "The consent is sent with the voice."].filter(Boolean).join(" "));
}

/** Throw if a consent is being recorded, or if the server wants one and there is none yet. */
export function checkConsent() {
  if (recorder.busy) throw expectedError("The consent is being recorded: stop that first.");
  if (consent || !required) return;
  $("consent").open = true;
  throw expectedError("This server clones a voice only with its speaker's consent: record it under “Consent recording”.");
}

/** Save the consent on the server, if there is one; returns its id, or "". */
export async function consentId(name, signal) {
  if (!consent) return "";
  if (consent.id) return consent.id;
  const form = formOf({ name: `Consent: ${name}`.slice(0, 100), language: "en", recording: consent.recording });
  const response = await ask("/v1/audio/voice_consents", { method: "POST", body: form, signal });
  return (consent.id = (await response.json()).id);
}
