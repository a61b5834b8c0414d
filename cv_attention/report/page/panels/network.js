// The network as a drawing: its parts from left to right, the units of a stage one below the other, and a
// mark at every attention site. A click on a mark shows the site's maps.

import { el, svg } from "../core/dom.js";
import { aText } from "../core/fields.js";
import { formatCount, formatPercent } from "../core/format.js";
import { goTo } from "../core/scrolling.js";
import { addField, change, currentRun, state, watch } from "../core/state.js";
import { makeUsageChart, usageTable } from "./usage.js";

addField("site", aText("")); // title of the map that the attention panel shows

const BOX = { width: 130, gap: 26, head: 46, unit: 26, foot: 38, top: 6 };

// Parts that have weights or a cost; others are not drawn.
function drawnParts({ parts, sites }) {
  const within = (part) => sites.some((site) => belongs(site, part));
  return parts.filter((part) => part.parameters || part.flops || within(part));
}

function belongs(site, part) {
  return site.name === part.name || site.name.startsWith(`${part.name}.`);
}

function siteColumns(run, site) {
  return run.columns.filter(
    (column) => column.title === site.block || column.title.startsWith(`${site.block}.`),
  );
}

// The map of a site: its last column, which for two gates is the spatial one.
function chooseSite(run, site) {
  const columns = siteColumns(run, site);
  const saliency = run.columns.filter((column) => column.source === "saliency");
  if (!columns.length) return;
  change({
    site: columns[columns.length - 1].title,
    columns: [...saliency, ...columns].map((column) => column.index),
  });
  goTo("attention");
}

