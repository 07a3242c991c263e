// Long texts: the fields of the mode, and the request that queues one as a job.

import { $, attempt, expectedError, tell } from "./dom.js";
import { showRequest } from "./api-pane.js";
import { showMode } from "./dialogue.js";
import { putJob } from "./jobs.js";
import { post } from "./server.js";
import { offerUndo } from "./undo.js";

const MAX_FILE_BYTES = 4_000_000; // the server takes a million characters
const MAX_NAME_CHARACTERS = 60; // of a job that has no title
const QUEUED = "Queued. It goes on when this page is closed, too.";

let titled = ""; // the title that the last file gave

export const isBook = () => $("mode-book").checked;
export const isTextFile = ({ name, type }) => /\.(txt|md|markdown)$/i.test(name) || /^text\/(plain|markdown)$/.test(type);

export function wireBook() {
  document.addEventListener("mode", () => {
    $("book").hidden = !isBook();
    $("generate").textContent = isBook() ? "Start" : "Generate";
    $("keys").textContent = isBook() ? "Ctrl+Enter starts." : "Ctrl+Enter generates, Esc stops.";
  });
  document.addEventListener("job-ended", () => {
    if ($("speech-status").textContent === QUEUED) tell($("speech-status"), "");
  });
  $("book-file").onchange = () => {
    const [file] = $("book-file").files;
    $("book-file").value = "";
    if (file) attempt($("speech-status"), () => openFile(file));
  };
}

/** Show a file's text as a long text. */
export async function openFile(file) {
  if (file.size > MAX_FILE_BYTES) throw expectedError(`${file.name} is too large: send it in parts of a million characters.`);
  const text = decoded(await file.arrayBuffer());
  if (text.includes("\0")) throw expectedError(`${file.name} is no text file. Save it as plain text or Markdown.`);
  $("mode-book").checked = true;
  showMode();
  const before = { text: $("text").value, title: $("book-title").value };
  const name = file.name.replace(/\.[^.]*$/, "").slice(0, $("book-title").maxLength);
  fill({ text, title: before.title === titled ? name : before.title });
  titled = name;
  tell($("speech-status"), "");
  if ([text, $("text").defaultValue, ""].includes(before.text)) return;
  offerUndo(`Opened ${file.name} in place of the text.`, { undo: () => fill(before), home: $("text") });
}

function fill({ text, title }) {
  $("text").value = text;
  $("book-title").value = title;
  $("text").dispatchEvent(new Event("input"));
}

/** Text as most editors save it: Unicode, or what Windows wrote before. */
function decoded(bytes) {
  const [first, second] = new Uint8Array(bytes);
  const marks = { 0xfeff: "utf-16be", 0xfffe: "utf-16le" };
  try {
    return new TextDecoder(marks[(first << 8) | second] ?? "utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("windows-1252").decode(bytes);
  }
}

/** Queue the text of a request; its progress stands in the list of long texts. */
export async function startJob(body) {
  const asked = { ...body, title: $("book-title").value.trim() || firstWords(body.input) };
  tell($("speech-status"), "Reading the text …");
  const job = await (await post("/v1/audio/speech/jobs", asked)).json();
  showRequest({ title: "Speak a long text", method: "POST", path: "/v1/audio/speech/jobs", json: asked });
  tell($("speech-status"), QUEUED);
  putJob(job);
  $("jobs-title").focus();
}

/** The first line, without the marks of a heading, and cut behind a word. */
function firstWords(text) {
  const line = [...text.trim().split("\n")[0].replace(/^#+\s*/, "").replace(/\p{Cc}+/gu, " ")];
  if (line.length <= MAX_NAME_CHARACTERS) return line.join("");
  return `${line.slice(0, MAX_NAME_CHARACTERS).join("").replace(/\s+\S*$/, "")} …`;
}
