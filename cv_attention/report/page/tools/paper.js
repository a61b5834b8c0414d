// Figures for papers: a panel as SVG on white and in light colours, whatever the page's theme, with real text. PNG and
// PDF are made of the same drawing, so that all of them show what the page shows.

import { pushButton } from "../core/controls.js";
import { el, svg } from "../core/dom.js";
import { download } from "../core/download.js";
import { nearestSnapshot } from "../core/epochs.js";
import { inWords, snapshotName } from "../core/format.js";
import { report } from "../core/report.js";
import { currentRun, state } from "../core/state.js";
import { drawOf } from "../drawing/serializing.js";

const DPI = 300;
const INCH = 96; // CSS pixels
const MARGIN = 6;
const frame = () => new Promise((done) => requestAnimationFrame(done));

// Lays the section out at the width of a paper's page, in light colours, while `use` looks at it.
function onPaper(section, use) {
  turn = turn.then(
    () => layOut(section, use),
    () => layOut(section, use),
  );
  return turn;
}

let turn = Promise.resolve(); // of the figures that were asked for: one after the other, since each changes the theme

async function layOut(section, use) {
  const root = document.documentElement;
  const theme = root.getAttribute("data-theme");
  const scrolled = window.scrollY;
  root.setAttribute("data-theme", "light");
  section.classList.add("on-paper");
  try {
    await frame();
    await frame();
    for (let tries = 0; tries < 100 && section.querySelector("[aria-busy=true]"); tries++)
      await new Promise((done) => setTimeout(done, 20));
    return use();
  } finally {
    section.classList.remove("on-paper");
    if (theme === null) root.removeAttribute("data-theme");
    else root.setAttribute("data-theme", theme);
    window.scrollTo(0, scrolled);
  }
}

// What is drawn and of which run; of attention, whose figures follow the chosen epoch, that too.
function caption(section) {
  const run = currentRun();
  const { id, textContent } = section.querySelector("h2");
  const snapshot = id === "attention" ? nearestSnapshot(run, state.epoch) : null;
  const of = id === "curves" ? report.runs.map((one) => one.name) : [run.name];
  return inWords(textContent, ...of, snapshot ? snapshotName(snapshot) : "");
}

// The panel as an SVG element: its size in points, so that 7 inches of it are 7 inches on paper.
function figureOf(section) {
  return onPaper(section, () => {
    const edge = section.getBoundingClientRect();
    const words = svg("text", { fill: "#000", "font-size": 12, "font-family": "sans-serif" }, caption(section));
    const drawn = drawOf(section, { left: edge.left - MARGIN, top: edge.top - MARGIN });
    const [width, height] = [edge.width + 2 * MARGIN, Math.ceil(drawn.bottom) + 24];
    words.setAttribute("x", MARGIN);
    words.setAttribute("y", height - 8);
    return svg(
      "svg",
      {
        xmlns: "http://www.w3.org/2000/svg",
        viewBox: `0 0 ${width} ${height}`,
        width: `${(width * 72) / INCH}pt`,
        height: `${(height * 72) / INCH}pt`,
      },
      svg("title", {}, caption(section)),
      svg("rect", { width, height, fill: "#fff" }),
      drawn.elements,
      words,
    );
  });
}

function textOf(figure) {
  return new XMLSerializer().serializeToString(figure);
}

function sizeOf(figure) {
  return figure.getAttribute("viewBox").split(" ").slice(2).map(Number);
}

async function pngOf(figure) {
  const picture = new Image();
  picture.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(textOf(figure))}`;
  await picture.decode();
  const [width, height] = sizeOf(figure).map((side) => Math.round((side * DPI) / INCH));
  const canvas = el("canvas", { width, height });
  canvas.getContext("2d").drawImage(picture, 0, 0, width, height);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  return new Blob([withResolution(new Uint8Array(await blob.arrayBuffer()), DPI)], { type: "image/png" });
}

const HEADER = 33; // bytes of a PNG's signature and its first chunk

function crc(bytes) {
  let value = ~0;
  for (const byte of bytes) {
    value ^= byte;
    for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0);
  }
  return ~value >>> 0;
}

// A PNG that says how many pixels make an inch.
export function withResolution(png, dpi) {
  const chunk = new Uint8Array(21);
  const view = new DataView(chunk.buffer);
  const perMetre = Math.round(dpi / 0.0254);
  view.setUint32(0, 9);
  chunk.set(new TextEncoder().encode("pHYs"), 4);
  view.setUint32(8, perMetre);
  view.setUint32(12, perMetre);
  chunk[16] = 1;
  view.setUint32(17, crc(chunk.subarray(4, 17)));
  const whole = new Uint8Array(png.length + chunk.length);
  whole.set(png.subarray(0, HEADER));
  whole.set(chunk, HEADER);
  whole.set(png.subarray(HEADER), HEADER + chunk.length);
  return whole;
}

// Opens the print dialog on a page of the figure's size; browsers save it as PDF, with its fonts.
function printFigure(figure) {
  const [width, height] = sizeOf(figure);
  const page = new CSSStyleSheet();
  page.replaceSync(`@page { size: ${width}px ${height}px; margin: 0; }`);
  const place = el("div", { class: "paper-figure" }, figure);
  const tidy = () => {
    place.remove();
    document.documentElement.classList.remove("printing-figure");
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((one) => one !== page);
  };
  document.body.append(place);
  document.documentElement.classList.add("printing-figure");
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, page];
  window.addEventListener("afterprint", tidy, { once: true });
  window.print();
}

// Adds buttons that save a section's panel as a figure next to its title.
export function addFigureButtons(section) {
  const title = section.querySelector("h2");
  const name = () => `${currentRun().name.replace(/[^\w.-]+/g, "_")}-${title.id}`;
  const makers = {
    SVG: async () => download(`${name()}.svg`, new Blob([textOf(await figureOf(section))], { type: "image/svg+xml" })),
    PNG: async () => download(`${name()}.png`, await pngOf(await figureOf(section))),
    PDF: async () => printFigure(await figureOf(section)),
  };
  const buttons = Object.entries(makers).map(([kind, make]) =>
    pushButton(kind, make, { class: "quiet", "aria-label": `${title.textContent} as ${kind}` }),
  );
  const line = el("div", { class: "section-line" });
  title.replaceWith(line);
  line.append(title, el("span", { class: "figure-buttons" }, buttons));
}
