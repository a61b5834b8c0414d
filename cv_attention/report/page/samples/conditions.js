// The reader's own condition on samples: the quantities that it may name, and whether it can be read.

import { nearestSnapshot } from "../core/epochs.js";
import { className, columnName } from "../core/format.js";
import { report } from "../core/report.js";
import { state } from "../core/state.js";
import { parseCondition } from "./expressions.js";
import { isRight } from "./flags.js";
import { noteOf } from "./notes.js";
import { sampleName } from "./names.js";
import { measuresNow } from "./sorting.js";
import { sampleIn } from "./twins.js";

// Name -> function of a run, its epoch and a sample.
const QUANTITIES = {
  confidence: (run, snapshot, i) => snapshot.confidence[i],
  loss: (run, snapshot, i) => snapshot.losses[i],
  p_true: (run, snapshot, i) => snapshot.true[i],
  right: (run, snapshot, i) => isRight(run, snapshot, i),
  label: (run, snapshot, i) => (run.probes[i].label === null ? null : className(run, run.probes[i].label)),
  predicted: (run, snapshot, i) => className(run, snapshot.predictions[i]),
  number: (run, snapshot, i) => i + 1,
  name: (run, snapshot, i) => sampleName(run, i),
  tagged: (run, snapshot, i) => Boolean(noteOf(run, i)?.tags.length),
};

// The measures of the maps at this epoch: "Grad-CAM: sparseness" -> its values, or undefined while they are loaded.
function measureValues(run, name) {
  const [title, measure] = name.split(/:\s*(?=[^:]*$)/);
  const column = measure && run.columns.find((one) => [one.title, columnName(one)].includes(title.trim()));
  const snapshot = column && nearestSnapshot(run, state.epoch, column);
  if (!snapshot) return null;
  const measures = measuresNow(snapshot);
  return measures && (measures[column.index]?.[measure.trim()] ?? null);
}

// "other run: loss" for the same image there.
function inOtherRun(run, name) {
  const other = report.runs.find((one) => one !== run && name.startsWith(`${one.name}:`));
  const quantity = other && QUANTITIES[name.slice(other.name.length + 1).trim()];
  const snapshot = other && nearestSnapshot(other, state.epoch);
  if (!quantity || !snapshot) return undefined;
  return (i) => {
    const place = sampleIn(run, other, i);
    return place === null ? null : quantity(other, snapshot, place);
  };
}

function resolver(run, snapshot) {
  return (name) => {
    if (Object.hasOwn(QUANTITIES, name)) return (i) => QUANTITIES[name](run, snapshot, i);
    const elsewhere = inOtherRun(run, name);
    if (elsewhere) return elsewhere;
    const values = measureValues(run, name);
    if (values === null) return undefined;
    return (i) => values?.[i] ?? null; // none while they are loaded
  };
}

// A test of samples; null without a condition or with one that cannot be read.
export function conditionTest(run, snapshot) {
  if (!state.where.trim() || !snapshot) return null;
  try {
    return parseCondition(state.where, resolver(run, snapshot));
  } catch {
    return null;
  }
}

// Why the condition cannot be read, or nothing.
export function conditionFault(run, snapshot) {
  if (!state.where.trim() || !snapshot) return "";
  try {
    parseCondition(state.where, resolver(run, snapshot));
    return "";
  } catch (error) {
    return error.message;
  }
}

// What may be named, for the reader.
export function conditionNames(run, snapshot) {
  const measures = (snapshot && measuresNow(snapshot)) ?? {};
  const ofMaps = Object.entries(measures).flatMap(([index, found]) =>
    Object.keys(found).map((measure) => `[${columnName(run.columns[index])}: ${measure}]`),
  );
  const others = report.runs.filter((one) => one !== run).slice(0, 1);
  return [...Object.keys(QUANTITIES), ...others.map((one) => `[${one.name}: loss]`), ...ofMaps];
}
