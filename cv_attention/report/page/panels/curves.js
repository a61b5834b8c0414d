// The training curves: which metrics share a chart, over what, and the colours of their lines.

import { labelled, pushButton, rangeControl, select, toggleControl } from "../core/controls.js";
import { el } from "../core/dom.js";
import { aChoice, aNumber, aSwitch, aText, someTexts } from "../core/fields.js";
import { formatPercent, formatValue, isolated, metricName } from "../core/format.js";
import { report } from "../core/report.js";
import { shortRunName } from "../core/run_names.js";
import { differingSettings } from "../core/settings.js";
import { addField, change, limitFields, state, watch } from "../core/state.js";
import { makeChart } from "../drawing/chart.js";
import { commonName, meanCurve, smoothed } from "../drawing/series.js";
import { curvesAsCsv } from "./curve_table.js";
import { hiddenRun } from "./runs.js";

addField("by", aChoice("epoch", ["epoch", "step", "time"]));
addField("smoothing", aNumber(0, 0, 0.99));
addField("log", aSwitch(false));
addField("band", aSwitch(false));
addField("hidden", someTexts());
addField("span", aText("")); // the part of the axis that is shown, "2.5:7"
addField("grouped", aText("")); // the setting that runs of one mean share; otherwise all settings but the seed
limitFields(["grouped"], () => !state.grouped || differingSettings().includes(state.grouped));

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

// Arms of a study are many lines: each metric has a chart of its own.
function apart(names) {
  return names.map((name) => ({ title: metricName(name), names: [name], format: GROUPS.find((group) => group.fits(name))?.format ?? formatValue }));
}

function chartGroups() {
  const names = [...new Set(report.runs.flatMap((run) => Object.keys(run.series)))];
  if (report.study) return apart(names);
  const groups = GROUPS.map((group) => ({ ...group, names: names.filter((name) => group.fits(name)) }));
  const rest = names.filter((name) => !GROUPS.some((group) => group.fits(name)));
  groups.push(...rest.map((name) => ({ title: metricName(name), names: [name], format: formatValue })));
  return groups.filter((group) => group.names.length);
}

// One run: a colour for each metric. Several: a colour for each run, a dash for each metric; training is dashed.
function dashOf(group, name, several) {
  if (!several) return 0;
  if (name.startsWith("train")) return 1;
  const place = group.names.filter((other) => !other.startsWith("train")).indexOf(name);
  return [0, 2, 3][place % 3];
}

function colourOf(group, name, number, several) {
  if (several) return number;
  const first = group.names.find((other) => other.startsWith("train"));
  if (group.names.length === 1 || name === first) return 0;
  return group.names.filter((other) => other !== first).indexOf(name) + 1;
}

const MINUTES = 60;

// Points with the x of the chosen axis; seconds are those of the whole training, spread evenly over its epochs.
function placed(run, points) {
  const total = Math.max(...Object.values(run.series).map((series) => series[series.length - 1]?.[0] ?? 0)) || 1;
  const minutes = (run.costs.training_seconds ?? 0) / MINUTES / total;
  const x = { epoch: ([epoch]) => epoch, step: ([, step]) => step, time: ([epoch]) => epoch * minutes }[state.by];
  return points.map((point) => [x(point), ...point]);
}

function runLine(group, run, number, name) {
  const several = report.runs.length > 1;
  const metric = group.names.length === 1 ? group.title : metricName(name);
  const raw = placed(run, run.series[name]);
  const points = raw.filter(([, , , value]) => !state.log || value > 0);
  return {
    key: `${number}.${name}`,
    name: several ? `${run.name}: ${name}` : name,
    raw,
    label: !several ? metric : group.names.length === 1 ? isolated(shortRunName(run)) : `${isolated(shortRunName(run))} · ${metric}`,
    title: several ? run.name : null,
    colour: colourOf(group, name, number, several),
    dash: dashOf(group, name, several),
    points: smoothed(points, state.smoothing),
  };
}

const isShown = (number) => !state.hidden.includes(hiddenRun(number));

// Runs that differ in their seed alone or share a setting, each group under the number of its first run.
function runGroups(runs, setting = "") {
  const groups = new Map();
  runs.forEach((run, number) => {
    const key = (setting ? run.settings?.[setting] : run.seeds) ?? `alone ${number}`;
    groups.set(key, [...(groups.get(key) ?? []), { run, number }]);
  });
  return [...groups.values()];
}

function groupName(members, setting) {
  if (setting) return `${setting} ${isolated(members[0].run.settings?.[setting] ?? "–")}, ${members.length} runs`;
  return `${isolated(members[0].run.group ?? commonName(members.map(({ run }) => run.name)))}, ${members.length} seeds`;
}

function meanLine(group, members, place, name) {
  const lines = members.map(({ run, number }) => runLine(group, run, number, name));
  if (lines.length === 1) return { ...lines[0], colour: place };
  const about = groupName(members, state.grouped);
  const label = group.names.length === 1 ? about : `${about} · ${metricName(name)}`;
  const mean = meanCurve(lines.map((line) => line.points));
  return { ...lines[0], title: null, key: `mean ${lines[0].key}`, name: `${about}: ${name}`, label, colour: place, ...mean };
}

function linesOf(group) {
  const known = (run, name) => run.series[name]?.length;
  const lines = state.band
    ? runGroups(report.runs, state.grouped).flatMap((members, place) =>
        group.names.flatMap((name) => {
          const having = members.filter(({ run, number }) => isShown(number) && known(run, name));
          return having.length ? [meanLine(group, having, place, name)] : [];
        }),
      )
    : report.runs.flatMap((run, number) =>
        group.names.filter((name) => isShown(number) && known(run, name)).map((name) => runLine(group, run, number, name)),
      );
  return lines.map((line) => ({ ...line, hidden: state.hidden.includes(line.key) }));
}

