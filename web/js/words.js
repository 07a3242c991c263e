// The text of a result, word by word: the one that is spoken is marked, and a click on one plays from there.

import { el } from "./dom.js";
import { player } from "./player.js";

const SHOWN_AFTER = 0.3; // seconds for which a word stays marked in the silence behind it

export class SpokenWords {
  #clip;
  #plain;
  #rest; // the text whose words have no times yet
  #words = []; // { start, end, button }
  #now = null;
  #watching = new AbortController();

  /**
   * name: of the result, for the label; text: as it was sent; plain: gives what is shown of a part of it; clip: its
   * speech.
   */
  constructor({ name, text, plain, clip }) {
    this.#clip = clip;
    this.#plain = plain;
    this.#rest = text;
    this.element = el("p", { className: "said", dir: "auto", role: "group", aria: { label: `Text of ${name}; choose a word to hear it` } }, plain(text));
    this.element.onclick = ({ target }) => this.#play(this.#words.findIndex(({ button }) => button === target));
    this.element.onkeydown = (event) => this.#onKey(event);
    player.addEventListener("change", () => this.#mark(), { signal: this.#watching.signal });
  }

  /** Words that follow those before: { word, start, end }, the times in seconds. */
  add(words) {
    this.element.lastChild?.remove();
    for (const { word, start, end } of words) {
      const at = this.#rest.indexOf(word);
      if (at < 0) continue; // it stands around markup
      const button = el("button", { type: "button", className: "word", tabIndex: this.#words.length ? -1 : 0 }, word);
      this.element.append(this.#plain(this.#rest.slice(0, at)), button);
      this.#words.push({ start, end, button });
      this.#rest = this.#rest.slice(at + word.length);
    }
    this.element.append(this.#plain(this.#rest));
    this.#mark();
  }

  /** Stop watching what plays. */
  remove() {
    this.#watching.abort();
  }

  #play(index) {
    const word = this.#words[index];
    if (!word) return;
    this.#focus(index);
    player.play(this.#clip, word.start);
  }

  #mark() {
    const playing = player.clip === this.#clip;
    const last = playing ? this.#words.findLast(({ start }) => start <= player.position) : null;
    const now = last && player.position < last.end + SHOWN_AFTER ? last.button : null;
    if (now === this.#now) return;
    this.#now?.removeAttribute("aria-current");
    now?.setAttribute("aria-current", "true");
    this.#now = now;
    if (now) this.#show(now);
  }

  /** Bring a word into the box of the text, without moving the page. */
  #show(button) {
    const [box, word] = [this.element.getBoundingClientRect(), button.getBoundingClientRect()];
    if (word.top < box.top) this.element.scrollTop -= box.top - word.top;
    else if (word.bottom > box.bottom) this.element.scrollTop += word.bottom - box.bottom;
  }

  #onKey(event) {
    const index = this.#words.findIndex(({ button }) => button === document.activeElement);
    const places = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: this.#words.length - 1 };
    if (index < 0 || !(event.key in places)) return;
    this.#focus(Math.max(0, Math.min(places[event.key], this.#words.length - 1)));
    event.preventDefault();
  }

  /** One word at a time is reached by the tab key, the others by the arrows. */
  #focus(index) {
    for (const { button } of this.#words) button.tabIndex = -1;
    this.#words[index].button.tabIndex = 0;
    this.#words[index].button.focus();
  }
}
