// What the reader chose on one run, on another one: the same images, classes and columns, whatever their numbers there.

import { report } from "../core/report.js";
import { state } from "../core/state.js";
import { isSame } from "./adjacent.js";
import { sampleIn } from "./twins.js";

const known = (number) => number !== null && number !== undefined;

// The choices of the page that belong to a run, as they are on another one. What is not there is forgotten.
export function carryChoices(before, after, chosen = state) {
  const image = (index) => (known(index) ? (sampleIn(before, after, index) ?? null) : null);
  const classOf = (index) => {
    const there = known(index) ? after.classes.indexOf(before.classes[index]) : -1;
    return there < 0 ? null : there;
  };
  const column = (index) => after.columns.find((one) => before.columns[index] && isSame(one, before.columns[index]))?.index;
  const columns = chosen.columns?.map(column).filter(known);
  const ofColumn = (text) => text.replace(/\d+/, (index) => column(index) ?? "-");
  const another = chosen.versus === `run:${report.runs.indexOf(after)}` ? `run:${report.runs.indexOf(before)}` : chosen.versus;
  return {
    selected: chosen.selected.map(image).filter(known).sort((a, b) => a - b),
    sample: image(chosen.sample),
    large: null,
    label: classOf(chosen.label),
    predicted: classOf(chosen.predicted),
    columns: chosen.columns && (columns.length || !chosen.columns.length) ? columns : null,
    sort: /^\d+:/.test(chosen.sort) ? ofColumn(chosen.sort) : chosen.sort,
    versus: chosen.versus.startsWith("column:") ? ofColumn(chosen.versus) : another,
  };
}
