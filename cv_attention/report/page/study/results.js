// What a study has found: verdicts, forest plots, cost, controls, and what failed.

import { breakable, el } from "../core/dom.js";
import { formatCount, formatValue, isolated } from "../core/format.js";
import { makeForest, makeFront } from "./charts.js";

const REFERENCE = "the reference";

function differenceOf(row) {
  return [row.signed, row.interval].filter(Boolean).join(" ");
}

// Columns without anything known are left out.
function columnsOf(study, table) {
  const value = `${study.split} ${study.metric}${study.points === "points" ? " (%)" : ""}`;
  const columns = [
    { title: "verdict", text: (row) => row.words, kind: (row) => `words said-${row.verdict}` },
    { title: `minus ${isolated(table.reference ?? REFERENCE)}`, text: differenceOf, number: true },
    { title: value, text: (row) => row.value, number: true },
    { title: "sd / test-set sd", text: (row) => row.spread ?? "", number: true },
    { title: "runs", text: (row) => (row.unfinished ? `${row.runs} + ${row.unfinished} without a result` : String(row.runs)), kind: (row) => (row.unfinished ? "said-worse" : null) },
    { title: "parameters", text: (row) => (row.parameters === null ? "" : formatCount(row.parameters)), number: true },
    { title: "FLOPs", text: (row) => (row.flops === null ? "" : formatCount(row.flops)), number: true },
    { title: "cost", text: (row) => (row.cost ? `${formatValue(row.cost)}×` : ""), number: true },
  ];
  return columns.filter((column) => table.rows.some((row) => column.text(row)));
}

function makeTable(study, table, caption) {
  const columns = columnsOf(study, table);
  const head = columns.map(({ title, number }) => el("th", { scope: "col", class: number ? "number" : null }, title));
  const rows = table.rows.map((row) =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }, el("bdi", {}, row.arm)),
      columns.map(({ text, number, kind }) => el("td", { class: [number ? "number" : "", kind?.(row) ?? ""].join(" ").trim() || null }, text(row))),
    ),
  );
  const body = el("table", {}, el("caption", {}, caption), el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "network"), head)), el("tbody", {}, rows));
  const below = el("ul", { class: "below muted" }, table.below.map((line) => el("li", {}, line)));
  return el("div", {}, el("div", { class: "table-frame", tabindex: "0" }, body), below);
}

function comparedRows(table) {
  return table.rows.filter((row) => row.arm !== table.reference);
}

function controlsOf(study, recipe) {
  const known = Object.entries(recipe.controls);
  if (!known.length) return null;
  const parts = known.flatMap(([network, tables]) =>
    tables.map((table) =>
      el(
        "div",
        { class: "control-table" },
        makeTable(study, table, `Controls of ${isolated(network)}, each minus ${isolated(network)}`),
        el("div", { class: "charts" }, makeForest(comparedRows(table), study, `Controls of ${isolated(network)}: difference to ${isolated(network)}`)),
      ),
    ),
  );
  return el("details", { class: "study-details" }, el("summary", {}, "Controls, compared with their own network"), parts);
}

// How much the trained networks use their gates.
function gatesOf(recipe) {
  if (!recipe.gates?.length) return null;
  const tables = recipe.gates.map(({ arm, head, cells, notes }) => {
    const titles = head.map((title, i) => el("th", { scope: "col", class: i ? "number" : null }, title));
    const rows = cells.map(([site, ...rest]) => el("tr", {}, el("th", { scope: "row" }, breakable(site)), rest.map((text) => el("td", { class: "number" }, text))));
    const caption = el("caption", {}, `Gates of ${isolated(arm)}, each replaced by its mean over the validation split at test`);
    const table = el("table", {}, caption, el("thead", {}, el("tr", {}, titles)), el("tbody", {}, rows));
    return el("div", { class: "control-table" }, rows.length > 0 && el("div", { class: "table-frame", tabindex: "0" }, table), notes.map((note) => el("p", { class: "notice" }, note)));
  });
  return el("details", { class: "study-details" }, el("summary", {}, "Gates replaced at test"), tables);
}

function partOf(study, recipe) {
  const title = recipe.name && el("h3", { class: "recipe" }, recipe.name);
  if (!recipe.tables.length) return [title, el("p", { class: "empty" }, "Nothing has finished yet.")];
  const tables = recipe.tables.flatMap((table) => {
    const rows = comparedRows(table);
    const what = `Difference to ${isolated(table.reference ?? REFERENCE)}, ${study.split} ${study.metric}`;
    const charts = rows.length ? [makeForest(rows, study, what), makeFront(table.rows, study, `${what}, over cost`)] : [];
    return [
      el("div", { class: "charts" }, charts),
      makeTable(study, table, [table.title, `${study.split} ${study.metric}: mean ± standard deviation of one run; differences with simultaneous ${study.confidence} intervals`].filter(Boolean).join(" · ")),
    ];
  });
  const honest = recipe.honest.map((line) => el("p", { class: "honest" }, line));
  return [title, ...honest, tables, controlsOf(study, recipe), gatesOf(recipe)];
}

export function makeResults(study) {
  const parts = study.recipes.map((recipe) => partOf(study, recipe));
  const depends = study.interaction && el("p", { class: "honest" }, study.interaction);
  return el("section", { "aria-labelledby": "results" }, el("h2", { id: "results" }, "Results"), depends, parts.flat());
}

// Failed runs by arm: a failed run counts, it is never dropped.
export function makeFailures(study) {
  if (!study.failed.length) return null;
  const arms = [...new Set(study.failed.map((one) => one.arm))];
  const lines = arms.flatMap((arm) => {
    const own = study.failed.filter((one) => one.arm === arm);
    const list = own.map((one) => el("li", {}, `${isolated(one.words)}: ${isolated(one.reason)} `, el("code", {}, `trials/${one.run}`)));
    return [el("h3", {}, `${isolated(arm)}: ${own.length} failed`), el("ul", { class: "lines" }, list)];
  });
  return el("section", { "aria-labelledby": "failures" }, el("h2", { id: "failures" }, "Failed training runs"), lines);
}

function listOf(title, lines) {
  return lines.length ? [el("h3", {}, title), el("ul", { class: "lines" }, lines.map((line) => el("li", {}, line)))] : [];
}

// The paragraph for a paper, and the commands: `methods.md`, whose first line is its title and whose last block is shell.
export function makeMethods(study) {
  const [, paragraph, commands] = study.methods.match(/^# .*\n\n([\s\S]*?)\n\n```sh\n([\s\S]*?)\n```\n$/) ?? [null, study.methods, ""];
  return el(
    "section",
    { "aria-labelledby": "methods" },
    el("h2", { id: "methods" }, "Methods"),
    el("p", { class: "methods" }, paragraph),
    commands && el("pre", { tabindex: "0", class: "commands" }, commands),
    listOf("Matched networks", study.matched),
    listOf("Tuned", study.tuned),
    listOf("Notes", study.notes),
  );
}
