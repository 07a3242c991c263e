// Requests to the server: API keys, error messages, uploads with progress, server-sent events.

import { pause } from "./dom.js";
import { storage } from "./storage.js";

const KEY = "api-key";
const MAX_RETRIES = 5; // while the queue is full
const UNREACHABLE = "The server can't be reached. Check that it is running and that you are online, then try again.";
const LOADING = "The model is still loading. Try again in a moment.";
const KEY_NEEDED = "This server needs a valid API key: enter one above.";
const DELETED = "This voice is not there any more: it was deleted elsewhere.";

/** Whether a message is about a state of the server that may have passed. */
export const isPassing = (message) => [UNREACHABLE, LOADING, KEY_NEEDED].includes(message);

/** An error response. status: 0 if there was no response; retryAfter: seconds, with 429. */
export class ServerError extends Error {
  expected = true;

  constructor(status, error = {}, retryAfter = 0) {
    super(wording(status, error));
    Object.assign(this, { status, code: error.code, retryAfter });
  }
}

function wording(status, error) {
  if (status === 0) return UNREACHABLE;
  if (status === 401) return KEY_NEEDED;
  if (error.code === "voice_not_found") return DELETED;
  if (status === 503 && error.code === "model_loading") return LOADING;
  return error.message ?? `The server answered with status ${status}. Its log says why.`;
}

export const useKey = (key) => storage.setItem(KEY, key);
export const hasKey = () => Boolean(storage.getItem(KEY));

function authorised(headers) {
  const key = storage.getItem(KEY);
  if (key) headers.set("authorization", `Bearer ${key}`);
  return headers;
}

function failed(status, body, retryAfter) {
  if (status === 401) document.dispatchEvent(new CustomEvent("key-needed"));
  return new ServerError(status, body?.error ?? body ?? {}, Number(retryAfter) || 0);
}

/**
 * Return a successful response; throw ServerError otherwise.
 * onBusy: called with the seconds to wait if the queue is full; the request is then retried.
 */
export async function ask(path, { onBusy, ...options } = {}) {
  for (let tries = 1; ; tries++) {
    const response = await fetch(path, { ...options, headers: authorised(new Headers(options.headers)) }).catch(
      (error) => {
        throw error.name === "AbortError" ? error : new ServerError(0);
      },
    );
    if (response.ok) return response;
    const body = await response.json().catch(() => ({}));
    const error = failed(response.status, body, response.headers.get("retry-after"));
    if (response.status !== 429 || !onBusy || tries > MAX_RETRIES) throw error;
    const wait = error.retryAfter || 2;
    onBusy(wait);
    await pause(1000 * wait, options.signal);
  }
}

const json = (method, body) => ({
  method,
  body: JSON.stringify(body),
  headers: { "content-type": "application/json" },
});

export const post = (path, body, options = {}) => ask(path, { ...options, ...json("POST", body) });
export const patch = (path, body) => ask(path, json("PATCH", body));

export function formOf(fields) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    if (value !== "" && value !== null && value !== undefined) form.append(name, value);
  }
  return form;
}

/** Split server-sent events as their text arrives; throw error events. */
class EventParser {
  #held = "";

  *feed(text) {
    const parts = (this.#held + text).split("\n\n");
    this.#held = parts.pop();
    for (const part of parts) {
      const event = JSON.parse(part.replace(/^data: /, ""));
      if (event.error) throw new ServerError(200, event.error);
      yield event;
    }
  }
}

/** The events of a response. Throws ServerError (status 0) if the connection breaks. */
export async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const parser = new EventParser();
  for (;;) {
    const { done, value } = await reader.read().catch((error) => {
      throw error.name === "AbortError" ? error : new ServerError(0);
    });
    if (done) return;
    yield* parser.feed(value);
  }
}

/**
 * Send a form and report the upload's progress, which fetch can't. Returns the parsed events, or the JSON as one.
 * onProgress: called with the bytes sent and their total; onEvent: with each event as it arrives.
 */
export function upload(path, form, { onProgress, onEvent = () => {}, signal } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const parser = new EventParser();
    let read = 0;
    const readOn = () => {
      if (request.status !== 200 || !request.getResponseHeader("content-type")?.startsWith("text/event-stream")) return;
      const text = request.responseText.slice(read);
      read += text.length;
      try {
        for (const event of parser.feed(text)) onEvent(event);
      } catch (error) {
        reject(error);
      }
    };
    request.open("POST", path);
    authorised({ set: (name, value) => request.setRequestHeader(name, value) });
    if (onProgress) request.upload.onprogress = ({ loaded, total }) => onProgress(loaded, total);
    request.onprogress = readOn;
    request.onerror = () => reject(new ServerError(0));
    request.onabort = () => reject(new DOMException("Aborted", "AbortError"));
    request.onload = () => {
      readOn();
      if (request.status < 400) return resolve(jsonOf(request.responseText));
      reject(failed(request.status, jsonOf(request.responseText), request.getResponseHeader("retry-after")));
    };
    signal?.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

function jsonOf(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // events, or not JSON
  }
}
