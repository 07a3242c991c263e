// Asking the server: keys, errors in OpenAI's shape, and streams of events.

const KEY = "api-key";

export class Refused extends Error {
  constructor(status, error) {
    super(error?.message ?? `The server answered ${status}.`);
    this.status = status;
    this.code = error?.code;
  }
}

export const useKey = (key) => sessionStorage.setItem(KEY, key);

/** A response that is good; Refused with the server's own words where it isn't. */
export async function ask(path, options = {}) {
  const headers = new Headers(options.headers);
  const key = sessionStorage.getItem(KEY);
  if (key) headers.set("authorization", `Bearer ${key}`);
  const response = await fetch(path, { ...options, headers });
  if (response.ok) return response;
  const body = await response.json().catch(() => ({}));
  throw new Refused(response.status, body.error ?? body);
}

export const post = (path, body, options = {}) =>
  ask(path, { ...options, ...json(body), method: "POST" });

export const patch = (path, body) => ask(path, { ...json(body), method: "PATCH" });

const json = (body) => ({
  body: JSON.stringify(body),
  headers: { "content-type": "application/json" },
});

/** The data of server-sent events, parsed; an event that holds an error is thrown. */
export async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    held += value;
    const parts = held.split("\n\n");
    held = parts.pop();
    for (const part of parts) {
      const event = JSON.parse(part.replace(/^data: /, ""));
      if (event.error) throw new Refused(response.status, event.error);
      yield event;
    }
  }
}
