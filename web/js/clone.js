// Cloning: from a recording, its transcript and a name to a voice.

import { $, attempt, el, pause, saveFile, tell } from "./dom.js";
import { showRequest } from "./api-pane.js";
import { decoded, decodedDataUrl } from "./clip.js";
import { comparison } from "./compare.js";
import { checkConsent, consentId, wireConsent } from "./consent.js";
import { RecordingPanel } from "./recording-panel.js";
import { RecordingView } from "./recording-view.js";
import { ServerError, ask, formOf, upload } from "./server.js";
import { chooseVoice } from "./speech.js";
import { failSteps, hideSteps, showSteps, showUpload } from "./steps.js";
import { wordsInCommon } from "./transcript.js";
import { sayIn, useVoice } from "./use-voice.js";
import { loadVoices, putVoice, voiceOf, voicePath } from "./voices.js";

const ONBOARDING = "/api/public/voice/onboarding";
const CLONE = `${ONBOARDING}/clone`;
const CANCEL_POLL_MS = 250;
const WHOLE_SECONDS = 30; // the server trims longer recordings, and transcribes the part that it uses
const SENTENCE_READ = 0.5; // minimum share of recognised words for the sentence to count as read

let recording = null; // { file, clip, sentence }
let creating = null; // an AbortController
let transcribing = null; // an AbortController
let checking = null; // an AbortController
let recorder = null;
let recognised = ""; // the recognised transcript of the whole recording, not yet edited
let view = null;
let compared = null;

export function wireClone() {
  recorder = new RecordingPanel($("recorder-place"), {
    onDone: (blob, ...said) => take(new File([blob], "recording.wav", { type: blob.type }), ...said),
  });
  view = new RecordingView();
  $("file").onchange = () => {
    const [file] = $("file").files;
    $("file").value = ""; // so that the same file can be chosen again
    if (file) attempt($("clone-status"), () => take(file));
  };
  $("clear").onclick = () => {
    clear();
    recorder.focus();
  };
  $("keep-recording").onclick = () => saveFile(recording.file, recording.file.name);
  $("transcribe").onclick = () => attempt($("transcript-status"), transcribe);
  $("cancel").onclick = () => {
    creating.abort();
    tell($("clone-status"), "Cancelling …");
  };
  $("name").oninput = () => $("name").removeAttribute("aria-invalid");
  $("clone-form").onsubmit = (event) => {
    event.preventDefault();
    attempt($("clone-status"), create);
  };
  wireConsent();
}

/** Start over with a recording. sentence: the text that was shown to read, if any; note: what to tell of it. */
export async function take(file, sentence = null, note = "") {
  await recorder.cancel();
  clear();
  const mine = (recording = { file, clip: null, sentence });
  $("recording-name").textContent = file.name;
  $("name").value = sentence ? "" : file.name.replace(/\.[^.]*$/, "").slice(0, 100);
  showRecording(true);
  tell($("clone-status"), note);
  const clip = await decoded(file);
  if (recording !== mine) return;
  mine.clip = clip;
  view.show(clip);
  $("name").focus();
  checking = new AbortController();
  const { signal } = checking;
  const checked = attempt($("clone-status"), () => view.check(file, signal));
  // What neither the browser nor the server can read has no words.
  if (!clip && (!(await checked) || signal.aborted)) return;
  if (!clip || clip.seconds <= WHOLE_SECONDS) await attempt($("transcript-status"), transcribe);
  else tell($("transcript-status"), "Long recording: the server picks the best part and transcribes that.");
}

function clear() {
  for (const running of [transcribing, checking, creating]) running?.abort();
  recording = null;
  recognised = "";
  view.clear();
  $("clone-form").reset();
  $("name").removeAttribute("aria-invalid");
  $("transcribe").textContent = "Transcribe";
  hideComparison();
  hideSteps();
  tell($("clone-status"), "");
  tell($("transcript-status"), "");
  showRecording(false);
}

function showRecording(there) {
  $("recording").hidden = $("clone-form").hidden = !there;
  $("drop").hidden = there;
  $("keep-recording").hidden = !recording?.sentence;
}

async function transcribe() {
  transcribing?.abort();
  const mine = (transcribing = new AbortController());
  const { file, sentence } = recording;
  const before = $("transcript").value;
  $("transcribe").disabled = true;
  tell($("transcript-status"), "Transcribing …");
  try {
    const form = formOf({ file, model: "whisper-1" });
    const response = await ask("/v1/audio/transcriptions", { method: "POST", body: form, signal: mine.signal });
    const { text } = await response.json();
    if (transcribing !== mine) return;
    const read = sentence && wordsInCommon(sentence, text) >= SENTENCE_READ;
    // Don't overwrite what the user has typed meanwhile.
    if ($("transcript").value === before) $("transcript").value = read ? sentence : text;
    recognised = read ? "" : text;
    $("transcribe").textContent = "Transcribe again";
    tell($("transcript-status"), read ? "The sentence you read; correct it if you said something else." : heard(text));
  } finally {
    if (mine.signal.aborted) tell($("transcript-status"), "");
    if (transcribing === mine) {
      transcribing = null;
      $("transcribe").disabled = false;
    }
  }
}

