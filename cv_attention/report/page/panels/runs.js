// Compares several runs: networks, costs and results, and their configurations. A click on a title sorts, a check mark
// takes a run out of the curves.

import { pushButton } from "../core/controls.js";
import { breakable, el } from "../core/dom.js";
import { formatCount, formatPercent, formatValue, isolated, isShare, metricWords } from "../core/format.js";
import { report } from "../core/report.js";
import { change, state, watch } from "../core/state.js";
import { makeDifferences } from "./differences.js";

// The name under which a whole run is among what the curves hide.
export const hiddenRun = (number) => `run:${number}`;

function showInCurves(run) {
  const key = hiddenRun(report.runs.indexOf(run));
  const toggle = (event) =>
    change({ hidden: event.target.checked ? state.hidden.filter((one) => one !== key) : [...state.hidden, key] });
  const words = `Show ${isolated(run.name)} in the curves`;
  return el("input", { type: "checkbox", checked: !state.hidden.includes(key), onchange: toggle, "aria-label": words, title: words, "data-run": key });
}

const RUN_COLUMNS = [
  { title: "Run", value: (run) => run.name },
  { title: "Backbone", value: (run) => run.costs.backbone },
  { title: "Attention", value: (run) => run.costs.attention },
  { title: "Parameters", value: (run) => run.costs.parameters, format: formatCount },
  { title: "FLOPs", value: (run) => run.costs.flops, format: formatCount },
  { title: "Images/s", value: (run) => run.costs.images_per_second, format: formatValue },
  { title: "Training", value: (run) => run.costs.training_seconds, format: (seconds) => `${formatValue(seconds)} s` },
  { title: "Best val. accuracy", value: (run) => bestOf(run.series.val_accuracy), format: (share) => formatPercent(share, 2) },
];

function bestOf(points) {
  return points?.length ? Math.max(...points.map((point) => point[2])) : null;
}

function testColumns() {
  const names = [...new Set(report.runs.flatMap((run) => run.test.map(([name]) => name)))];
  return names.map((name) => ({
    title: `Test ${name.replaceAll("_", " ")}`,
    words: metricWords(name),
    value: (run) => run.test.find(([other]) => other === name)?.[1] ?? null,
    format: (value) => (isShare(name, value) ? formatPercent(value, 2) : formatValue(value)),
  }));
}

function sortedRuns(column, down) {
  const known = (run) => column.value(run) !== null && column.value(run) !== undefined;
  const compare = (a, b) => {
    const [one, two] = [column.value(a), column.value(b)];
    return typeof one === "number" ? one - two : String(one).localeCompare(String(two));
  };
  return [...report.runs].sort((a, b) =>
    known(a) !== known(b) ? (known(a) ? -1 : 1) : known(a) ? (down ? -1 : 1) * compare(a, b) : 0,
  );
}

export function makeRuns() {
  if (report.runs.filter((run) => !run.export).length < 2) return null;
  const columns = [...RUN_COLUMNS, ...testColumns()].filter((column) =>
    report.runs.some((run) => column.value(run) !== null && column.value(run) !== undefined),
  );
  const [head, body] = [el("tr"), el("tbody")];
  let sorting = null;
  let down = true;
  function cell(column, run) {
    const value = column.value(run);
    if (column.title === "Run") {
      const choose = () => change({ run: report.runs.indexOf(run) });
      return el("th", { scope: "row" }, el("button", { type: "button", class: "link", onclick: choose }, breakable(run.name)));
    }
    const text = value === null || value === undefined || value === "" ? "–" : (column.format ?? String)(value);
    return el("td", { class: column.format ? "number" : null }, text);
  }
  function draw() {
    const runs = sorting ? sortedRuns(sorting, down) : report.runs;
    const focused = document.activeElement?.dataset?.run;
    head.replaceChildren(
      el("th", { scope: "col" }, "Curves"),
      ...columns.map((column) => {
        const way = sorting === column ? (down ? "descending" : "ascending") : "none";
        const press = () => {
          down = sorting === column ? !down : true;
          sorting = column;
          draw();
        };
        const mark = way === "none" ? "" : down ? " ↓" : " ↑";
        const kind = column.format ? "number" : null;
        return el("th", { scope: "col", class: kind, title: column.words, "aria-sort": way }, pushButton(`${column.title}${mark}`, press, { class: "link" }));
      }),
    );
    body.replaceChildren(
      ...runs.map((run) => {
        const chosen = report.runs.indexOf(run) === state.run;
        const mark = el("td", {}, !run.export && showInCurves(run));
        return el("tr", { class: chosen ? "chosen" : null }, mark, columns.map((column) => cell(column, run)));
      }),
    );
    if (focused) body.querySelector(`[data-run="${CSS.escape(focused)}"]`)?.focus();
  }
  watch((values) => {
    if ("run" in values || "hidden" in values) draw();
  });
  draw();
  return el(
    "section",
    { "aria-labelledby": "runs" },
    el("h2", { id: "runs" }, "Runs"),
    el("div", { class: "table-frame", tabindex: "0" }, el("table", { class: "runs" }, el("thead", {}, head), body)),
    makeDifferences(),
  );
}
