// What the tab keeps; where the browser blocks that, as it does with cookies, it lasts as long as the page.

export const storage = available() ?? {
  kept: new Map(),
  getItem(key) {
    return this.kept.get(key) ?? null;
  },
  setItem(key, value) {
    this.kept.set(key, value);
  },
  removeItem(key) {
    this.kept.delete(key);
  },
};

function available() {
  try {
    return window.sessionStorage;
  } catch {
    return null;
  }
}
