// How much each block is used: by how much it changes its input, and over what its factor varies; at the end on
// validation images as a table, and on the recorded images over the epochs as curves.

import { select } from "../core/controls.js";
import { el } from "../core/dom.js";
import { aChoice } from "../core/fields.js";
import { columnName, formatPercent } from "../core/format.js";
import { addField, change, currentRun, state } from "../core/state.js";
import { makeChart } from "../drawing/chart.js";

const COLUMNS = [
  ["change", "Changes its input by"],
  ["over_images", "Spread over images"],
  ["over_channels", "Spread over channels"],
  ["over_positions", "Spread over positions"],
];

addField("used", aChoice("change", COLUMNS.map(([name]) => name)));

// The curves of one measure, a line for each block: [{key, label, colour, dash, hidden, points}].
export function usageLines(run, measure, hidden = []) {
  const blocks = [...new Set(run.epochs.flatMap((snapshot) => Object.keys(snapshot.blocks ?? {})))];
  return blocks.map((block, i) => ({
    key: `used.${block}`,
    label: columnName({ title: block }).replace(/\.attention$/, ""),
    colour: i,
    dash: 0,
    hidden: hidden.includes(`used.${block}`),
    points: run.epochs.flatMap(({ epoch, step, blocks: known }) => {
      const value = known?.[block]?.[measure];
      return value === undefined ? [] : [[epoch + 1, epoch + 1, step ?? epoch + 1, value]];
    }),
  }));
}

// A chart of the chosen run that `draw` brings up to date; it is hidden where fewer than two epochs were measured.
export function makeUsageChart() {
  const place = el("div", {});
  const measure = select("used", "Measure", COLUMNS);
  const element = el("div", { class: "usage-over-epochs", hidden: true }, el("div", { class: "panel-tools" }, measure), place);
  function draw() {
    const lines = usageLines(currentRun(), state.used, state.hidden);
    element.hidden = !lines.some((line) => line.points.length > 1);
    if (element.hidden) return;
    const most = Math.max(...lines.flatMap((line) => line.points.map((point) => point[3])));
    const digits = most < 0.02 ? 2 : most < 0.1 ? 1 : 0; // of the axis
    const toggle = (key) =>
      change({ hidden: state.hidden.includes(key) ? state.hidden.filter((one) => one !== key) : [...state.hidden, key] });
    const chart = makeChart({
      title: `Use of the blocks: ${COLUMNS.find(([name]) => name === state.used)[1].toLowerCase()}`,
      lines,
      marks: [],
      axis: { words: "epochs trained", log: false, epoch: (at) => at, at: (epochs) => epochs },
      format: (value, exact) => formatPercent(value, exact ? 2 : digits),
      onpick: (epochs) => change({ epoch: Math.round(epochs) - 1 }),
      ontoggle: toggle,
    });
    place.replaceChildren(chart.element);
    chart.choose(state.epoch === null ? null : state.epoch + 1);
  }
  return { element, draw };
}

// A table of the blocks for which the run measured it; nothing without any.
export function usageTable({ sites }) {
  const known = sites.filter((site) => site.change !== undefined);
  if (!known.length) return null;
  const most = Math.max(...known.map((site) => site.change), 1e-9);
  const head = ["Block", ...COLUMNS.map(([, title]) => title)].map((text, i) =>
    el("th", { scope: "col", class: i ? "number" : null }, text),
  );
  const cell = (site, [name], i) => {
    const value = site[name];
    const text = el("span", {}, value === undefined ? "–" : formatPercent(value, 1));
    if (i) return el("td", { class: "number" }, text);
    const bar = el("i");
    bar.style.width = `${(100 * value) / most}%`;
    return el("td", { class: "number with-bar" }, bar, text);
  };
  const rows = known.map((site) =>
    el("tr", {}, el("th", { scope: "row" }, `${site.label} ${site.place} ${site.name}`), COLUMNS.map((column, i) => cell(site, column, i))),
  );
  const words = "How much each block is used: where it hardly changes its input, or by one factor everywhere, its maps mean little";
  const table = el("table", { class: "usage-table" }, el("caption", {}, words), el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows));
  return el("div", { class: "table-frame", tabindex: "0" }, table);
}
