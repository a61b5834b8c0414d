// Exports the selected samples, or all listed ones, as a table for other programs.

import { className } from "../core/class_names.js";
import { csvOf } from "../core/csv.js";
import { nearestSnapshot } from "../core/epochs.js";
import { loadMeasures } from "../core/shards.js";
import { currentRun, state } from "../core/state.js";
import { neighboursOf, placeName, placesOf, sampleAt, snapshotAt } from "../samples/adjacent.js";
import { flagsOf, isRight } from "../samples/flags.js";
import { fileName, trueClass } from "../samples/names.js";
import { noteOf } from "../samples/notes.js";

// The measures of every map in the table: [{name, value(sample)}].
async function measuresOfPlaces(run) {
  const found = placesOf(run).map(async (place) => {
    const snapshot = snapshotAt(place);
    const measures = snapshot ? await loadMeasures(snapshot).catch(() => ({})) : {};
    return Object.entries(measures[place.column.index] ?? {}).map(([name, values]) => ({
      name: `${placeName(place)}: ${name}`,
      value: (i) => values[sampleAt(place, run, i)] ?? null,
    }));
  });
  return (await Promise.all(found)).flat();
}

// What other runs and epochs, those whose maps stand next to this run's, predict for a sample.
function predictionsAdjacent(run) {
  return neighboursOf(run).flatMap((one) => {
    const snapshot = nearestSnapshot(one.run, one.epoch ?? state.epoch);
    const known = (values, i) => values?.[sampleAt(one, run, i)] ?? null;
    return [
      { name: `predicted class, ${one.words}`, value: (i) => className(one.run, known(snapshot?.predictions, i)) },
      { name: `confidence, ${one.words}`, value: (i) => known(snapshot?.confidence, i) },
    ];
  });
}

export async function selectionAsCsv(listed) {
  const run = currentRun();
  const snapshot = nearestSnapshot(run, state.epoch);
  const adjacent = [...predictionsAdjacent(run), ...(await measuresOfPlaces(run))];
  const head = [
    "run",
    "epoch",
    "sample",
    "file",
    "true class",
    "predicted class",
    "right",
    "confidence",
    "loss",
    "flags",
    "tags",
    "note",
  ];
  const rows = listed.map((i) => {
    const note = noteOf(run, i);
    const known = (values) => values?.[i] ?? null;
    return [
      run.name,
      snapshot && !run.export ? snapshot.epoch + 1 : null,
      i + 1,
      fileName(run, i),
      trueClass(run, i),
      className(run, known(snapshot?.predictions)),
      snapshot ? isRight(run, snapshot, i) : null,
      known(snapshot?.confidence),
      known(snapshot?.losses),
      flagsOf(run, snapshot, i).join("; "),
      note?.tags.join("; "),
      note?.note,
      ...adjacent.map(({ value }) => value(i)),
    ];
  });
  return csvOf([[...head, ...adjacent.map(({ name }) => name)], ...rows]);
}
