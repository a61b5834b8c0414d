// The attention panel: one block's map of one image in full: gates, positions through the epochs, heads, and
// what each position attends to.

import { select } from "../core/controls.js";
import { el } from "../core/dom.js";
import { nearestSnapshot } from "../core/epochs.js";
import { columnName, epochName, formatEnds, inWords, snapshotName } from "../core/format.js";
import { change, currentRun, state, watch } from "../core/state.js";
import { layerOf } from "../drawing/layers.js";
import { isNearlyConstant } from "../drawing/scales.js";
import { linkZoom } from "../drawing/zoom.js";
import { loadMap } from "../samples/maps.js";
import { colourBar, overlaid, panelFigure } from "./figure.js";
import { drawGates } from "./gates.js";
import { drawLayersAndHeads, drawSelfAttention } from "./heads.js";
import { sampleStepper } from "./stepper.js";

const ROLLOUT = "rollout";
const MATRIX = "layers-heads";

function attentionColumns(run) {
  return run.columns.filter((column) => column.source === "attention");
}

function isPairwise(column) {
  return ["pairwise", "alignment"].includes(column.kind);
}

function siteChoices(run) {
  const choices = attentionColumns(run).map((column) => [column.title, `${columnName(column)} · ${column.kind}`]);
  const pairwise = attentionColumns(run).filter(isPairwise).length;
  if (pairwise > 1) choices.push([ROLLOUT, "rollout · all layers"]);
  if (pairwise && Object.keys(run.panels?.heads ?? {}).length) choices.push([MATRIX, "all layers × heads"]);
  return choices;
}

function chosenSite(run) {
  const titles = siteChoices(run).map(([title]) => title);
  if (titles.includes(state.site)) return state.site;
  return titles.includes(ROLLOUT) ? ROLLOUT : attentionColumns(run).at(-1)?.title;
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
      const layer = layerOf(run, snapshot, column, map);
      const frame = overlaid(run, sample, layer, label);
      const go = () => change({ epoch: snapshot.epoch });
      return el(
        "button",
        { type: "button", class: "film-frame", "aria-pressed": String(snapshot === now), onclick: go },
        frame,
        el("span", {}, epochName(snapshot.epoch)),
        colourBar(layer),
      );
    }),
  );
  return el("div", { class: "film" }, frames);
}

async function drawPositions(run, column, sample) {
  const snapshot = nearestSnapshot(run, state.epoch, column);
  const map = snapshot && (await loadMap(snapshot, column, sample));
  if (!map) return { figures: [el("p", { class: "muted" }, "Not logged.")] };
  const layer = layerOf(run, snapshot, column, map);
  const large = overlaid(run, sample, layer, `${columnName(column)}, this image`);
  const [size, ends] = [`${map.height} × ${map.width}`, formatEnds(map.lo, map.hi).join(" to ")];
  const flat = isNearlyConstant(run, column, map) ? "nearly constant" : "";
  const figures = [panelFigure(inWords(snapshotName(snapshot), size, ends, flat), large, colourBar(layer))];
  if (run.epochs.length > 1) figures.push(panelFigure("Through the epochs", await drawFilm(run, column, sample)));
  return { figures };
}

async function drawAttention(run, title, sample) {
  if (title === MATRIX) {
    const titles = attentionColumns(run).filter(isPairwise).map((column) => column.title);
    return drawLayersAndHeads(run, titles, (one) => columnName({ title: one }), sample);
  }
  const column = run.columns.find((one) => one.title === title);
  const pairs = column && isPairwise(column) && Object.keys(run.panels?.heads ?? {}).length;
  if (!column || pairs) {
    const drawn = await drawSelfAttention(run, title, sample);
    if (drawn.figures.length || !column) return drawn;
  }
  return column.bars ? drawGates(run, column, sample) : drawPositions(run, column, sample);
}

const DRAWN_BY = ["colours", "signed", "smooth", "opacity", "scale", "clip", "low", "high", "threshold", "contour"];
const ATTENTION_STATE = ["run", "epoch", "site", "sample", "query", "theme", ...DRAWN_BY];

export function makeAttention() {
  const body = el("div", { class: "attention-body" });
  const site = select("site", "Map", siteChoices);
  const tools = el("div", { class: "panel-tools" }, site, sampleStepper());
  const section = el("section", { "aria-labelledby": "attention" }, el("h2", { id: "attention" }, "Attention"), tools, body);
  linkZoom(body);
  let turn = 0;
  async function draw() {
    const run = currentRun();
    section.hidden = !attentionColumns(run).length || !run.probes.length;
    if (section.hidden) return;
    const now = ++turn;
    const title = chosenSite(run);
    site.querySelector("select").value = title;
    body.setAttribute("aria-busy", "true");
    const focused = body.contains(document.activeElement) ? document.activeElement.name : "";
    const drawn = await drawAttention(run, title, state.sample ?? 0).catch(() => null);
    if (now !== turn) return;
    body.removeAttribute("aria-busy");
    body.replaceChildren(...(drawn?.figures ?? [el("p", { class: "muted" }, "The maps could not be read.")]));
    drawn?.paint?.();
    if (focused) body.querySelector(`input[name="${CSS.escape(focused)}"]`)?.focus();
  }
  watch((values) => {
    if (ATTENTION_STATE.some((name) => name in values)) draw();
  });
  queueMicrotask(draw);
  return section;
}
