// Page-wide behaviour: dropped files, the API key, Escape, the server's state.

import { $, attempt, tell } from "./dom.js";
import { wireApiPane } from "./api-pane.js";
import { isTextFile, openFile } from "./book.js";
import { take, wireClone } from "./clone.js";
import { importVoices, wireGallery } from "./gallery.js";
import { watchServer } from "./health.js";
import { loadJobs } from "./jobs.js";
import { useKey } from "./server.js";
import { stop, wireSpeech } from "./speech.js";
import { loadVoices } from "./voices.js";

wireSpeech();
wireClone();
wireGallery();
wireApiPane();
wireDrops();
wireKey();
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") stop();
});
watchServer(() => {
  attempt($("gallery-status"), loadVoices);
  attempt($("jobs-status"), loadJobs);
});

function wireDrops() {
  let depth = 0; // dragenter and dragleave fire for every nested element
  const show = (over) => document.body.classList.toggle("dropping", over);
  const holdsFiles = ({ dataTransfer }) => [...(dataTransfer?.types ?? [])].includes("Files");
  addEventListener("dragenter", (event) => holdsFiles(event) && show(++depth > 0));
  addEventListener("dragleave", (event) => holdsFiles(event) && show(--depth > 0));
  addEventListener("dragover", (event) => holdsFiles(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    depth = 0;
    show(false);
    takeFiles([...event.dataTransfer.files]);
  });
}

/** Import exported voices; open a text as a long text; use the first recording for cloning. */
function takeFiles(files) {
  const isVoice = ({ name }) => name.toLowerCase().endsWith(".zip");
  const voices = files.filter(isVoice);
  const text = files.find(isTextFile);
  const [recording, ...others] = files.filter((file) => !isVoice(file) && !isTextFile(file));
  if (voices.length) attempt($("gallery-status"), () => importVoices(voices));
  if (text) {
    attempt($("speech-status"), () => openFile(text));
    $("speech-section").scrollIntoView({ block: "nearest" });
  }
  if (!recording) return;
  attempt($("clone-status"), async () => {
    const taken = take(recording);
    $("clone-section").scrollIntoView({ block: "nearest" });
    await taken;
    if (others.length) tell($("clone-status"), `One recording makes one voice: ${recording.name} was taken.`);
  });
}

function wireKey() {
  document.addEventListener("key-needed", () => ($("key-form").hidden = false));
  $("key-form").onsubmit = (event) => {
    event.preventDefault();
    useKey($("key").value.trim());
    tell($("key-status"), "");
    attempt($("key-status"), enter);
  };
}

/** Use the entered key, and remove messages that asked for one. */
async function enter() {
  try {
    await loadVoices();
    await loadJobs();
  } catch (error) {
    if (error.status === 401) error.message = "That key is not valid. Check it, and try again.";
    throw error;
  }
  $("key-form").hidden = true;
  for (const id of ["gallery-status", "jobs-status", "speech-status", "clone-status"]) tell($(id), "");
}