function shortened(text, most) {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

function shapeText(shape) {
  return shape ? shape.join(" × ") : "";
}

// How much a block changes its input; empty if the run did not measure it.
function usageText(site) {
  if (site.change === undefined) return "";
  const spreads = [
    ["images", site.over_images],
    ["channels", site.over_channels],
    ["positions", site.over_positions],
  ].map(([axis, spread]) => `${formatPercent(spread, 1)} over ${axis}`);
  return `; changes its input by ${formatPercent(site.change, 1)}, its factor spreads ${spreads.join(", ")}`;
}

function usageHint({ sites, predictions_changed: changed }) {
  const changes = sites.map((site) => site.change).filter((change) => change !== undefined);
  if (!changes.length) return "";
  const range = `${formatPercent(Math.min(...changes), 1)} to ${formatPercent(Math.max(...changes), 1)}`;
  const without = changed === undefined ? "" : `; without them ${formatPercent(changed, 1)} of the predictions change`;
  return ` The blocks change their inputs by ${range}${without}.`;
}

function drawSite(run, site, x, y) {
  const [size, cost] = [`${site.channels} × ${site.height} × ${site.width}`, formatCount(site.parameters)];
  const words = `${site.label} ${site.place} ${site.name}: ${size}, ${cost} parameters, ${formatCount(site.flops)} FLOPs${usageText(site)}`;
  const press = (event) => {
    if (event.type === "keydown" && event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    chooseSite(run, site);
  };
  const chosen = siteColumns(run, site).some((column) => column.title === state.site);
  const label = shortened(site.label, 9);
  const width = 14 + 6.3 * label.length;
  return {
    width,
    element: svg(
      "g",
      {
        class: chosen ? "site chosen" : "site",
        role: "button",
        tabindex: "0",
        "aria-pressed": String(chosen),
        "aria-label": words,
        "data-site": site.name,
        onclick: press,
        onkeydown: press,
      },
      svg("title", {}, words),
      svg("rect", { x: x - width, y: y - 9, width, height: 18, rx: 9 }),
      svg("text", { x: x - width / 2, y: y + 4, "text-anchor": "middle" }, label),
    ),
  };
}

function drawSites(run, sites, x, y) {
  let right = x;
  return sites.map((site) => {
    const mark = drawSite(run, site, right, y);
    right -= mark.width + 3;
    return mark.element;
  });
}

function drawUnit(run, unit, sites, x, y, height) {
  const own = sites.filter((site) => belongs(site, unit));
  const name = unit.name.split(".").slice(1).join(".") || unit.name;
  const title = `${unit.name} (${unit.type}): ${shapeText(unit.shape)}, ${formatCount(unit.parameters)} parameters`;
  return [
    svg(
      "g",
      { class: "unit" },
      svg("title", {}, title),
      svg("rect", { x: x + 6, y, width: BOX.width - 12, height: height - 4, rx: 4 }),
      svg("text", { x: x + 14, y: y + height / 2 + 2 }, shortened(name, own.length ? 7 : 20)),
    ),
    ...drawSites(run, own, x + BOX.width - 10, y + height / 2 - 2),
  ];
}

function drawPart(run, part, sites, x, tall) {
  const own = sites.filter((site) => belongs(site, part));
  const outside = own.filter((site) => !part.parts.some((unit) => belongs(site, unit)));
  const middle = x + BOX.width / 2;
  const costs = [`${formatCount(part.parameters)} parameters`, `${formatCount(part.flops)} FLOPs`];
  const head = [
    svg("rect", { class: "part", x, y: BOX.top, width: BOX.width, height: tall, rx: 8 }),
    svg("text", { class: "part-name", x: middle, y: BOX.top + 18, "text-anchor": "middle" }, shortened(part.name, 17)),
    svg("text", { class: "part-shape", x: middle, y: BOX.top + 34, "text-anchor": "middle" }, shapeText(part.shape)),
    ...costs.map((cost, i) =>
      svg("text", { class: "part-cost", x: middle, y: BOX.top + tall - 24 + 15 * i, "text-anchor": "middle" }, cost),
    ),
  ];
  const units = part.parts.flatMap((unit, i) =>
    drawUnit(run, unit, own, x, BOX.top + BOX.head + i * BOX.unit, BOX.unit),
  );
  const below = BOX.top + BOX.head + part.parts.length * BOX.unit + 10;
  return svg("g", {}, head, units, drawSites(run, outside, x + BOX.width - 10, below));
}

function drawNetwork(run) {
  const { parts, sites } = { ...run.panels.network, parts: drawnParts(run.panels.network) };
  const rows = Math.max(1, ...parts.map((part) => part.parts.length)) + 0.6;
  const tall = BOX.head + rows * BOX.unit + BOX.foot;
  const width = parts.length * (BOX.width + BOX.gap) - BOX.gap;
  const height = tall + 2 * BOX.top;
  const arrows = parts.slice(1).map((_, i) => {
    const x = (i + 1) * (BOX.width + BOX.gap) - BOX.gap;
    const y = BOX.top + 18;
    return svg("path", { class: "arrow", d: `M${x + 4} ${y}h${BOX.gap - 9}m-5 -4l5 4l-5 4` });
  });
  return svg(
    "svg",
    { class: "network", viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": "The network" },
    arrows,
    parts.map((part, i) => drawPart(run, part, sites, i * (BOX.width + BOX.gap), tall)),
  );
}

export function makeNetwork() {
  const content = el("div", { class: "network-frame", tabindex: "0" });
  const usage = el("div", { class: "network-usage" });
  const usageChart = makeUsageChart();
  const section = el("section", { "aria-labelledby": "network" }, el("h2", { id: "network" }, "Network"), content, usage);
  const draw = () => {
    const run = currentRun();
    section.hidden = !run.panels?.network;
    if (section.hidden) return;
    const focused = document.activeElement?.dataset?.site;
    const { network } = run.panels;
    const { sites } = network;
    const hint = sites.length
      ? `${sites.length} attention site${sites.length === 1 ? "" : "s"}; choose one to see its maps.${usageHint(network)}`
      : "No attention was inserted.";
    content.replaceChildren(drawNetwork(run), el("p", { class: "muted hint" }, hint));
    usage.replaceChildren(...[usageTable(network), usageChart.element].filter(Boolean));
    usageChart.draw();
    if (focused) content.querySelector(`[data-site="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  };
  watch((values) => {
    if ("run" in values || "site" in values) draw();
    else if (["epoch", "used", "hidden"].some((name) => name in values)) usageChart.draw();
  });
  draw();
  return section;
}
