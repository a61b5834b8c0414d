// Test episodes of a network with a memory: images, answers, and where each step read and wrote.

import { labelled } from "../core/controls.js";
import { el } from "../core/dom.js";
import { aNumber } from "../core/fields.js";
import { formatPercent, formatValue } from "../core/format.js";
import { plainCache } from "../core/shards.js";
import { addField, change, currentRun, state, watch } from "../core/state.js";
import { colourTable } from "../drawing/colours.js";
import { paintHeatmap } from "../drawing/heatmap.js";
import { hideReadout, showReadout } from "../drawing/readout.js";
import { colourBar } from "./figure.js";

addField("episode", aNumber(0, 0, 1e6));

const WORDS = {
  classify: "Each image is named before its label is shown; labels stand for other classes in every episode.",
  copy: "The images are named in order after their end.",
  associate: "Pairs of images, one of the first ones again, and then its partner is named.",
};

// One step: its image if it has one, and the name that was given, with the right one where it is another.
function stepOf({ url, answer, given }, number) {
  const asked = answer >= 0;
  const right = given === answer;
  const words = !asked ? "" : right ? String(given) : `${given}, not ${answer}`;
  const picture = url ? el("img", { src: url, alt: `Image of step ${number + 1}` }) : el("span", { class: "memory-blank" });
  return el("li", { class: !asked ? "memory-step" : right ? "memory-step right" : "memory-step wrong" }, picture, el("span", {}, words));
}

// Slots as rows, steps as columns, below the images.
function weightsOf(rows, name) {
  const [height, width] = [rows.length, rows[0].length];
  const values = new Float32Array(rows.flat()).map((value) => value / 1000);
  const label = `${name} weights: ${height} slots × ${width} steps`;
  const canvas = el("canvas", { class: "memory-weights", role: "img", "aria-label": label });
  canvas.style.height = `${Math.max(24, Math.min(256, 6 * height))}px`;
  const plain = { smooth: false, threshold: 0, contour: false, signed: false };
  const range = [0, values.reduce((most, value) => Math.max(most, value), 0) || 1];
  paintHeatmap(canvas, { values, height, width }, range, colourTable(state.colours), plain);
  canvas.addEventListener("pointermove", (event) => {
    const edge = canvas.getBoundingClientRect();
    const cell = (share, count) => Math.min(count - 1, Math.max(0, Math.floor(share * count)));
    const step = cell((event.clientX - edge.left) / edge.width, width);
    const slot = cell((event.clientY - edge.top) / edge.height, height);
    showReadout(event, `step ${step + 1}, slot ${slot + 1}: ${formatValue(values[slot * width + step])}`);
  });
  canvas.addEventListener("pointerleave", hideReadout);
  return el("figure", { class: "memory-figure" }, el("figcaption", { class: "muted" }, label), canvas, colourBar({ range, table: state.colours, signed: false }));
}

function instancesOf(instances) {
  if (!instances.length) return null;
  const rows = instances.map(({ nth, right, count }) =>
    el("tr", {}, el("th", { scope: "row" }, String(nth)), el("td", { class: "number" }, formatPercent(right / count, 1)), el("td", { class: "number" }, String(count))),
  );
  const head = ["image of its class", "right", "answers"].map((words) => el("th", { scope: "col" }, words));
  return el("table", { class: "memory-instances" }, el("caption", {}, "Whole test split"), el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows));
}

export function makeMemory() {
  const body = el("div", { class: "memory-body" });
  const chosen = el("select", { name: "episode", onchange: () => change({ episode: Number(chosen.value) }) });
  const title = el("h2", { id: "memory" }, "Memory");
  const section = el("section", { "aria-labelledby": "memory" }, title, el("div", { class: "panel-tools" }, labelled("Episode", chosen)), body);
  let turn = 0;
  async function draw() {
    const run = currentRun();
    const now = ++turn;
    const hash = run.panels?.memory;
    section.hidden = !hash;
    const found = hash ? await plainCache.get(`${run.folder}/memory`, hash, 1e6).catch(() => null) : null;
    if (now !== turn || !found?.episodes.length) return;
    const index = Math.min(state.episode, found.episodes.length - 1);
    const episode = found.episodes[index];
    chosen.replaceChildren(...found.episodes.map((one, i) => el("option", { value: i }, `test episode ${one.index}`)));
    chosen.value = String(index);
    const steps = el("ol", { class: "memory-steps" }, episode.steps.map(stepOf));
    const maps = ["read", "write"].filter((name) => episode[name]?.length).map((name) => weightsOf(episode[name], name === "read" ? "Read" : "Write"));
    for (const part of [steps, ...maps]) part.style.setProperty("--steps", String(episode.steps.length));
    const note = maps.length ? "Weights are means over the heads." : "This network has no external memory.";
    const words = el("p", { class: "muted hint" }, `${WORDS[found.kind] ?? ""} ${note}`);
    const scroll = el("div", { class: "memory-scroll", tabindex: "0" }, steps, maps);
    body.replaceChildren(words, scroll, ...[instancesOf(found.instances)].filter(Boolean));
  }
  watch((values) => {
    if ("run" in values || "episode" in values || "colours" in values) draw();
  });
  draw();
  return section;
}
