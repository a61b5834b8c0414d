// Tables of the texts of the test images: errors by the length of the text, and the most confused characters.

import { el } from "../core/dom.js";
import { formatPercent } from "../core/format.js";
import { plainCache } from "../core/shards.js";
import { shownUnit } from "./text.js";

export function loadTables(run) {
  const hash = run.panels?.read;
  return hash ? plainCache.get(`${run.folder}/readings-test`, hash, 1e5) : Promise.resolve(null);
}

function table(name, caption, titles, rows) {
  const head = titles.map((text, i) => el("th", { scope: "col", class: i ? "number" : null }, text));
  const content = el("table", { class: name }, el("caption", {}, caption), el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows));
  return el("div", { class: "table-frame", tabindex: "0" }, content);
}

function barCell(share, text) {
  const bar = el("i");
  bar.style.width = `${100 * Math.min(share, 1)}%`;
  return el("td", { class: "number with-bar" }, bar, el("span", {}, text));
}

function lengthRow({ length, images, errors, cer, exact }) {
  return el(
    "tr",
    { "data-length": length },
    el("th", { scope: "row" }, length),
    el("td", { class: "number" }, images),
    el("td", { class: "number" }, errors),
    barCell(cer, formatPercent(cer, 2)),
    el("td", { class: "number" }, formatPercent(exact / images, 1)),
  );
}

function confusedRow([truth, read, count, occurring]) {
  const name = (unit, otherwise) => (unit === "" ? el("span", { class: "muted" }, otherwise) : shownUnit(unit));
  const share = truth === "" ? "–" : formatPercent(count / occurring, 1);
  return el(
    "tr",
    {},
    el("th", { scope: "row" }, name(truth, "nothing")),
    el("td", { class: "number" }, name(read, "not read")),
    el("td", { class: "number" }, count),
    el("td", { class: "number" }, share),
  );
}

export function drawTables({ images, lengths, confused }) {
  const words = `Character error rate by the length of the text, ${images} test images`;
  const titles = ["Length", "Images", "Errors", "CER", "Exact"];
  const parts = [table("by-length", words, titles, lengths.map(lengthRow))];
  if (confused.length) {
    const columns = ["True", "Read", "Times", "Of its occurrences"];
    parts.push(table("confused", "Most confused characters", columns, confused.map(confusedRow)));
  } else if (lengths.length) {
    parts.push(el("p", { class: "muted" }, "No character was confused with another."));
  }
  return parts;
}
