// The training curves: which metrics share a chart, and the colours of their lines.

import { el } from "../core/dom.js";
import { formatPercent, formatValue, metricName } from "../core/format.js";
import { report } from "../core/report.js";
import { change, state, watch } from "../core/state.js";
import { makeChart } from "../drawing/chart.js";

const GROUPS = [
  { title: "Loss", fits: (name) => /loss/.test(name), format: formatValue },
  {
    title: "Accuracy",
    fits: (name) => /acc|top_?\d|_exact$/.test(name),
    format: (value, exact) => formatPercent(value, exact ? 1 : 0),
  },
  {
    title: "Character error rate",
    fits: (name) => /_cer$/.test(name),
    format: (value, exact) => formatPercent(value, exact ? 1 : 0),
  },
  { title: "Learning rate", fits: (name) => /^lr\b|^lr[-_/]/.test(name), format: formatValue },
];

function chartGroups() {
  const names = [...new Set(report.runs.flatMap((run) => Object.keys(run.series)))];
  const groups = GROUPS.map((group) => ({ ...group, names: names.filter((name) => group.fits(name)) }));
  const rest = names.filter((name) => !GROUPS.some((group) => group.fits(name)));
  groups.push(...rest.map((name) => ({ title: metricName(name), names: [name], format: formatValue })));
  return groups.filter((group) => group.names.length);
}

// One run: a colour for each metric. Several runs: a colour for each run, training dashed.
function linesOf(group) {
  const several = report.runs.length > 1;
  const alone = group.names.length === 1;
  const line = (run, number, name) => {
    const training = name.startsWith("train");
    const metric = alone ? group.title : metricName(name);
    const first = group.names.find((other) => other.startsWith("train"));
    const place = name === first ? 0 : group.names.filter((other) => other !== first).indexOf(name) + 1;
    return {
      label: !several ? metric : alone ? run.name : `${run.name} · ${metric}`,
      colour: (several ? number : alone ? 0 : place) % 8,
      dashed: several && training,
      points: run.series[name],
    };
  };
  return report.runs.flatMap((run, number) =>
    group.names.filter((name) => run.series[name]?.length).map((name) => line(run, number, name)),
  );
}

export function makeCurves() {
  if (report.runs.every((run) => run.export)) return null;
  const charts = chartGroups().map((group) =>
    makeChart({
      title: group.title,
      lines: linesOf(group),
      marks: report.runs.length === 1 ? report.runs[0].resumed : [],
      format: group.format,
      onpick: (at) => change({ epoch: Math.max(0, Math.ceil(at - 1e-6) - 1) }),
    }),
  );
  const choose = () => {
    for (const chart of charts) chart.choose(state.epoch === null ? null : state.epoch + 1);
  };
  watch((values) => {
    if ("epoch" in values || "run" in values) choose();
  });
  choose();
  const empty = el("p", { class: "empty" }, "No curves yet: nothing has been logged under metrics/.");
  return el(
    "section",
    { "aria-labelledby": "curves" },
    el("h2", { id: "curves" }, "Curves"),
    charts.length
      ? el(
          "div",
          { class: "charts" },
          charts.map((chart) => chart.element),
        )
      : empty,
  );
}
