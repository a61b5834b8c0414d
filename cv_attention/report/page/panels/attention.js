// The attention panel: one block's map of one image in full: gates, positions through the epochs, heads, and
// what each position attends to.

import { select } from "../core/controls.js";
import { el } from "../core/dom.js";
import { nearestSnapshot } from "../core/epochs.js";
import { anIndex } from "../core/fields.js";
import { columnName, epochName, formatValue, inWords, snapshotName } from "../core/format.js";
import { addField, change, currentRun, state, watch } from "../core/state.js";
import { valueRange } from "../drawing/heatmap.js";
import { loadMap } from "../samples/maps.js";
import { finiteRange, headCache, headMaps, loadPanel, queryMaps } from "./attending.js";
import { overlaid, panelFigure } from "./figure.js";
import { drawGates } from "./gates.js";
import { sampleStepper } from "./stepper.js";

addField("query", anIndex());

const ROLLOUT = "rollout";

function attentionColumns(run) {
  return run.columns.filter((column) => column.source === "attention");
}

function hasRollout(run) {
  return attentionColumns(run).filter((column) => ["pairwise", "alignment"].includes(column.kind)).length > 1;
}

function siteChoices(run) {
  const choices = Object.fromEntries(
    attentionColumns(run).map((column) => [column.title, `${columnName(column)} · ${column.kind}`]),
  );
  return hasRollout(run) ? { ...choices, [ROLLOUT]: "rollout · all layers" } : choices;
}

function chosenSite(run) {
  const titles = Object.keys(siteChoices(run));
  return titles.includes(state.site) ? state.site : titles[titles.length - 1];
}

// The same map in all recorded epochs; a click selects the epoch.
async function drawFilm(run, column, sample) {
  const snapshots = run.epochs.filter((snapshot) => snapshot.maps[column.index]);
  const now = nearestSnapshot(run, state.epoch, column);
  const frames = await Promise.all(
    snapshots.map(async (snapshot) => {
      const map = await loadMap(snapshot, column, sample);
      if (!map) return null;
      const label = `${columnName(column)}, ${epochName(snapshot.epoch)}`;
      const frame = overlaid(run, sample, map, valueRange(run, snapshot, column, map), label);
      const go = () => change({ epoch: snapshot.epoch });
      return el(
        "button",
        { type: "button", class: "film-frame", "aria-pressed": String(snapshot === now), onclick: go },
        frame,
        el("span", {}, epochName(snapshot.epoch)),
      );
    }),
  );
  return el("div", { class: "film" }, frames);
}

async function drawPositions(run, column, sample) {
  const snapshot = nearestSnapshot(run, state.epoch, column);
  const map = snapshot && (await loadMap(snapshot, column, sample));
  if (!map) return { figures: [el("p", { class: "muted" }, "Not logged.")] };
  const range = valueRange(run, snapshot, column, map);
  const large = overlaid(run, sample, map, range, `${columnName(column)}, this image`);
  const [size, ends] = [`${map.height} × ${map.width}`, `${formatValue(map.lo)} to ${formatValue(map.hi)}`];
  const figures = [panelFigure(inWords(snapshotName(snapshot), size, ends), large)];
  if (run.epochs.length > 1) figures.push(panelFigure("Through the epochs", await drawFilm(run, column, sample)));
  return { figures };
}

function headGrid(run, sample, maps, label) {
  const frames = maps.map((map, i) => {
    const name = maps.length > 1 ? `head ${i + 1}` : "all heads";
    const frame = overlaid(run, sample, map, finiteRange(map.values), `${label}, ${name}`);
    return el("figure", { class: "head-map" }, frame, el("figcaption", {}, name));
  });
  return el("div", { class: "head-grid" }, frames);
}

