// Long texts: the fields of the mode, and the request that queues one as a job.

import { $, attempt, tell } from "./dom.js";
import { showRequest } from "./api-pane.js";
import { putJob } from "./jobs.js";
import { post } from "./server.js";

const MAX_FILE_BYTES = 4_000_000; // the server takes a million characters

export const isBook = () => $("mode-book").checked;

/** onText: called when a file has filled the text. */
export function wireBook(onText) {
  document.addEventListener("mode", () => {
    $("book").hidden = !isBook();
    $("generate").textContent = isBook() ? "Start" : "Generate";
    onText();
  });
  $("book-file").onchange = () => attempt($("speech-status"), () => openFile(onText));
}

async function openFile(onText) {
  const [file] = $("book-file").files;
  $("book-file").value = "";
  if (!file) return;
  if (file.size > MAX_FILE_BYTES) throw told(`${file.name} is too large: send it in parts of a million characters.`);
  const text = await file.text();
  if (text.includes("\0")) throw told(`${file.name} is no text file. Save it as plain text or Markdown.`);
  $("text").value = text;
  $("book-title").value ||= file.name.replace(/\.[^.]*$/, "");
  onText();
}

const told = (message) => Object.assign(new Error(message), { expected: true });

/** Queue the text of a request; its progress stands in the list of long texts. */
export async function startJob(body) {
  const asked = { ...body, title: $("book-title").value.trim() };
  tell($("speech-status"), "Reading the text …");
  const job = await (await post("/v1/audio/speech/jobs", asked)).json();
  showRequest({ title: "Speak a long text", method: "POST", path: "/v1/audio/speech/jobs", json: asked });
  tell($("speech-status"), "Queued. It goes on when this page is closed, too.");
  putJob(job);
  $("jobs-title").focus();
}
