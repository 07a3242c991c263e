// The speaker's consent, recorded along with the voice if required.

import { $, attempt, tell } from "./dom.js";
import { ClipView } from "./clip-view.js";
import { decoded } from "./clip.js";
import { health } from "./health.js";
import { RecordingPanel } from "./recording-panel.js";
import { ask, formOf } from "./server.js";

const SENTENCE = "I am the owner of this voice, and I agree that a clone of it is made and used on this server.";

let required = false; // by the server
let consent = null; // { recording, id }: the id once the server has it
const view = new ClipView("the consent");

export function wireConsent() {
  new RecordingPanel($("consent-recorder"), { sentences: [SENTENCE], enough: 4, onDone: take });
  $("consent-wave").append(view.element);
  $("consent-file").onchange = () => {
    const [file] = $("consent-file").files;
    if (file) attempt($("consent-status"), () => take(file));
  };
  document.addEventListener("health", () => {
    if (health) need(Boolean(health.consent_required));
  });
  $("clone-form").addEventListener("reset", () => {
    consent = null;
    $("consent-wave").hidden = true;
    tell($("consent-status"), "");
  });
}

function need(wanted) {
  if (wanted && !required) $("consent").open = true;
  required = wanted;
  $("consent-need").textContent = required ? "(this server wants one)" : "(optional)";
}

async function take(blob) {
  consent = { recording: blob, id: null };
  const clip = await decoded(blob);
  $("consent-wave").hidden = !clip;
  view.show(clip);
  tell($("consent-status"), "The consent is sent with the voice.");
}

/** Throw if the server wants a consent, and there is none yet. */
export function checkConsent() {
  if (consent || !required) return;
  $("consent").open = true;
  const words = "This server clones a voice only with its speaker's consent: record one below “Consent recording”.";
  throw Object.assign(new Error(words), { expected: true });
}

/** Save the consent on the server, if there is one; returns its id, or "". */
export async function consentId(name, signal) {
  if (!consent) return "";
  if (consent.id) return consent.id;
  const form = formOf({ name: `Consent: ${name}`.slice(0, 100), language: "en", recording: consent.recording });
  const response = await ask("/v1/audio/voice_consents", { method: "POST", body: form, signal });
  return (consent.id = (await response.json()).id);
}
