// How much each block is used: by how much it changes its input, and over what its factor varies.

import { el } from "../core/dom.js";
import { formatPercent } from "../core/format.js";

const COLUMNS = [
  ["change", "Changes its input by"],
  ["over_images", "Spread over images"],
  ["over_channels", "Spread over channels"],
  ["over_positions", "Spread over positions"],
];

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
