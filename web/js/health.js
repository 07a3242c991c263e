// The server's state: reachable, ready, model, queue length.

import { $, el, tell } from "./dom.js";

const WATCH_MS = 3000;
const MAX_WAIT_MS = 15000;
const DEMONSTRATION = "higgs-small";

/** The last result of /health; null while the server is unreachable. */
export let health = null;
export const isDemonstration = () => health?.model === DEMONSTRATION;

let lost = 0; // consecutive polls without an answer

let ready = false;
let whenReady = () => {};
let timer = null;

/** Poll the server while the page is open. onReady: called when it becomes ready. */
export async function watchServer(onReady) {
  whenReady = onReady;
  $("try-now").onclick = poll;
  window.addEventListener("online", poll);
  await poll();
}

/** Ask the server now, and again after a while. */
export async function poll() {
  clearTimeout(timer);
  health = await fetch("/health", { cache: "no-store" }).then((response) => response.json()).catch(() => null);
  clearTimeout(timer); // of a poll that overlapped
  lost = health ? 0 : lost + 1;
  show();
  document.dispatchEvent(new CustomEvent("health"));
  const serves = ["ready", "unloaded"].includes(health?.status);
  if (serves && !ready) whenReady();
  ready = serves;
  timer = setTimeout(poll, Math.min(MAX_WAIT_MS, WATCH_MS * Math.max(1, lost)));
}

function show() {
  const [state, words] = stateNow();
  $("server").dataset.state = state;
  if ($("server-state").textContent !== words) tell($("server-state"), words, state === "down");
  $("try-now").hidden = lost < 2;
  if (health?.model) $("model").replaceChildren(...modelWords(health));
  if (health?.status === "loading") $("model").textContent = "The model is being loaded. A voice can be recorded meanwhile.";
  if (health) showNotice(health); // the last one stays while the server is unreachable
}

function showNotice({ status, message, fallback, license_notice: license }) {
  const failure = status === "failed" ? message : null;
  tell($("notice"), [failure, fallback, license].filter(Boolean).join(" "), Boolean(failure));
  $("notice").hidden = !$("notice").textContent;
}

function stateNow() {
  if (lost === 1) return ["waiting", "Connection lost, reconnecting …"];
  if (lost) return ["down", navigator.onLine ? "Server unreachable, trying again" : "You are offline"];
  if (health.status === "loading") return ["waiting", "Loading the model …"];
  if (health.status === "unloaded") return ["ready", "Ready; the model is loaded when it is needed"];
  if (health.status === "failed") return ["down", "The model couldn't be loaded"];
  if (health.waiting) return ["busy", `Busy: ${queued(health.waiting)}`];
  return ["ready", "Ready"];
}

const queued = (count) => (count === 1 ? "1 request in the queue" : `${count} requests in the queue`);

function modelWords({ model, device }) {
  const where = device.startsWith("cuda") ? "on a GPU" : "on the CPU, no GPU";
  const name = el("strong", {}, model);
  if (!isDemonstration()) return [name, ` ${where}`];
  return ["Demonstration model ", name, `, ${where}. A server with a GPU runs the larger Higgs Audio model.`];
}
