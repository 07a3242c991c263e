// Whether a sentence was read, by the words that were recognised.

const wordsOf = (text) => new Set(text.toLowerCase().match(/[\p{L}\p{N}']+/gu) ?? []);

/** The share of a sentence's words that are in what was heard, 0 to 1. */
export function wordsInCommon(sentence, heard) {
  const [wanted, there] = [wordsOf(sentence), wordsOf(heard)];
  return [...wanted].filter((word) => there.has(word)).length / Math.max(1, wanted.size);
}
