// The card of a saved voice: play, use, compare with its recording, edit, export, delete.

import { $, attempt, el, fileName, saveFile, tell } from "./dom.js";
import { aliasChips } from "./alias-chips.js";
import { decoded } from "./clip.js";
import { ClipView } from "./clip-view.js";
import { savedRecording } from "./clone.js";
import { comparison, similarityWords } from "./compare.js";
import { ask, formOf, patch } from "./server.js";
import { showRequest } from "./api-pane.js";
import { issueItems, listed } from "./recording-issues.js";
import { loadVoices, putVoice, voicePath } from "./voices.js";

const LABELS = {
  use: "Use",
  compare: "Compare",
  edit: "Edit",
  export: "Export",
  delete: "Delete",
};

export class VoiceCard {
  #view;
  #path;
  #loading = null;
  #aliases = null; // the chips, while the voice is edited
  #compared = null;

  /** onUse and onDelete: called with the voice. */
  constructor(voice, { onUse, onDelete }) {
    this.voice = voice;
    this.#path = voicePath(voice.id);
    this.element = $("voice-card").content.firstElementChild.cloneNode(true);
    this.#view = new ClipView(voice.name, { load: () => this.loadWave() });
    this.#part("wave-place").append(this.#view.element);
    const act = (name, work) => {
      this.#part(name).onclick = () => attempt(this.#part("told"), work);
    };
    act("use", () => onUse(this.voice));
    act("compare", () => this.#compare());
    act("edit", () => this.#edit(this.#part("editing").hidden));
    act("export", () => this.#export());
    act("delete", () => onDelete(this.voice));
    this.#part("edit-form").onsubmit = (event) => {
      event.preventDefault();
      attempt(this.#part("told"), () => this.#save());
    };
    this.#part("more-file").onchange = () => attempt(this.#part("told"), () => this.#addRecording());
    this.#show();
  }

  #part(name) {
    return this.element.querySelector(`.${name}`);
  }

  update(voice) {
    this.#aliases?.update();
    if (voice === this.voice) return;
    this.voice = voice;
    this.#show();
  }

  /** The recording's waveform, fetched once. */
  async loadWave() {
    this.#loading ??= savedRecording(this.voice.id).catch((error) => {
      this.#loading = null;
      throw error;
    });
    const clip = await this.#loading;
    if (this.#view.clip === clip) return clip;
    const issues = this.#issues();
    this.#view.show(clip, { marks: issues.map(({ places }) => places).filter((places) => places.length) });
    this.#part("issues").replaceChildren(...issueItems(issues, clip));
    return clip;
  }

  remove() {
    this.#view.remove();
    this.#closeComparison();
    this.element.remove();
  }

  /** The problems of the recording; their places within the part that was kept. */
  #issues() {
    const { used, findings } = this.voice;
    const within = ({ start, end }) => ({ start: Math.max(0, start - used.start), end: Math.min(end, used.end) - used.start });
    return listed(findings).map(({ name, message, places }) => ({
      name,
      message,
      places: places.map(within).filter(({ start, end }) => start < end),
    }));
  }

