// Figures for papers: a panel as SVG on white and in light colours, whatever the page's theme, with real text. PNG and
// PDF are made of the same drawing, so that all of them show what the page shows.

import { pushButton } from "../core/controls.js";
import { el, svg } from "../core/dom.js";
import { download } from "../core/download.js";
import { nearestSnapshot } from "../core/epochs.js";
import { inWords, isolated, snapshotName } from "../core/format.js";
import { report } from "../core/report.js";
import { change, currentRun, state } from "../core/state.js";
import { drawOf } from "../drawing/serializing.js";
import { versusWords } from "./compare.js";
import { withResolution } from "./png.js";

const DPI = 300;
const INCH = 96; // CSS pixels
const MARGIN = 6;
const frame = () => new Promise((done) => requestAnimationFrame(done));

// Lays the section out at the width of a paper's page, in light colours, while `use` looks at it. `prepare` fills it
// first, and returns what takes that back.
function onPaper(section, use, prepare) {
  turn = turn.then(
    () => layOut(section, use, prepare),
    () => layOut(section, use, prepare),
  );
  return turn;
}

let turn = Promise.resolve(); // of the figures that were asked for: one after the other, since each changes the theme

async function layOut(section, use, prepare) {
  const { theme } = state;
  const scrolled = window.scrollY;
  change({ theme: "light" }); // canvases are painted in the theme's colours
  section.classList.add("on-paper");
  let tidy = null;
  try {
    await frame();
    await frame();
    tidy = await prepare?.();
    for (let tries = 0; tries < 100 && section.querySelector("[aria-busy=true]"); tries++)
      await new Promise((done) => setTimeout(done, 20));
    return use();
  } finally {
    tidy?.();
    section.classList.remove("on-paper");
    change({ theme });
    window.scrollTo(0, scrolled);
  }
}

const SCALES = {
  natural: "the natural scale of each kind of map",
  image: "each map has its own scale",
  column: "each column has its own scale",
  run: "each column has one scale for all epochs",
  global: "all columns have one scale",
  manual: "one scale with limits that were set",
};

// What is drawn and of which run; of what follows the chosen epoch, that too; of maps, what their colours mean.
function caption(section) {
  const run = currentRun();
  const { id, textContent } = section.querySelector("h2");
  const snapshot = ["maps", "attention"].includes(id) ? nearestSnapshot(run, state.epoch) : null;
  const of = id === "curves" ? report.runs.map((one) => isolated(one.name)) : [isolated(run.name)];
  const words = inWords(textContent, ...of, snapshot && !run.export ? snapshotName(snapshot) : "");
  if (id !== "maps") return words;
  const against = versusWords();
  const clipped = Number(state.clip) && state.scale !== "manual" ? `, clipped by ${state.clip} % at both ends` : "";
  return `${words}${against ? `, A ${against[0]}, B ${against[1]}, ${state.compare}` : ""}; ${SCALES[state.scale]}${clipped}`;
}

// The panel as an SVG element: its size in points, so that 7 inches of it are 7 inches on paper.
function figureOf(section, prepare) {
  const draw = () => {
    const edge = section.getBoundingClientRect();
    const words = svg("text", { fill: "#000", "font-size": 12, "font-family": getComputedStyle(section).fontFamily }, caption(section));
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
  };
  return onPaper(section, draw, prepare);
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

// Buttons that save a section's panel as a figure. `prepare`: see `onPaper`; `more`: {kind: text()} of other files.
export function makeFigureButtons(section, { prepare = null, more = {}, words = (kind) => kind } = {}) {
  const title = section.querySelector("h2");
  const name = (kind) => `${currentRun().name.replace(/[^\w.-]+/g, "_")}-${title.id}.${kind.toLowerCase()}`;
  const figure = () => figureOf(section, prepare);
  const makers = {
    SVG: async () => download(name("SVG"), new Blob([textOf(await figure())], { type: "image/svg+xml" })),
    PNG: async () => download(name("PNG"), await pngOf(await figure())),
    PDF: async () => printFigure(await figure()),
  };
  for (const [kind, text] of Object.entries(more))
    makers[kind] = () => download(name(kind), new Blob([text()], { type: `text/${kind.toLowerCase()}` }));
  return Object.entries(makers).map(([kind, make]) =>
    pushButton(words(kind), make, { class: "quiet", "aria-label": `${title.textContent} as ${kind}` }),
  );
}

// Puts them next to the section's title.
export function addFigureButtons(section, options) {
  const title = section.querySelector("h2");
  const buttons = el("span", { class: "figure-buttons" }, makeFigureButtons(section, options));
  const line = title.closest(".section-line") ?? el("div", { class: "section-line" });
  if (!line.contains(title)) {
    title.replaceWith(line);
    line.append(title);
  }
  title.after(buttons);
}
