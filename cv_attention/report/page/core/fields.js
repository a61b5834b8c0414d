// Kinds of fields of the state: their default, and how they are read from and written to the URL.

export function clampNumber(text, low, high, otherwise) {
  const value = Number.parseFloat(text);
  return Number.isFinite(value) ? Math.min(high, Math.max(low, value)) : otherwise;
}

export const aNumber = (start, low, high) => ({
  start,
  read: (text) => clampNumber(text, low, high, start),
  write: (value) => String(Number(value.toFixed(4))),
});
export const aChoice = (start, choices) => ({
  start,
  choices,
  read: (text) => (choices.includes(text) ? text : start),
  write: String,
});
export const aSwitch = (start) => ({ start, read: (text) => text !== "0", write: (value) => (value ? "1" : "0") });
export const aText = (start) => ({ start, read: (text) => text.slice(0, 200), write: String });
export const aList = (start) => ({
  start,
  read: (text) => text.split(",").filter(Boolean).map(Number).filter(Number.isInteger),
  write: (value) => value.join(","),
});
export const anIndex = () => ({
  start: null,
  read: (text) => (/^\d{1,9}$/.test(text) ? Number(text) : null),
  write: String,
});
