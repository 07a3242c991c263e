// The pieces of a long text: hear each, and have it made again.

import { attempt, el, tell } from "./dom.js";
import { decoded } from "./clip.js";
import { ClipView } from "./clip-view.js";
import { ask, post } from "./server.js";

const PAGE = 50;

export class PieceList {
  #path;
  #onChange;
  #rows = new Map(); // number → { piece, view, element }
  #list = el("ol", { className: "piece-list" });
  #more = el("button", { type: "button", className: "quiet", hidden: true }, "Show more");
  #status = el("p", { role: "status" });
  #open = false;
  #done = -1;

  /** path: of the job; onChange: called with the job once a piece of it is queued again. */
  constructor(path, onChange) {
    this.#path = path;
    this.#onChange = onChange;
    this.element = el("div", {}, this.#list, this.#more, this.#status);
    this.#more.onclick = () => attempt(this.#status, () => this.#load(this.#rows.size - 1));
  }

  async show(open, job) {
    this.#open = open;
    await this.update(job);
  }

  /** Look at the pieces that are shown again, where more or fewer are made than before. */
  async update(job) {
    if (job.pieces.done === job.pieces.total) tell(this.#status, "");
    if (!this.#open || job.pieces.done === this.#done) return;
    this.#done = job.pieces.done;
    this.#chapters = job.chapters;
    for (let after = -1; after < Math.max(this.#rows.size - 1, 0); after += PAGE) await this.#load(after);
  }

  remove() {
    for (const { view } of this.#rows.values()) view?.remove();
  }

  #chapters = [];

  async #load(after) {
    const list = await (await ask(`${this.#path}/pieces?limit=${PAGE}&after=${after}`)).json();
    for (const piece of list.data) this.#put(piece);
    if (list.data.at(-1)?.number === this.#rows.size - 1) this.#more.hidden = !list.has_more;
  }

  #put(piece) {
    const before = this.#rows.get(piece.number);
    if (before && before.piece.status === piece.status && before.piece.seed === piece.seed) return;
    before?.view?.remove();
    const row = { piece, ...this.#row(piece) };
    this.#rows.set(piece.number, row);
    if (before) before.element.replaceWith(row.element);
    else this.#list.append(row.element);
  }

  #row(piece) {
    const name = `piece ${piece.number + 1}`;
    const made = piece.status === "completed";
    const view = made ? new ClipView(name, { load: () => this.#sound(piece) }) : null;
    const again = () => attempt(this.#status, () => this.#again(piece));
    const button = { type: "button", className: "quiet", onclick: again, aria: { label: `Make ${name} again` } };
    const faults = piece.faults.map(({ message }) => el("li", {}, message));
    const element = el(
      "li",
      { className: "piece" },
      this.#heading(piece),
      el("p", { className: "piece-text" }, piece.text),
      made ? el("div", { className: "row" }, view.element, el("button", button, "Make again")) : el("small", {}, "Not made yet"),
      el("ul", { className: "issues" }, ...faults),
    );
    return { view, element };
  }

  /** The title of a chapter above its first piece. */
  #heading({ number, chapter }) {
    const before = this.#rows.get(number - 1)?.piece;
    if (before?.chapter === chapter || !this.#chapters[chapter]?.title) return null;
    return el("h4", {}, this.#chapters[chapter].title);
  }

  async #sound({ number }) {
    const response = await ask(`${this.#path}/pieces/${number}/content?response_format=wav`);
    return decoded(await response.blob());
  }

  async #again({ number }) {
    tell(this.#status, "");
    const job = await (await post(`${this.#path}/pieces/${number}`, {})).json();
    this.#onChange(job);
    tell(this.#status, `Piece ${number + 1} is being made again.`);
  }
}