  #show() {
    const { voice } = this;
    this.#part("voice-name").textContent = this.#part("voice-name").title = voice.name;
    const date = new Date(1000 * voice.created_at).toLocaleDateString();
    const { likeness, used } = voice;
    const alike = likeness?.same_speaker ? `similarity ${likeness.similarity.toFixed(2)}` : null;
    const details = [`${(used.end - used.start).toFixed(1)} s`, date, alike];
    this.#part("voice-details").textContent = details.filter(Boolean).join(" · ");
    this.#part("voice-similarity").textContent = likeness && !alike ? similarityWords(likeness) : "";
    this.#part("voice-transcript").textContent = voice.ref_text ? `“${voice.ref_text}”` : "No transcript";
    this.#part("voice-aliases").textContent = voice.aliases.length ? `Answers to ${voice.aliases.join(", ")}` : "";
    this.#part("issues").replaceChildren(...issueItems(this.#issues(), this.#view.clip));
    // Only the default: what the user has typed meanwhile stays.
    this.#part("new-name").defaultValue = voice.name;
    this.#part("new-transcript").defaultValue = voice.ref_text ?? "";
    for (const [name, words] of Object.entries(LABELS)) {
      this.#part(name).setAttribute("aria-label", `${words} ${voice.name}`);
    }
    this.#part("more").replaceChildren(...voice.samples.map((sample, i) => this.#sample(sample, i + 2)));
  }

  #sample({ id, seconds, ref_text: words }, number) {
    const remove = el("button", { type: "button", className: "quiet" }, "Remove");
    remove.setAttribute("aria-label", `Remove recording ${number} of ${this.voice.name}`);
    remove.onclick = () =>
      attempt(this.#part("told"), async () => {
        putVoice(await (await ask(`${this.#path}/samples/${id}`, { method: "DELETE" })).json());
        this.#part("edit").focus();
      });
    return el("li", {}, `${seconds.toFixed(1)} s: “${words}” `, remove);
  }

  #edit(open) {
    this.#part("editing").hidden = !open;
    this.#part("edit").setAttribute("aria-expanded", open);
    tell(this.#part("told"), "");
    this.#aliases = open ? aliasChips(this.voice.id) : null;
    this.#part("aliases-place").replaceChildren(...(open ? [this.#aliases.element] : []));
    this.#part("edit-form").reset();
    this.#part("new-name").removeAttribute("aria-invalid");
    if (open) this.#part("new-name").focus();
  }

  async #save() {
    const changes = this.#changes();
    if (Object.keys(changes).length) {
      const changed = await (await patch(this.#path, changes).catch((error) => this.#refused(error))).json();
      showRequest({ title: "Change a voice", method: "PATCH", path: this.#path, json: changes });
      putVoice(changed);
    }
    this.#edit(false);
    this.#part("edit").focus();
    tell(this.#part("told"), "Saved.");
    if (changes.aliases) await loadVoices(); // another voice may have lost one
  }

  /** What the user changed, and nothing else: the voice may have changed elsewhere meanwhile. */
  #changes() {
    const changes = {};
    for (const [name, field] of [["name", this.#part("new-name")], ["ref_text", this.#part("new-transcript")]]) {
      if (field.value !== field.defaultValue) changes[name] = field.value.trim();
    }
    if (this.#aliases.changed()) changes.aliases = this.#aliases.chosen();
    return changes;
  }

  #refused(error) {
    if (error.code === "voice_name_taken") {
      this.#part("new-name").setAttribute("aria-invalid", "true");
      this.#part("new-name").focus();
    }
    throw error;
  }

  async #addRecording() {
    const [file] = this.#part("more-file").files;
    if (!file) return;
    this.#part("more-file").value = "";
    tell(this.#part("told"), "Adding the recording …");
    const form = formOf({ audio_sample: file });
    const changed = await (await ask(`${this.#path}/samples`, { method: "POST", body: form })).json();
    tell(this.#part("told"), "Recording added.");
    putVoice(changed);
  }

  async #compare() {
    if (this.#compared) return this.#closeComparison();
    tell(this.#part("told"), "Generating a sample …");
    const preview = await ask(`${this.#path}/preview`);
    const [original, clone] = [await this.loadWave(), await decoded(await preview.blob())];
    showRequest({ title: "Hear a voice", method: "GET", path: `${this.#path}/preview`, output: "preview.mp3" });
    const { name, likeness } = this.voice;
    this.#closeComparison(); // a second click had it opened twice
    this.#compared = comparison({ name, original, clone, likeness });
    this.#part("comparison-place").append(this.#compared.element);
    this.#part("compare").setAttribute("aria-expanded", "true");
    tell(this.#part("told"), "");
  }

  #closeComparison() {
    this.#compared?.remove();
    this.#compared = null;
    this.#part("compare").setAttribute("aria-expanded", "false");
  }

  async #export() {
    const path = `${this.#path}/export`;
    const output = `${fileName(this.voice.name)}.zip`;
    saveFile(await (await ask(path)).blob(), output);
    showRequest({ title: "Export a voice", method: "GET", path, output });
  }
}