const AXES = {
  epoch: { words: "epochs trained", epoch: (at) => at, at: (epochs) => epochs },
  step: { words: "steps", epoch: (at, point) => point[1], at: xOfEpoch },
  time: { words: "minutes, at the mean speed", epoch: (at, point) => point[1], at: xOfEpoch },
};

// The x of the point nearest to a number of epochs trained.
function xOfEpoch(epochs, points) {
  const off = (point) => Math.abs(point[1] - epochs);
  return points.reduce((best, point) => (off(point) < off(best) ? point : best))[0];
}

// [low, high] of the chosen axis, or null.
function chosenSpan() {
  const [low, high] = state.span.split(":").map(Number);
  return Number.isFinite(low) && high > low ? [low, high] : null;
}

function drawCharts() {
  const span = chosenSpan();
  const onspan = (low, high) => change({ span: [low, high].map((x) => Number(x.toPrecision(5))).join(":") });
  const toggle = (key) =>
    change({ hidden: state.hidden.includes(key) ? state.hidden.filter((one) => one !== key) : [...state.hidden, key] });
  return chartGroups().map((group) =>
    makeChart({
      title: group.title,
      lines: linesOf(group),
      marks: report.runs.length === 1 && state.by === "epoch" ? report.runs[0].resumed : [],
      axis: { ...AXES[state.by], log: state.log },
      format: group.format,
      onpick: (epochs) => change({ epoch: Math.max(0, Math.ceil(epochs - 1e-6) - 1) }),
      ontoggle: toggle,
      span,
      onspan,
    }),
  );
}

// Fields for the ends of the axis: what a drag does, for those who do not drag. An empty one leaves its end as it is.
function makeEnds() {
  const whole = () => Math.max(...report.runs.flatMap((run) => Object.values(run.series).map((points) => placed(run, points.slice(-1))[0]?.[0] ?? 0)));
  const set = () => {
    const [low, high] = fields.map((field) => field.valueAsNumber);
    const span = [low || 0, Number.isFinite(high) ? high : whole()];
    change({ span: fields.every((field) => field.value === "") || span[0] >= span[1] ? "" : span.join(":") });
  };
  const fields = ["from", "to"].map((name) => el("input", { type: "number", step: "any", name, class: "end", onchange: set }));
  const show = () => {
    const span = chosenSpan() ?? ["", ""];
    fields.forEach((field, i) => document.activeElement !== field && (field.value = span[i]));
  };
  watch(show);
  show();
  return [labelled("Axis from", fields[0]), labelled("Axis to", fields[1])];
}

// What the charts show, as a table; see `curvesAsCsv`.
export function shownCurvesAsCsv() {
  return curvesAsCsv(chartGroups().flatMap((group) => linesOf(group).filter((line) => !line.hidden)), chosenSpan());
}

// What is averaged: runs that differ in their seed alone, or all that share a setting, in whatever else they differ.
function meanWords() {
  const over = state.grouped ? `the runs that share ${state.grouped}` : "seeds";
  return `Mean over ${over} ± standard deviation`;
}

function makeTools() {
  const trained = report.runs.filter((run) => !run.export);
  const timed = trained.every((run) => run.costs.training_seconds);
  const shared = (name) => runGroups(trained, name).some((members) => members.length > 1);
  const settings = differingSettings().filter((name) => shared(name) && !/(^|\.)seed$/.test(name));
  const means = [["", "all settings but the seed"], ...settings.map((name) => [name, name])];
  const axes = [["epoch", "epochs"], ["step", "steps"], ...(timed ? [["time", "time"]] : [])];
  const whole = pushButton("Whole axis", () => change({ span: "" }));
  const mean = toggleControl("band", meanWords);
  const show = () => {
    whole.hidden = !chosenSpan();
    mean.hidden = !shared(state.grouped); // no two runs belong together
  };
  watch(show);
  show();
  return el(
    "div",
    { class: "panel-tools" },
    select("by", "Over", axes, (by) => change({ by, span: "" })),
    rangeControl("smoothing", "Smoothing", 0, 0.99, 0.01, (value) => (value ? value.toFixed(2) : "off")),
    toggleControl("log", "Logarithmic"),
    settings.length > 0 && select("grouped", "Group by", means, (grouped) => change({ grouped, band: true })),
    mean,
    makeEnds(),
    whole,
  );
}

const CURVES_STATE = ["by", "smoothing", "log", "band", "hidden", "grouped", "span"];

export function makeCurves() {
  if (report.runs.every((run) => run.export)) return null;
  const place = el("div", { class: "charts" });
  let charts = [];
  const choose = () => {
    for (const chart of charts) chart.choose(state.epoch === null ? null : state.epoch + 1);
  };
  const draw = () => {
    charts = drawCharts();
    place.replaceChildren(...charts.map((chart) => chart.element));
    choose();
  };
  watch((values) => {
    if (CURVES_STATE.some((name) => name in values)) draw();
    else if ("epoch" in values || "run" in values) choose();
  });
  draw();
  const empty = el("p", { class: "empty" }, "No curves yet: nothing has been logged under metrics/.");
  const content = charts.length ? [makeTools(), place] : [empty];
  return el("section", { "aria-labelledby": "curves" }, el("h2", { id: "curves" }, "Curves"), content);
}
