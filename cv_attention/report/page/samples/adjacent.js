// Columns side by side: those of the chosen run, each followed by the same column of other epochs and other runs. The
// columns that only another run has, such as the methods of another export, come last.

import { nearestSnapshot } from "../core/epochs.js";
import { aText, someTexts } from "../core/fields.js";
import { columnName, epochName, inWords } from "../core/format.js";
import { report } from "../core/report.js";
import { shortRunName } from "../core/run_names.js";
import { addField, limitFields, shownColumns, state, suggestedColumns } from "../core/state.js";
import { joined, valueRange } from "../drawing/scales.js";
import { sampleIn } from "./twins.js";

addField("adjacent", someTexts()); // "epoch:3" (an index), "run:1"
addField("whose", aText("")); // one of these, if the large view shows its column; else the chosen run's

export function isSame(one, other) {
  return one.title === other.title && one.kind === other.kind && one.bars === other.bars;
}

// What stands next to the columns of a run: [{whose, run, epoch, words}]; an epoch of null follows the page's.
export function neighboursOf(run) {
  return state.adjacent.flatMap((whose) => {
    const [kind, text] = whose.split(":");
    const number = Number(text);
    if (kind === "epoch" && run.epochs.some(({ epoch }) => epoch === number))
      return [{ whose, run, epoch: number, words: epochName(number) }];
    const other = kind === "run" ? report.runs[number] : null;
    return other && other !== run && other.epochs.length ? [{ whose, run: other, epoch: null, words: shortRunName(other) }] : [];
  });
}

// All columns as they stand: [{whose, run, epoch, words, column}]. Those of the run itself have no words of their own.
export function placesOf(run) {
  const neighbours = neighboursOf(run);
  const named = neighbours.some((one) => one.run !== run) ? shortRunName(run) : "";
  const own = { whose: "", run, epoch: null, words: named };
  const places = shownColumns(run).flatMap((column) => {
    const twins = neighbours.flatMap((one) => {
      const twin = one.run === run ? column : one.run.columns.find((other) => isSame(other, column));
      return twin ? [{ ...one, column: twin }] : [];
    });
    return [{ ...own, column }, ...twins];
  });
  const lacking = (column) => !run.columns.some((other) => isSame(other, column));
  const others = neighbours.filter((one) => one.run !== run);
  const rest = others.flatMap((one) => suggestedColumns(one.run).filter(lacking).map((column) => ({ ...one, column })));
  return [...places, ...rest];
}

export function placeKey({ whose, column }) {
  return `${whose}/${column.index}`;
}

export function placeTitle({ column, words }) {
  return words ? `${column.title} · ${words}` : column.title;
}

export function placeName({ column, words }) {
  return inWords(columnName(column), words);
}

// The recording that a place shows.
export function snapshotAt({ run, epoch, column }) {
  return nearestSnapshot(run, epoch ?? state.epoch, column);
}

// Where the sample of a run lies in the run of a place; null if it is not there.
export function sampleAt(place, run, index) {
  return place.run === run ? index : sampleIn(run, place.run, index);
}

// One range for an attention map and the same one of other runs and epochs, which have the same unit; saliency maps,
// whose unit is that of their network's output, keep their own. Null where only one stands there.
export function rangeOfAll(run, place, map) {
  if (!state.adjacent.length || place.column.source !== "attention" || ["image", "manual"].includes(state.scale)) return null;
  const alike = placesOf(run).filter((one) => isSame(one.column, place.column));
  if (alike.length < 2) return null;
  const ranges = alike.map((one) => {
    const snapshot = snapshotAt(one);
    return snapshot && valueRange(one.run, snapshot, one.column, map);
  });
  return joined(ranges);
}

limitFields(["whose", "large"], (run) => !state.whose || placesOf(run).some((one) => placeKey(one) === `${state.whose}/${state.large}`));