// A click or the arrow keys choose the position whose attention is shown.
function queryPicker(run, sample, all) {
  const query = Math.min(state.query ?? Math.floor(all.queries / 2 + all.width / 2), all.queries - 1);
  const grid = all.queries === all.height * all.width;
  const values = new Float32Array(all.height * all.width).fill(NaN);
  if (grid) values[query] = 1;
  const map = { values, height: all.height, width: all.width };
  const pick = (y, x) => change({ query: y * all.width + x });
  const frame = overlaid(run, sample, map, [0, 1], "Choose a position", grid ? pick : null);
  const mark = el("span", { class: "query-mark" });
  const [y, x] = [Math.floor(query / all.width), query % all.width];
  const [down, across] = [100 / all.height, 100 / all.width];
  Object.assign(mark.style, { left: `${x * across}%`, top: `${y * down}%`, width: `${across}%`, height: `${down}%` });
  if (grid) frame.append(mark);
  const step = el("input", {
    type: "range",
    min: 0,
    max: all.queries - 1,
    value: query,
    name: "query",
    "aria-label": "Position whose attention is shown",
    oninput: (event) => change({ query: Number(event.target.value) }),
  });
  return { query, element: el("div", { class: "query" }, frame, step) };
}

async function drawSelfAttention(run, title, sample) {
  const heads = await loadPanel(run, "heads", headCache);
  const pairs = await loadPanel(run, "pairwise", headCache);
  const figures = [];
  const all = heads?.found[title];
  if (all) {
    const words = `What each head attends to, ${epochName(heads.epoch)}`;
    figures.push(panelFigure(words, headGrid(run, sample, headMaps(all, sample), words)));
  }
  const pairwise = pairs?.found[title];
  if (pairwise && sample < pairwise.images) {
    const { query, element } = queryPicker(run, sample, pairwise);
    const words = `What position ${query} attends to, ${epochName(pairs.epoch)}`;
    const looks = headGrid(run, sample, queryMaps(pairwise, sample, query), words);
    looks.classList.add("looks");
    figures.unshift(panelFigure("Choose a position", element), panelFigure(words, looks));
  } else if (pairwise) {
    const words = `What positions attend to is recorded only for the first ${pairwise.images} images.`;
    figures.push(el("p", { class: "muted" }, words));
  }
  return { figures };
}

async function drawAttention(run, title, sample) {
  const column = run.columns.find((one) => one.title === title);
  const pairs = column && ["pairwise", "alignment"].includes(column.kind) && Object.keys(run.panels?.heads ?? {}).length;
  if (!column || pairs) {
    const drawn = await drawSelfAttention(run, title, sample);
    if (drawn.figures.length || !column) return drawn;
  }
  return column.bars ? drawGates(run, column, sample) : drawPositions(run, column, sample);
}

const ATTENTION_STATE = ["run", "epoch", "site", "sample", "query", "colours", "smooth", "opacity", "scale", "theme"];

export function makeAttention() {
  const body = el("div", { class: "attention-body" });
  const site = select("site", "Map", siteChoices);
  const tools = el("div", { class: "panel-tools" }, site, sampleStepper());
  const section = el("section", { "aria-labelledby": "attention" }, el("h2", { id: "attention" }, "Attention"), tools, body);
  let turn = 0;
  async function draw() {
    const run = currentRun();
    section.hidden = !attentionColumns(run).length || !run.probes.length;
    if (section.hidden) return;
    const now = ++turn;
    const title = chosenSite(run);
    site.querySelector("select").value = title;
    body.setAttribute("aria-busy", "true");
    const focused = document.activeElement?.name === "query";
    const drawn = await drawAttention(run, title, state.sample ?? 0).catch(() => null);
    if (now !== turn) return;
    body.removeAttribute("aria-busy");
    body.replaceChildren(...(drawn?.figures ?? [el("p", { class: "muted" }, "The maps could not be read.")]));
    drawn?.paint?.();
    if (focused) body.querySelector("input[name=query]")?.focus();
  }
  watch((values) => {
    if (ATTENTION_STATE.some((name) => name in values)) draw();
  });
  queueMicrotask(draw);
  return section;
}
