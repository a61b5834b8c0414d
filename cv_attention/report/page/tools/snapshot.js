// Exports the visible rows as a picture: redraws them on one canvas at twice the size.

import { pushButton } from "../core/controls.js";
import { el } from "../core/dom.js";
import { download } from "../core/download.js";
import { nearestSnapshot } from "../core/epochs.js";
import { snapshotName } from "../core/format.js";
import { change, currentRun, state, watch } from "../core/state.js";
import { colourTable } from "../drawing/colours.js";
import { versusWords } from "./compare.js";
import { selectionAsCsv } from "./csv.js";

const PICTURE_SCALE = 2;
const PICTURE_MARGIN = 16;

function drawText(context, element, origin) {
  const edge = element.getBoundingClientRect();
  const text = element.innerText?.trim();
  if (!text || !edge.width || !edge.height) return;
  const style = getComputedStyle(element);
  context.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
  context.fillStyle = style.color;
  context.textBaseline = "middle";
  const lines = text.split("\n");
  const height = edge.height / lines.length;
  lines.forEach((line, i) => {
    context.fillText(line, edge.left - origin.x, edge.top - origin.y + (i + 0.5) * height, edge.width + 2);
  });
}

// Image, maps and box of a frame, overlaid as on the page and clipped to the frame.
function drawFrame(context, frame, origin) {
  const edge = frame.getBoundingClientRect();
  context.save();
  context.beginPath();
  context.rect(edge.left - origin.x, edge.top - origin.y, edge.width, edge.height);
  context.clip();
  for (const layer of frame.querySelectorAll("img, canvas, .true-box")) {
    const at = layer.getBoundingClientRect();
    const style = getComputedStyle(layer);
    if (layer.hidden || style.display === "none" || style.visibility === "hidden" || !at.width) continue;
    const place = [at.left - origin.x, at.top - origin.y, at.width, at.height];
    context.save();
    context.globalAlpha = Number(style.opacity);
    context.imageSmoothingEnabled = style.imageRendering !== "pixelated";
    if (layer.matches(".true-box")) {
      context.strokeStyle = "#fff";
      context.lineWidth = 1.5;
      context.strokeRect(...place);
    } else if (layer.matches("img") ? layer.complete && layer.naturalWidth : true) {
      clipSwipe(context, layer, edge, origin);
      context.drawImage(layer, ...place);
    }
    context.restore();
  }
  context.restore();
}

function clipSwipe(context, layer, edge, origin) {
  if (!layer.closest(".swiping") || !layer.matches(".map")) return;
  const cut = edge.left - origin.x + state.split * edge.width;
  context.beginPath();
  if (layer.matches(".b")) context.rect(cut, edge.top - origin.y, edge.right - origin.x - cut, edge.height);
  else if (layer.nextElementSibling?.hidden === false)
    context.rect(edge.left - origin.x, edge.top - origin.y, cut - edge.left + origin.x, edge.height);
  else return;
  context.clip();
}

function drawBar(context, bar, origin) {
  const edge = bar.getBoundingClientRect();
  const table = bar.dataset.table;
  if (!table || !edge.width) return;
  const colours = colourTable(table);
  for (let x = 0; x < edge.width; x++) {
    const i = 3 * Math.round((255 * x) / Math.max(1, edge.width - 1));
    context.fillStyle = `rgb(${colours[i]} ${colours[i + 1]} ${colours[i + 2]})`;
    context.fillRect(edge.left - origin.x + x, edge.top - origin.y, 1, edge.height);
  }
}

const PICTURE_TEXTS =
  ".head-name, .head .kind, .about h3, .verdict > span, .sample-line .number, .file, .flags, .p-name, .top-classes .number, .scale > span:not(.bar)";

// A canvas with the currently visible rows.
function pictureOfView(grid, heads, rows) {
  const upper = heads.getBoundingClientRect();
  const seen = rows.filter((row) => {
    const edge = row.element.getBoundingClientRect();
    return (
      row.element.isConnected &&
      !row.element.hidden &&
      edge.bottom > upper.bottom + 20 &&
      edge.top < window.innerHeight
    );
  });
  const edges = seen.map((row) => row.element.getBoundingClientRect());
  const frame = grid.getBoundingClientRect();
  const bottom = Math.max(upper.bottom + 40, ...edges.map((edge) => edge.bottom));
  const top = Math.min(...edges.map((edge) => edge.top), bottom);
  const title = 34;
  const head = upper.height;
  const canvas = el("canvas", {
    width: Math.ceil(PICTURE_SCALE * (frame.width + 2 * PICTURE_MARGIN)),
    height: Math.ceil(PICTURE_SCALE * (bottom - top + head + title + PICTURE_MARGIN)),
  });
  const context = canvas.getContext("2d");
  context.scale(PICTURE_SCALE, PICTURE_SCALE);
  const style = getComputedStyle(document.body);
  context.fillStyle = style.backgroundColor;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = style.color;
  context.font = `600 15px ${style.fontFamily}`;
  context.fillText(viewTitle(), PICTURE_MARGIN, 24);
  for (const text of heads.querySelectorAll(PICTURE_TEXTS))
    drawText(context, text, { x: frame.left - PICTURE_MARGIN, y: upper.top - title });
  const origin = { x: frame.left - PICTURE_MARGIN, y: top - title - head };
  for (const { element } of seen) {
    for (const one of element.querySelectorAll(".frame")) drawFrame(context, one, origin);
    for (const one of element.querySelectorAll(".bar")) drawBar(context, one, origin);
    for (const one of element.querySelectorAll(PICTURE_TEXTS)) drawText(context, one, origin);
  }
  return canvas;
}

function viewTitle() {
  const run = currentRun();
  const snapshot = nearestSnapshot(run, state.epoch);
  const words = versusWords();
  const against = words ? `A ${words[0]}, B ${words[1]}, ${state.compare}` : "";
  return [run.name, snapshot ? snapshotName(snapshot) : "", against].filter(Boolean).join(" · ");
}

// Prints the page with the selected samples, or the first ones, whose maps are loaded before.
async function printPage(grid) {
  const tidy = await grid.spread();
  window.addEventListener("afterprint", tidy, { once: true });
  window.print();
}

export function makeExport(grid, heads) {
  const name = () => {
    const run = currentRun();
    return run.name.replace(/[^\w.-]+/g, "_") + (run.export ? "" : `-epoch-${state.epoch + 1}`);
  };
  const picture = () => {
    const canvas = pictureOfView(grid.frame, heads, grid.rows());
    canvas.toBlob((blob) => download(`${name()}.png`, blob), "image/png");
  };
  const table = async () => {
    const text = await selectionAsCsv(state.selected.length ? state.selected : grid.listed());
    download(`${name()}.csv`, new Blob([text], { type: "text/csv" }));
  };
  const status = el("span", { class: "muted" });
  const show = () => {
    const count = state.selected.length;
    status.textContent = count ? `${count} selected` : "nothing selected: the table contains all listed samples";
  };
  watch(show);
  show();
  return el(
    "div",
    { class: "controls" },
    pushButton("View as PNG", picture),
    pushButton("Print", () => printPage(grid)),
    pushButton("Samples as CSV", table),
    pushButton("Select all listed", () => change({ selected: [...grid.listed()] })),
    pushButton("Select none", () => change({ selected: [] })),
    status,
  );
}
