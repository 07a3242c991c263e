// Long texts under way and finished: the list, kept up to date while something is made.

import { $, attempt, tell } from "./dom.js";
import { JobCard } from "./job-card.js";
import { ask } from "./server.js";
import { offerUndo } from "./undo.js";

const PATH = "/v1/audio/speech/jobs";
const POLL_MS = 2000;

const cards = new Map(); // id → card, newest first
const deleted = new Set(); // that can still be had back
let timer = null;

// The names of their voices may come after them.
document.addEventListener("voices", () => cards.forEach((card) => card.update(card.job)));

/** Ask the server for all jobs, and go on asking while one is open. */
export async function loadJobs() {
  clearTimeout(timer);
  const found = [];
  for (let after = ""; ; ) {
    const list = await (await ask(`${PATH}?limit=100${after}`)).json();
    found.push(...list.data);
    if (!list.has_more) break;
    after = `&after=${encodeURIComponent(list.data.at(-1).id)}`;
  }
  const there = new Set(found.map(({ id }) => id));
  for (const [id, card] of cards) {
    if (there.has(id)) continue;
    card.remove();
    cards.delete(id);
  }
  for (const job of found.reverse()) show(job);
  showSection();
  watch();
}

/** Show a job that is new, or in place of its former state. */
export function putJob(job) {
  show(job);
  showSection();
  watch();
}

function show(job) {
  if (deleted.has(job.id)) return;
  const known = cards.get(job.id);
  if (known) return known.update(job);
  const card = new JobCard(job, { onChange: putJob, onDelete: remove });
  cards.set(job.id, card);
  $("jobs").prepend(card.element);
}

function showSection() {
  $("jobs-section").hidden = !cards.size;
}

/** A server that is away for a while is asked again: its jobs go on when it is back. */
function watch() {
  clearTimeout(timer);
  if (![...cards.values()].some((card) => card.open)) return;
  timer = setTimeout(() => loadJobs().catch(watch), POLL_MS);
}

function remove(job) {
  const card = cards.get(job.id);
  deleted.add(job.id);
  card.remove();
  cards.delete(job.id);
  showSection();
  offerUndo(`Deleted “${card.title}”.`, {
    commit: () => attempt($("jobs-status"), () => ask(`${PATH}/${job.id}`, { method: "DELETE", keepalive: true })),
    home: cards.size ? $("jobs-title") : $("generate"),
    undo: () => {
      deleted.delete(job.id);
      putJob(job);
      cards.get(job.id).element.querySelector(".delete").focus();
      tell($("jobs-status"), "");
    },
  });
}
