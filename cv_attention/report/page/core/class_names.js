// Names of classes as the page shows them: what the reader could not see or tell apart gets the number of its class.

const UNSEEN = /[\p{Cc}\p{Cf}\p{Z}\p{Default_Ignorable_Code_Point}]/gu;
const shownNames = new WeakMap(); // run -> its names

// What is seen of a name: spaces at its ends, repeated ones and characters without a picture are not.
const seen = (name) => name.normalize("NFC").replace(/\s+/g, " ").replace(/[\p{Cc}\p{Cf}]/gu, "").trim();

export function distinctNames(names) {
  const count = new Map();
  for (const name of names) count.set(seen(name), (count.get(seen(name)) ?? 0) + 1);
  return names.map((name, i) => {
    if (!name.replace(UNSEEN, "")) return `blank (class ${i})`;
    return count.get(seen(name)) > 1 ? `${name} (class ${i})` : name;
  });
}

export function className(run, index) {
  if (index === null || index === undefined) return "unknown";
  if (!shownNames.has(run)) shownNames.set(run, distinctNames(run.classes));
  return shownNames.get(run)[index] ?? `class ${index}`;
}
