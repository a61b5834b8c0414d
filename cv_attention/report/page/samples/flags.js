// Flags of samples: recorded ones, those derived from predictions, and the reader's notes, tags and selection.

import { limitFields, state } from "../core/state.js";
import { knownTags, noteOf } from "./notes.js";

const SURE = 0.9;

// Flags derived from predictions, in addition to recorded flags and the reader's tags.
export const FLAGS = {
  "prediction changed": (run, snapshot, i) => {
    const before = run.epochs[run.epochs.indexOf(snapshot) - 1];
    return Boolean(before) && before.predictions[i] !== snapshot.predictions[i];
  },
  forgotten: (run, snapshot, i) => {
    if (isRight(run, snapshot, i) !== false) return false;
    return run.epochs.some((one) => one.epoch < snapshot.epoch && isRight(run, one, i));
  },
  "never right": (run, snapshot, i) => run.epochs.every((one) => isRight(run, one, i) === false),
  "confident and wrong": (run, snapshot, i) =>
    isRight(run, snapshot, i) === false && snapshot.confidence[i] >= SURE,
};

// True, false, or null if the class or the prediction is unknown.
export function isRight(run, snapshot, i) {
  const { label } = run.probes[i];
  const predicted = snapshot.predictions[i];
  return label === null || predicted === null || predicted === undefined ? null : predicted === label;
}

// Flags and orders that compare an epoch with previous ones.
const OF_THE_PAST = ["prediction changed", "forgotten", "never right", "loss-change", "flips"];

export function fitsRun(run, name) {
  return run.epochs.length > 1 || !OF_THE_PAST.includes(name);
}

export function flagsOf(run, snapshot, i) {
  const computed = snapshot ? Object.keys(FLAGS).filter((name) => fitsRun(run, name) && FLAGS[name](run, snapshot, i)) : [];
  return [...(run.probes[i].flags ?? []), ...computed];
}

export function hasFlag(run, snapshot, i, flag) {
  if (flag === "selected") return state.selected.includes(i);
  if (flag === "noted") return Boolean(noteOf(run, i));
  if (flag.startsWith("tag:")) return noteOf(run, i)?.tags.includes(flag.slice(4)) ?? false;
  if (FLAGS[flag]) return Boolean(snapshot) && FLAGS[flag](run, snapshot, i);
  return run.probes[i].flags?.includes(flag) ?? false;
}

function isFlag(run, flag) {
  if (["", "selected", "noted"].includes(flag)) return true;
  if (flag.startsWith("tag:")) return knownTags(run).includes(flag.slice(4));
  if (FLAGS[flag]) return fitsRun(run, flag);
  return run.probes.some((probe) => probe.flags?.includes(flag));
}

limitFields(["flag"], (run) => isFlag(run, state.flag));
