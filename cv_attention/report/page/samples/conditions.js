// The reader's own condition on samples: the quantities that it may name, and whether it can be read.

import { className } from "../core/class_names.js";
import { nearestSnapshot } from "../core/epochs.js";
import { columnName } from "../core/format.js";
import { report } from "../core/report.js";
import { shownColumns, state } from "../core/state.js";
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

// What readers of other tools call the same.
const ELSEWHERE = {
  right: ["correct", "is_correct", "accuracy", "hit"],
  "not right": ["wrong", "incorrect", "error", "mistake", "misclassified"],
  label: ["truth", "ground_truth", "groundtruth", "target", "class", "true_class", "true_label", "labels"],
  predicted: ["prediction", "predictions", "predicted_class", "pred", "guess", "output"],
  confidence: ["probability", "prob", "p", "score", "conf", "certainty"],
  tagged: ["tag", "tags", "note"],
  name: ["file", "filename", "filepath", "path", "id", "image"],
  number: ["index", "sample"],
};

// How many letters differ, at most: added, left out or replaced.
function edits(a, b) {
  let row = [...b].map((_, j) => j + 1);
  [...a].forEach((letter, i) => {
    let [corner, left] = [i, i + 1];
    row = [...b].map((other, j) => {
      const now = Math.min(left + 1, row[j] + 1, corner + (letter === other ? 0 : 1));
      [corner, left] = [row[j], now];
      return now;
    });
  });
  return row.length ? row[row.length - 1] : a.length;
}

// The known name that is nearest to an unknown one, or "".
export function nearestName(name, names) {
  const wanted = name.toLowerCase().split(".").pop();
  const other = Object.keys(ELSEWHERE).find((one) => ELSEWHERE[one].includes(wanted));
  if (other) return other;
  const off = (one) => edits(wanted, one.toLowerCase());
  const near = names.filter((one) => off(one) <= Math.max(1, wanted.length / 3)).sort((a, b) => off(a) - off(b));
  return near[0] ?? names.find((one) => wanted.length > 2 && one.toLowerCase().includes(wanted)) ?? "";
}

// Why the condition cannot be read, or nothing.
export function conditionFault(run, snapshot) {
  if (!state.where.trim() || !snapshot) return "";
  try {
    parseCondition(state.where, resolver(run, snapshot), (name) => nearestName(name, conditionNames(run, snapshot)));
    return "";
  } catch (error) {
    return error.message;
  }
}

// What may be named, for the reader: of the maps, those that are shown.
export function conditionNames(run, snapshot) {
  const measures = (snapshot && measuresNow(snapshot)) ?? {};
  const ofMaps = shownColumns(run).flatMap((column) =>
    Object.keys(measures[column.index] ?? {}).map((measure) => `[${columnName(column)}: ${measure}]`),
  );
  const others = report.runs.filter((one) => one !== run).slice(0, 1);
  return [...Object.keys(QUANTITIES), ...others.map((one) => `[${one.name}: loss]`), ...ofMaps];
}
