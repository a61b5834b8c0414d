// The values that samples are sorted by.

import { nearestSnapshot } from "../core/epochs.js";
import { loadMeasures } from "../core/shards.js";
import { change, limitFields, state } from "../core/state.js";
import { fitsRun } from "./flags.js";

// One value per sample, null if unknown.
export const SORTS = {
  loss: { text: "loss", values: (run, snapshot) => snapshot.losses },
  "loss-change": {
    text: "change of the loss since the previous logged epoch",
    values: (run, snapshot) => {
      const before = run.epochs[run.epochs.indexOf(snapshot) - 1];
      return snapshot.losses.map((loss, i) => {
        const earlier = before?.losses[i] ?? null;
        return loss === null || earlier === null ? null : loss - earlier;
      });
    },
  },
  confidence: { text: "confidence", values: (run, snapshot) => snapshot.confidence },
  true: { text: "probability of the true class", values: (run, snapshot) => snapshot.true },
  flips: {
    text: "how often the prediction changed",
    values: (run) =>
      run.probes.map(
        (_, i) =>
          run.epochs.filter((one, e) => e && one.predictions[i] !== run.epochs[e - 1].predictions[i]).length,
      ),
  },
  label: { text: "true class", values: (run) => run.probes.map((probe) => probe.label) },
};

// Whether the run has what an order needs: several epochs, and values that were recorded.
export function hasSort(run, name) {
  if (!sortsOf.has(run)) sortsOf.set(run, new Set(Object.keys(SORTS).filter((one) => canSort(run, one))));
  return sortsOf.get(run).has(name);
}

const sortsOf = new WeakMap(); // run -> the orders that it has values for, found once

function canSort(run, name) {
  if (!fitsRun(run, name)) return false;
  return run.epochs.some((snapshot) => SORTS[name].values(run, snapshot).some((value) => Number.isFinite(value)));
}

function isSort(run, name) {
  if (["", "name"].includes(name)) return true;
  if (Object.hasOwn(SORTS, name)) return hasSort(run, name);
  return /^\d+:./.test(name) && Boolean(run.columns[Number(name.split(":")[0])]);
}

export const measuresHere = new WeakMap(); // snapshot -> its measures, once loaded

// The measures of the maps in one epoch; undefined while loading, after which `change` is called.
export function measuresNow(snapshot) {
  if (!measuresHere.has(snapshot)) {
    measuresHere.set(snapshot, undefined);
    loadMeasures(snapshot)
      .catch(() => ({}))
      .then((measures) => {
        measuresHere.set(snapshot, measures);
        change({ measures: true });
      });
  }
  return measuresHere.get(snapshot);
}

// The sort value of every sample; null for the recorded order.
export function sortValues(run, snapshot) {
  if (!state.sort || !snapshot) return null;
  if (state.sort === "name") return null;
  if (SORTS[state.sort]) return SORTS[state.sort].values(run, snapshot);
  const [column, ...name] = state.sort.split(":");
  const about = run.columns[Number(column)];
  const nearest = about && nearestSnapshot(run, state.epoch, about);
  return (nearest && measuresNow(nearest)?.[column]?.[name.join(":")]) ?? null;
}

limitFields(["sort", "down"], (run) => isSort(run, state.sort));
