// Which samples are listed, and in which order, by the run, the epoch and the reader's choices.

import { nearestSnapshot } from "../core/epochs.js";
import { state } from "../core/state.js";
import { conditionTest } from "./conditions.js";
import { hasFlag, isRight } from "./flags.js";
import { sampleName } from "./names.js";
import { sortValues } from "./sorting.js";
import { agrees, chosenAgreement } from "./twins.js";

// All of these must hold.
function sampleTests(run, snapshot) {
  const tests = [];
  const words = state.search.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length) {
    tests.push((i) => {
      const { label } = run.probes[i];
      const classes = [label, snapshot?.predictions[i]].map((index) => run.classes[index] ?? "");
      const text = `${sampleName(run, i)} ${i + 1} ${classes.join(" ")}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
  }
  if (state.label !== null) tests.push((i) => run.probes[i].label === state.label);
  if (state.flag) tests.push((i) => hasFlag(run, snapshot, i, state.flag));
  if (!snapshot) return tests;
  const agreement = chosenAgreement();
  if (agreement) tests.push((i) => agrees(run, snapshot, i, agreement));
  const condition = conditionTest(run, snapshot);
  if (condition) tests.push(condition);
  if (state.show !== "all") tests.push((i) => isRight(run, snapshot, i) === (state.show === "correct"));
  if (state.predicted !== null) tests.push((i) => snapshot.predictions[i] === state.predicted);
  if (state.least > 0 || state.most < 1) {
    tests.push((i) => snapshot.confidence[i] >= state.least && snapshot.confidence[i] <= state.most);
  }
  return tests;
}

// Indices of the listed samples in order; unknown values come last in both directions.
export function listSamples(run) {
  const snapshot = nearestSnapshot(run, state.epoch);
  const tests = sampleTests(run, snapshot);
  const listed = [];
  for (let i = 0; i < run.probes.length; i++) if (tests.every((test) => test(i))) listed.push(i);
  const sign = state.down ? -1 : 1;
  if (state.sort === "name") {
    const order = new Intl.Collator(undefined, { numeric: true });
    return listed.sort((a, b) => sign * order.compare(sampleName(run, a), sampleName(run, b)));
  }
  const values = sortValues(run, snapshot);
  if (!values) return listed;
  const known = (i) => values[i] !== null && values[i] !== undefined;
  return listed.sort((a, b) => {
    if (known(a) !== known(b)) return known(a) ? -1 : 1;
    return known(a) ? sign * (values[a] - values[b]) || a - b : a - b;
  });
}
