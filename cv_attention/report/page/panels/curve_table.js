// The curves as a table for other programs: a row for each epoch and step, a column for each curve that is shown, with
// its values as they were logged. Smoothed values have a column of their own, means one more for the deviation.

import { csvOf } from "../core/csv.js";
import { state } from "../core/state.js";

// The columns of a line, see `curvesAsCsv`: [{head, points: [[x, epochs trained, step, value]]}].
function columnsOf(line) {
  const soft = state.smoothing ? ", smoothed " + state.smoothing : "";
  if (line.band) {
    const deviations = line.points.map(([x, epoch, step, mean], i) => [x, epoch, step, line.band[i][2] - mean]);
    return [
      { head: `${line.name}: mean${soft}`, points: line.points },
      { head: `${line.name}: standard deviation${soft}`, points: deviations },
    ];
  }
  const logged = { head: line.name, points: line.raw };
  return soft ? [logged, { head: `${line.name}${soft}`, points: line.points }] : [logged];
}

// lines: [{name, raw, points, band}], points as in charts; raw: as logged; span: [low, high] of the axis, or null.
export function curvesAsCsv(lines, span) {
  const inTime = state.by === "time"; // each run has its own
  const columns = lines.flatMap(columnsOf);
  const rows = new Map();
  columns.forEach(({ points }, place) => {
    for (const [x, epoch, step, value] of points) {
      if (span && !(x >= span[0] && x <= span[1])) continue;
      const at = inTime ? [epoch, step, x] : [epoch, step];
      const key = at.join();
      if (!rows.has(key)) rows.set(key, { at, values: columns.map(() => null) });
      rows.get(key).values[place] = value;
    }
  });
  const order = (a, b) => a.at[0] - b.at[0] || a.at[1] - b.at[1] || (a.at[2] ?? 0) - (b.at[2] ?? 0);
  const body = [...rows.values()].sort(order).map(({ at, values }) => [...at, ...values]);
  return csvOf([["epoch", "step", ...(inTime ? ["minutes"] : []), ...columns.map(({ head }) => head)], ...body]);
}
