// Self-attention in full: every head, what a chosen position attends to, and all layers × heads as one matrix.

import { el } from "../core/dom.js";
import { epochName } from "../core/format.js";
import { anIndex } from "../core/fields.js";
import { addField, change, state } from "../core/state.js";
import { weightLayers } from "../drawing/layers.js";
import { finiteRange, isNearlyConstant, uniformOf } from "../drawing/scales.js";
import { headCache, headMaps, loadPanel, queryMaps } from "./attending.js";
import { cellMark, colourBar, overlaid, panelFigure } from "./figure.js";

addField("query", anIndex());

const WEIGHTS = { weights: true };

function spread(map) {
  const finite = Array.from(map.values).filter(Number.isFinite);
  return { ...map, lo: finite.length ? Math.min(...finite) : null, hi: finite.length ? Math.max(...finite) : null };
}

function flatBadge(run, map) {
  return isNearlyConstant(run, WEIGHTS, spread(map)) && el("span", { class: "elsewhere" }, "nearly uniform");
}

// All heads of one block at one scale, with its colour bar.
function headGrid(run, sample, maps, all, label, mark = null) {
  const layers = weightLayers(maps, all.values);
  const frames = layers.map((layer, i) => {
    const name = maps.length > 1 ? `head ${i + 1}` : "all heads";
    const marks = mark ? [cellMark(...mark, layer.map)] : [];
    const frame = overlaid(run, sample, layer, `${label}, ${name}`, { marks });
    frame.append(...[flatBadge(run, layer.map)].filter(Boolean));
    return el("figure", { class: "head-map" }, frame, el("figcaption", {}, name));
  });
  const bar = layers.length ? el("div", { class: "shared-scale" }, colourBar(layers[0])) : null;
  return el("div", { class: "heads-at-one-scale" }, el("div", { class: "head-grid" }, frames), bar);
}

function isGrid(all) {
  return all.queries === all.height * all.width;
}

// The chosen position: {query, row, column}; without a choice that in the middle.
function chosenQuery(all) {
  const query = Math.min(state.query ?? Math.floor(all.queries / 2 + all.width / 2), all.queries - 1);
  return { query, row: Math.floor(query / all.width), column: query % all.width };
}

function placeSlider(name, label, value, count, onmove) {
  const field = el("input", {
    type: "range",
    min: 0,
    max: count - 1,
    value,
    name,
    "aria-label": `${label} of the position whose attention is shown`,
    oninput: () => onmove(Number(field.value)),
  });
  return el("label", { class: "control" }, `${label} ${value}`, field);
}

// A click, the arrow keys or the sliders choose the position whose attention is shown.
function queryPicker(run, sample, all) {
  const { query, row, column } = chosenQuery(all);
  if (!isGrid(all)) {
    return el("div", { class: "query" }, placeSlider("query", "Number", query, all.queries, (value) => change({ query: value })));
  }
  const pick = (y, x) => change({ query: y * all.width + x });
  const map = { values: new Float32Array(all.height * all.width).fill(NaN), height: all.height, width: all.width };
  const layer = { map, range: [0, 1], table: state.colours, signed: false, uniform: null };
  const frame = overlaid(run, sample, layer, "Choose a position", { onpick: pick, marks: [cellMark(row, column, all)] });
  return el(
    "div",
    { class: "query" },
    frame,
    placeSlider("query-row", "Row", row, all.height, (y) => pick(y, column)),
    placeSlider("query-column", "Column", column, all.width, (x) => pick(row, x)),
  );
}

function placeWords(all) {
  const { query, row, column } = chosenQuery(all);
  return isGrid(all) ? `row ${row}, column ${column}` : `position ${query}`;
}

export async function drawSelfAttention(run, title, sample) {
  const heads = await loadPanel(run, "heads", headCache);
  const pairs = await loadPanel(run, "pairwise", headCache);
  const figures = [];
  const all = heads?.found[title];
  const pairwise = pairs?.found[title];
  const looking = pairwise && sample < pairwise.images;
  if (all) {
    const words = `What each head attends to, ${epochName(heads.epoch)}`;
    const { row, column } = looking ? chosenQuery(pairwise) : {};
    const mark = looking && isGrid(pairwise) && all.height === pairwise.height ? [row, column] : null;
    figures.push(panelFigure(words, headGrid(run, sample, headMaps(all, sample), all, words, mark)));
  }
  if (looking) {
    const { query, row, column } = chosenQuery(pairwise);
    const words = `What ${placeWords(pairwise)} attends to, ${epochName(pairs.epoch)}`;
    const mark = isGrid(pairwise) ? [row, column] : null;
    const looks = headGrid(run, sample, queryMaps(pairwise, sample, query), pairwise, words, mark);
    looks.classList.add("looks");
    figures.unshift(panelFigure("Choose a position", queryPicker(run, sample, pairwise)), panelFigure(words, looks));
  } else if (pairwise) {
    const words = `What positions attend to is recorded only for the first ${pairwise.images} images.`;
    figures.push(el("p", { class: "muted" }, words));
  }
  return { figures };
}

// Weights as multiples of the uniform one, so that layers of different sizes share a scale.
function relative(map) {
  const uniform = uniformOf(map) || 1;
  return { ...map, values: map.values.map((value) => value / uniform) };
}

// A row for each layer and a column for each head, all at one scale.
export async function drawLayersAndHeads(run, titles, name, sample) {
  const heads = await loadPanel(run, "heads", headCache);
  const layers = titles.filter((title) => heads?.found[title]);
  if (!layers.length) return { figures: [el("p", { class: "muted" }, "Heads were not recorded.")] };
  const rows = layers.map((title) => headMaps(heads.found[title], sample).map(relative));
  const ends = layers.flatMap((title) => finiteRange(relative(heads.found[title]).values) ?? []);
  const painted = weightLayers(rows.flat(), ends);
  const most = Math.max(...rows.map((row) => row.length));
  let next = 0;
  const head = el("tr", {}, el("td"), Array.from({ length: most }, (_, i) => el("th", { scope: "col" }, `head ${i + 1}`)));
  const body = rows.map((row, layer) => {
    const cells = row.map((_, i) => {
      const label = `${name(layers[layer])}, head ${i + 1}`;
      return el("td", {}, overlaid(run, sample, painted[next++], label));
    });
    return el("tr", {}, el("th", { scope: "row" }, name(layers[layer])), cells);
  });
  const words = `What each head of each layer attends to, × uniform, ${epochName(heads.epoch)}`;
  const table = el("table", { class: "head-matrix" }, el("thead", {}, head), el("tbody", {}, body));
  return {
    figures: [
      panelFigure(words, el("div", { class: "table-frame", tabindex: "0" }, table), el("div", { class: "shared-scale" }, colourBar(painted[0]))),
    ],
  };
}
