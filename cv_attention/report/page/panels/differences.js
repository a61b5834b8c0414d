// A table of the settings in which several runs differ: a row for each setting, a column for each run.

import { breakable, el } from "../core/dom.js";
import { report } from "../core/report.js";
import { shortRunName } from "../core/run_names.js";
import { differingSettings } from "../core/settings.js";

const MOST_OPEN = 12; // more rows are folded away until the reader opens them

export function makeDifferences() {
  const names = differingSettings();
  const runs = report.runs.filter((run) => !run.export);
  const count = `${names.length} setting${names.length === 1 ? "" : "s"}`;
  const summary = el("summary", {}, names.length ? `What the configurations differ in: ${count}` : "All runs have the same configuration");
  if (!names.length) return el("p", { class: "muted differences" }, summary.textContent);
  const head = el("tr", {}, el("th", { scope: "col" }, "Setting"), runs.map((run) => el("th", { scope: "col", title: run.name }, breakable(shortRunName(run)))));
  const rows = names.map((name) =>
    el("tr", {}, el("th", { scope: "row" }, breakable(name)), runs.map((run) => el("td", {}, el("bdi", {}, run.settings?.[name] ?? "–")))),
  );
  const table = el("table", {}, el("thead", {}, head), el("tbody", {}, rows));
  const open = names.length <= MOST_OPEN;
  return el("details", { class: "differences", open }, summary, el("div", { class: "table-frame", tabindex: "0" }, table));
}