const heard = (text) => (text ? "Recognised: correct it where it is wrong." : "No words were recognised.");

async function create() {
  checkConsent();
  const mine = recording;
  const fields = fieldsOf(mine);
  for (const running of [transcribing, checking]) running?.abort();
  creating = new AbortController();
  const { signal } = creating;
  const { voice_name: name } = fields;
  let id = null; // of the voice, as soon as the server has one for it
  busy(true);
  showUpload(0, mine.file.size);
  try {
    fields.consent = await consentId(fields.voice_name, signal);
    let answer = null;
    await upload(CLONE, formOf(fields), {
      signal,
      onProgress: showUpload,
      onEvent: (event) => {
        id = event.voice_id;
        if (event.type === "voice.onboarding.step") showSteps(event.steps);
        else answer = event;
      },
    });
    if (!answer) throw new ServerError(0);
    const form = Object.fromEntries(Object.entries(fields).filter(([name, value]) => value && name !== "stream"));
    showRequest({ title: "Clone a voice", method: "POST", path: CLONE, form });
    await created(answer, mine, Boolean(fields.ref_text));
  } catch (error) {
    if (recording === mine) failSteps();
    if (error.name === "AbortError") attempt($("clone-status"), () => cancelled(id, name, mine));
    if (error.code === "voice_name_taken" && recording === mine) askForAnotherName();
    throw error;
  } finally {
    busy(false);
    if (creating?.signal === signal) creating = null;
  }
}

/** The form's fields. An unedited transcript isn't sent: the server transcribes the part that it uses. */
function fieldsOf({ file, clip }) {
  const transcript = $("transcript").value.trim();
  const corrected = transcript && transcript !== recognised.trim();
  const unknown = transcript ? !corrected : transcribing || !clip || clip.seconds > WHOLE_SECONDS;
  return {
    audio_file: file,
    user_id: "page",
    voice_name: $("name").value.trim(),
    ref_text: corrected ? transcript : "",
    transcribe_reference: unknown ? "true" : "",
    stream: "true",
  };
}

/** The focus stays: on Cancel while it takes, on Create before and after. */
function busy(is) {
  const [from, to] = is ? ["create", "cancel"] : ["cancel", "create"];
  const focused = document.activeElement === $(from);
  $("create").disabled = $("clear").disabled = $("consent").inert = is;
  $("cancel").hidden = !is;
  if (focused) $(to).focus();
  if (is) tell($("clone-status"), "");
}

/** Tell what became of a voice: the server may have saved it before it saw that nobody waits for it. */
async function cancelled(id, name, mine) {
  while (id && (await statusOf(id)) === "running") await pause(CANCEL_POLL_MS);
  await loadVoices();
  if (recording !== mine || creating) return; // something else is told there now
  const saved = id && voiceOf(id);
  tell($("clone-status"), saved ? `Too late to cancel: “${name}” is already saved.` : "Cancelled; nothing was saved.");
}

const statusOf = async (id) => (await (await ask(`${ONBOARDING}/status/${id}`)).json()).status;

/** Nothing is wrong with the recording. */
function askForAnotherName() {
  hideSteps();
  $("name").setAttribute("aria-invalid", "true");
  $("name").focus();
}

async function created(answer, mine, corrected) {
  const voice = await (await ask(voicePath(answer.voice_id))).json();
  putVoice(voice);
  chooseVoice(voice.id);
  if (recording !== mine) return; // another was chosen meanwhile
  const { start, end } = answer.used;
  const whole = end - start > answer.used.seconds - 0.5;
  const used = whole ? "" : ` ${start.toFixed(1)} to ${end.toFixed(1)} s of the recording are used.`;
  const check = !whole && corrected ? " Edit its transcript below if it says more than that part." : "";
  tell($("clone-status"), `Saved “${voice.name}”.${used}${check}`);
  $("transcript").value = voice.ref_text ?? "";
  tell($("transcript-status"), "");
  view.found(answer);
  const clone = await decodedDataUrl(answer.sample_audio);
  const original = mine.clip?.slice(start, end) ?? (await savedRecording(voice.id));
  showComparison(answer, original, clone);
}

function showComparison({ voice_id: id, voice_name: name, sample_text: text, likeness }, original, clone) {
  hideComparison();
  compared = comparison({ name, original, clone, likeness });
  const buttons = [
    el("button", { type: "button", onclick: () => sayIn(id) }, "Say my text in this voice"),
    el("button", { type: "button", className: "quiet", onclick: () => useVoice(id) }, "Use in text to speech"),
  ];
  $("clone-result").replaceChildren(el("p", {}, `“${text}”`), compared.element, el("div", { className: "row" }, ...buttons));
}

function hideComparison() {
  compared?.remove();
  compared = null;
  $("clone-result").replaceChildren();
}

export const savedRecording = async (id) => decoded(await (await ask(`${voicePath(id)}/recording`)).blob());
