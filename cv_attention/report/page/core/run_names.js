// Short names of runs, for narrow places: names of runs often begin alike, and what tells them apart comes last.

import { report } from "./report.js";

const LEAST = 4; // letters in common that are worth leaving out

// The names without what all of them begin with, up to a separator.
export function withoutCommon(names) {
  if (names.length < 2) return names;
  let length = 0;
  while (names[0][length] !== undefined && names.every((name) => name[length] === names[0][length])) length++;
  const common = names[0].slice(0, length).replace(/[^-_./\s]+$/, "");
  const short = names.map((name) => name.slice(common.length));
  return common.length < LEAST || short.includes("") ? names : short;
}

let shortNames = null;

export function shortRunName(run) {
  shortNames ??= withoutCommon(report.runs.map((one) => one.name));
  return shortNames[report.runs.indexOf(run)] ?? run.name;
}
