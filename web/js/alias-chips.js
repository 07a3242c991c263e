// Which of OpenAI's names a saved voice answers to, as a row of chips to switch on and off.

import { el } from "./dom.js";
import { aliasNames, aliased } from "./voices.js";

/** A group of checkboxes, one per name; `chosen` gives those that are on. */
export function aliasChips(voice) {
  const boxes = aliasNames.map((name) => {
    const other = aliased(name);
    const box = el("input", { type: "checkbox", className: "unseen", value: name, id: `${voice.id}-${name}` });
    box.checked = other?.id === voice.id;
    const owner = other && other.id !== voice.id ? el("small", {}, ` now ${other.name}`) : null;
    return { box, label: el("label", { className: "chip", htmlFor: box.id, title: owner ? other.name : "" }, name, owner) };
  });
  const element = el(
    "fieldset",
    { className: "aliases" },
    el("legend", {}, "Answers to ", el("small", {}, "(names of OpenAI's voices, for apps with a fixed list)")),
    ...boxes.flatMap(({ box, label }) => [box, label]),
  );
  return { element, chosen: () => boxes.filter(({ box }) => box.checked).map(({ box }) => box.value) };
}
