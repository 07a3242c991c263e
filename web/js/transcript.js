// Whether a sentence was read, judged by the recognised words.

const wordsOf = (text) => new Set(text.toLowerCase().match(/[\p{L}\p{N}']+/gu) ?? []);

/** The share of a sentence's words that were recognised, 0 to 1. */
export function wordsInCommon(sentence, heard) {
  const [wanted, there] = [wordsOf(sentence), wordsOf(heard)];
  return [...wanted].filter((word) => there.has(word)).length / Math.max(1, wanted.size);
}
