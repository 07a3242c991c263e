// Which of OpenAI's names a saved voice answers to, as a row of chips to switch on and off.

import { el } from "./dom.js";
import { aliasNames, aliased } from "./voices.js";

/**
 * A group of checkboxes, one per name. `chosen` gives those that are on; `changed` whether the user switched one;
 * `update` shows who has the names now, but for those that the user switched.
 */
export function aliasChips(id) {
  const boxes = aliasNames.map((name) => {
    const box = el("input", { type: "checkbox", className: "unseen", value: name, id: `${id}-${name}` });
    const owner = el("small");
    return { box, owner, label: el("label", { className: "chip", htmlFor: box.id }, name, owner) };
  });
  const update = () => {
    for (const { box, owner, label } of boxes) {
      const holder = aliased(box.value);
      box.defaultChecked = holder?.id === id;
      label.title = holder && holder.id !== id ? holder.name : "";
      owner.textContent = label.title && ` now ${label.title}`;
    }
  };
  update();
  const element = el(
    "fieldset",
    { className: "aliases" },
    el("legend", {}, "Answers to ", el("small", {}, "(names of OpenAI's voices, for apps with a fixed list)")),
    ...boxes.flatMap(({ box, label }) => [box, label]),
  );
  const chosen = () => boxes.filter(({ box }) => box.checked).map(({ box }) => box.value);
  const changed = () => boxes.some(({ box }) => box.checked !== box.defaultChecked);
  return { element, update, chosen, changed };
}
