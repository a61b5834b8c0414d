// Kinds of fields of the state: their default, and how they are read from and written to the URL.

export function clampNumber(text, low, high, otherwise) {
  const value = Number.parseFloat(text);
  return Number.isFinite(value) ? Math.min(high, Math.max(low, value)) : otherwise;
}

export const aNumber = (start, low, high) => ({
  start,
  read: (text) => clampNumber(text, low, high, start),
  write: (value) => String(Number(value.toPrecision(6))),
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
// Distinct indices in order, as "0-2,7": thousands of neighbours stay short.
export const aSelection = () => ({
  start: [],
  read: readSpans,
  write: writeSpans,
});

const MOST_SELECTED = 1e6;

function readSpans(text) {
  const found = new Set();
  for (const span of text.split(",")) {
    const ends = span.match(/^(\d{1,7})(?:-(\d{1,7}))?$/);
    if (!ends) continue;
    const last = Math.min(Number(ends[2] ?? ends[1]), MOST_SELECTED);
    for (let index = Number(ends[1]); index <= last; index++) found.add(index);
  }
  return [...found].sort((a, b) => a - b);
}

function writeSpans(indices) {
  const spans = [];
  for (const index of indices) {
    const last = spans[spans.length - 1];
    if (last && last[1] + 1 === index) last[1] = index;
    else spans.push([index, index]);
  }
  return spans.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(",");
}

const MOST_TEXTS = 100;

export const someTexts = () => ({
  start: [],
  read: (text) => text.split("|").filter(Boolean).slice(0, MOST_TEXTS).map((one) => one.slice(0, 200)),
  write: (texts) => texts.join("|"),
});

export const anIndex = () => ({
  start: null,
  read: (text) => (/^\d{1,9}$/.test(text) ? Number(text) : null),
  write: String,
});
