// Things that go after a moment, in which they can be had back.

import { $, el } from "./dom.js";

const UNDO_MS = 8000;
const waiting = new Set();

// Whoever leaves the page meanwhile has meant it.
addEventListener("pagehide", () => [...waiting].forEach((finish) => finish()));

/** Offer to undo; `commit` is called when the moment has passed, or `undo` on request. */
export function offerUndo(message, { commit, undo }) {
  const button = el("button", { type: "button" }, "Undo");
  const toast = el("div", { className: "toast" }, el("span", {}, message), button);
  const end = () => {
    clearTimeout(timer);
    waiting.delete(finish);
    if (toast.contains(document.activeElement)) $("gallery-title").focus();
    toast.remove();
  };
  const finish = () => {
    end();
    commit();
  };
  const timer = setTimeout(finish, UNDO_MS);
  waiting.add(finish);
  button.onclick = () => {
    end();
    undo();
  };
  $("toasts").append(toast);
  button.focus();
}
