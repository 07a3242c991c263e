// Helpers for the page's elements, messages and numbers.

export const $ = (id) => document.getElementById(id);

/** An element with properties, aria-* attributes and children: el("li", { className: "x", aria: { label: "y" } }). */
export function el(tag, properties = {}, ...children) {
  const { aria = {}, ...rest } = properties;
  const element = Object.assign(document.createElement(tag), rest);
  for (const [name, value] of Object.entries(aria)) element.setAttribute(`aria-${name}`, value);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Show a message in a status line, in red if it is an error. */
export function tell(place, message, bad = false) {
  place.textContent = message;
  place.classList.toggle("bad", bad);
}

const MAX_UNDO_CHARACTERS = 20_000; // Chromium takes seconds for longer ones

/** Replace the text of a field; the browser's Undo (Ctrl+Z) brings the former back, unless they are long. */
export function replaceText(field, text) {
  const focused = document.activeElement;
  field.focus({ preventScroll: true });
  field.select();
  const long = Math.max(field.value.length, text.length) > MAX_UNDO_CHARACTERS;
  if (long || !document.execCommand("insertText", false, text)) {
    field.value = text;
    field.dispatchEvent(new Event("input"));
  }
  focused.focus({ preventScroll: true });
}

/** An error that tells people what to do, and is no fault of the page. */
export const expectedError = (message) => Object.assign(new Error(message), { expected: true });

/** Run a task; show an error's message in the status line, unless it was aborted. */
export async function attempt(place, work) {
  try {
    return await work();
  } catch (error) {
    if (error.name !== "AbortError") tell(place, error.message, true);
    if (!error.expected && error.name !== "AbortError") console.warn(error);
    return undefined;
  }
}

/** 83.4 → "1:23" */
export function clock(seconds) {
  const whole = Math.floor(seconds + 1e-6);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

export const megabytes = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MB`;

/** Download a file. */
export function saveFile(blob, name) {
  const link = el("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** A name that is valid on any file system. */
export const fileName = (name) => name.replace(/[^\p{L}\p{N}._-]+/gu, "-").slice(0, 60) || "voice";

export const pause = (ms, signal) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("Aborted", "AbortError"));
    });
  });
