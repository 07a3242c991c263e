// Delayed actions with an Undo button.

import { $, el } from "./dom.js";

const UNDO_MS = 8000;
const waiting = new Set();

// Leaving the page commits.
addEventListener("pagehide", () => [...waiting].forEach((finish) => finish()));

/** Offer to undo; call `commit` after a delay, or `undo` on request. home: the element to focus after the delay. */
export function offerUndo(message, { commit = () => {}, undo, home = $("gallery-title") }) {
  const button = el("button", { type: "button" }, "Undo");
  const toast = el("div", { className: "toast" }, el("span", {}, message), button);
  const end = () => {
    clearTimeout(timer);
    waiting.delete(finish);
    if (toast.contains(document.activeElement)) home.focus();
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
