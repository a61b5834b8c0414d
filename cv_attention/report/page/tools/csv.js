// Exports the selected samples, or all listed ones, as a table for other programs.

import { nearestSnapshot } from "../core/epochs.js";
import { className, columnName } from "../core/format.js";
import { loadMeasures } from "../core/shards.js";
import { currentRun, shownColumns, state } from "../core/state.js";
import { flagsOf, isRight } from "../samples/flags.js";
import { fileName, trueClass } from "../samples/names.js";
import { noteOf } from "../samples/notes.js";

// Prefixes text that a spreadsheet would interpret as a formula with an apostrophe.
export function csvCell(value) {
  if (value === null || value === undefined) return "";
  const text = typeof value === "number" ? String(value) : String(value).replace(/^[=+\-@\t\r]/, "'$&");
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export async function selectionAsCsv(listed) {
  const run = currentRun();
  const snapshot = nearestSnapshot(run, state.epoch);
  const measures = snapshot ? await loadMeasures(snapshot).catch(() => ({})) : {};
  const columns = shownColumns(run).flatMap((column) =>
    Object.entries(measures[column.index] ?? {}).map(([name, values]) => ({
      name: `${columnName(column)}: ${name}`,
      values,
    })),
  );
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
      ...columns.map((column) => known(column.values)),
    ];
  });
  const lines = [[...head, ...columns.map((column) => column.name)], ...rows];
  return `${lines.map((row) => row.map(csvCell).join(",")).join("\r\n")}\r\n`;
}
