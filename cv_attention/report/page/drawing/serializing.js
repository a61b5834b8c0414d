// Draws a part of the document as SVG elements: texts, pictures, canvases, drawings, colour bars, filled and framed boxes.

import { el, svg } from "../core/dom.js";
import { colourTable } from "./colours.js";

const OF_SHAPES = [
  "fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-opacity", "stroke-linecap",
  "stroke-linejoin", "opacity", "font-size", "font-family", "font-weight", "text-anchor",
]; // prettier-ignore
const STOPS = 32; // of a colour bar
let clips = 0;

const round = (value) => Number(value.toFixed(2));

function isSeen(colour) {
  const [, , , alpha] = colour.match(/[\d.]+/g) ?? [0, 0, 0, 0];
  return alpha === undefined || Number(alpha) > 0;
}

// A copy of a drawing whose looks do not depend on style sheets.
function copyOf(drawing) {
  const copy = drawing.cloneNode(true);
  const [before, after] = [drawing, copy].map((one) => [one, ...one.querySelectorAll("*")]);
  before.forEach((from, i) => {
    const style = getComputedStyle(from);
    for (const name of OF_SHAPES) after[i].setAttribute(name, style.getPropertyValue(name));
    if (style.display === "none" || style.visibility === "hidden") after[i].setAttribute("display", "none");
    for (const name of ["class", "style", "tabindex", "role"]) after[i].removeAttribute(name);
  });
  return copy;
}

const letters = new Intl.Segmenter(undefined, { granularity: "grapheme" });

// The lines of a text: [{text, rect}]. Where a line is of parts that run in both directions, its letters do not stand in
// the order of the text.
function linesOf(node) {
  const range = document.createRange();
  range.selectNodeContents(node);
  const rects = [...range.getClientRects()].filter((rect) => rect.width && rect.height);
  // a space at the beginning has its place, but SVG would leave it out
  const whole = node.textContent.replace(/\s+/g, " ").replace(/^ | $/g, "\u00a0");
  if (rects.length <= 1) return rects.map((rect) => ({ text: whole, rect }));
  const upright = getComputedStyle(node.parentElement).writingMode.startsWith("vertical");
  const lines = [];
  let marks = ""; // characters without a width: what turns directions belongs to the letters behind it
  for (const { segment, index } of letters.segment(node.textContent)) {
    range.setStart(node, index);
    range.setEnd(node, index + segment.length);
    const rect = range.getBoundingClientRect();
    const last = lines[lines.length - 1];
    const isNew = !last || Math.abs(upright ? last.rect.left - rect.left : last.rect.top - rect.top) > 2;
    if (!rect.width) marks += segment.trim();
    if (!rect.width || (isNew && !segment.trim())) continue;
    if (isNew) lines.push({ text: marks + segment, rect });
    else Object.assign(last, { text: last.text + marks + segment, rect: around(last.rect, rect) });
    marks = "";
  }
  return lines.map(({ text, rect }, i) => ({ text: text.trim() + (lines[i + 1] ? "" : marks), rect }));
}

// The smallest rectangle around two.
function around(one, other) {
  const [left, top] = [Math.min(one.left, other.left), Math.min(one.top, other.top)];
  return new DOMRect(left, top, Math.max(one.right, other.right) - left, Math.max(one.bottom, other.bottom) - top);
}

// A text that runs from right to left says so itself: not every program that opens a figure knows the attribute.
const directed = (text, { direction }) => (direction === "rtl" ? `\u2067${text}\u2069` : text);

function isTurned(element) {
  for (let one = element; one; one = one.parentElement) if (getComputedStyle(one).transform.startsWith("matrix(-1")) return true;
  return false;
}

let measuring = null;

// A line as far as there is room for it, where the page ends it with an ellipsis.
function shortened({ text, rect }, element, upright) {
  const cutter = [element, element.parentElement].find((one) => getComputedStyle(one).textOverflow === "ellipsis");
  const edge = cutter?.getBoundingClientRect() ?? rect;
  const [left, top] = [Math.max(rect.left, edge.left), Math.max(rect.top, edge.top)];
  const [right, bottom] = [Math.min(rect.right, edge.right), Math.min(rect.bottom, edge.bottom)];
  const [room, whole] = upright ? [bottom - top, rect.height] : [right - left, rect.width];
  if (whole <= room + 1) return [{ text, rect }];
  const kept = [...letters.segment(text)].map(({ segment }) => segment);
  while (kept.length && measuring.measureText(`${kept.join("")}…`).width > room) kept.pop();
  if (!kept.length) return [];
  const cut = `${kept.join("").trimEnd()}…`;
  const long = measuring.measureText(cut).width;
  const atEnd = (getComputedStyle(element).direction === "rtl") !== (upright && isTurned(element)); // where the text begins
  const [x, y] = upright ? [left, atEnd ? bottom - long : top] : [atEnd ? right - long : left, top];
  return [{ text: cut, rect: new DOMRect(x, y, upright ? right - left : long, upright ? long : bottom - top) }];
}

function drawText(node, origin) {
  const style = getComputedStyle(node.parentElement);
  const upright = style.writingMode.startsWith("vertical");
  measuring ??= el("canvas").getContext("2d");
  measuring.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
  const { fontBoundingBoxAscent: up, fontBoundingBoxDescent: down } = measuring.measureText("x");
  const look = { fill: style.color, "font-size": style.fontSize, "font-family": style.fontFamily, "font-weight": style.fontWeight };
  const lines = linesOf(node).flatMap((line) => shortened(line, node.parentElement, upright));
  return lines.map(({ text, rect }) => {
    const [left, top] = [rect.left - origin.left, rect.top - origin.top];
    // another font, where this one is missing, takes as much room
    const length = { textLength: round(upright ? rect.height : rect.width), lengthAdjust: "spacingAndGlyphs" };
    if (upright) {
      // read downwards, or upwards where a box around it is turned; the line runs through the middle of the letters
      const [middle, half] = [left + rect.width / 2, (up - down) / 2];
      const at = isTurned(node.parentElement) ? [middle + half, top + rect.height, -90] : [middle - half, top, 90];
      return svg("text", { ...look, ...length, transform: `translate(${round(at[0])} ${round(at[1])}) rotate(${at[2]})` }, directed(text, style));
    }
    const base = top + (rect.height - up - down) / 2 + up;
    return svg("text", { ...look, ...length, x: round(left), y: round(base) }, directed(text, style));
  });
}

function drawBox(element, style, { x, y, width, height }) {
  const drawn = [];
  const filled = isSeen(style.backgroundColor);
  const sides = ["Top", "Right", "Bottom", "Left"].map((side) => ({
    wide: style[`border${side}Style`] === "none" ? 0 : Number.parseFloat(style[`border${side}Width`]),
    colour: style[`border${side}Color`],
    dashed: /dashed|dotted/.test(style[`border${side}Style`]),
  }));
  if (filled) drawn.push(svg("rect", { x, y, width, height, rx: Number.parseFloat(style.borderRadius) || 0, fill: style.backgroundColor }));
  const half = sides.map(({ wide }) => wide / 2); // borders lie inside of the box
  const [left, right, top, bottom] = [x + half[3], x + width - half[1], y + half[0], y + height - half[2]];
  const ends = [[x, top, x + width, top], [right, y, right, y + height], [x, bottom, x + width, bottom], [left, y, left, y + height]];
  sides.forEach(({ wide, colour, dashed }, i) => {
    if (!wide || !isSeen(colour)) return;
    const [x1, y1, x2, y2] = ends[i].map(round);
    drawn.push(svg("line", { x1, y1, x2, y2, stroke: colour, "stroke-width": wide, "stroke-dasharray": dashed ? 3 : null }));
  });
  const around = (wide, offset, stroke) => {
    const by = offset + wide / 2;
    const box = { x: round(x - by), y: round(y - by), width: round(width + 2 * by), height: round(height + 2 * by) };
    if (box.width > 0 && box.height > 0) drawn.push(svg("rect", { ...box, fill: "none", stroke, "stroke-width": wide }));
  };
  for (const [, colour, spread, inset] of style.boxShadow.matchAll(/(rgba?\([^)]*\)) 0px 0px 0px ([\d.]+)px( inset)?/g))
    around(Number(spread), inset ? -Number(spread) : 0, colour);
  const outline = style.outlineStyle === "none" ? 0 : Number.parseFloat(style.outlineWidth);
  if (outline) around(outline, Number.parseFloat(style.outlineOffset) || 0, style.outlineColor);
  return drawn;
}

// What a style sheet puts before or after the content of an element, where it has a place of its own.
function drawGenerated(element, which, edge, origin) {
  const style = getComputedStyle(element, which);
  const [width, height] = [style.width, style.height].map(Number.parseFloat);
  if (["none", "normal"].includes(style.content) || style.position !== "absolute" || !(width > 0 && height > 0)) return [];
  const own = getComputedStyle(element);
  const at = (side, from) =>
    from + [style[side.toLowerCase()], style[`margin${side}`], own[`border${side}Width`]].reduce((sum, one) => sum + (Number.parseFloat(one) || 0), 0);
  const place = { x: round(at("Left", edge.left - origin.left)), y: round(at("Top", edge.top - origin.top)), width: round(width), height: round(height) };
  const drawn = drawBox(element, style, place);
  const text = style.content.replace(/^"|"$/g, "");
  const look = { fill: style.color, "font-size": style.fontSize, "font-family": style.fontFamily, "text-anchor": "middle" };
  const middle = { x: round(place.x + width / 2), y: round(place.y + height / 2 + 0.36 * Number.parseFloat(style.fontSize)) };
  if (text) drawn.push(svg("text", { ...look, ...middle }, text));
  return drawn;
}

// The part of an element that a style sheet lets through, or all of it.
function clippedBy(style, place, drawn) {
  const [, inset] = style.clipPath.match(/^inset\(([^)]*)\)$/) ?? [];
  if (!inset || !drawn.length) return drawn;
  const sides = inset.split(" ").filter(Boolean);
  const [top, right, bottom, left] = [0, 1, 2, 3].map((i) => {
    const side = sides[i] ?? sides[i - 2] ?? sides[0];
    return (Number.parseFloat(side) / (side.endsWith("%") ? 100 : 1)) * (side.endsWith("%") ? place[i % 2 ? "width" : "height"] : 1);
  });
  const [width, height] = [place.width - left - right, place.height - top - bottom].map((one) => round(Math.max(0, one)));
  return clippedTo({ x: round(place.x + left), y: round(place.y + top), width, height }, drawn);
}

function clippedTo(place, drawn) {
  const id = `clip-${++clips}`;
  return [svg("clipPath", { id }, svg("rect", place)), svg("g", { "clip-path": `url(#${id})` }, drawn)];
}

function drawColourBar(table, place) {
  const colours = colourTable(table);
  const id = `bar-${++clips}`;
  const stops = Array.from({ length: STOPS }, (_, i) => {
    const at = 3 * Math.round((255 * i) / (STOPS - 1));
    return svg("stop", { offset: round(i / (STOPS - 1)), "stop-color": `rgb(${colours.slice(at, at + 3).join(",")})` });
  });
  return [svg("linearGradient", { id }, stops), svg("rect", { ...place, fill: `url(#${id})` })];
}

function drawElement(element, origin) {
  const style = getComputedStyle(element);
  const edge = element.getBoundingClientRect();
  if (style.display === "none") return [];
  const place = { x: round(edge.left - origin.left), y: round(edge.top - origin.top), width: round(edge.width), height: round(edge.height) };
  const seen = style.visibility !== "hidden" && edge.width > 0;
  let drawn = seen ? drawBox(element, style, place) : [];
  if (seen && element.dataset.table) drawn.push(...drawColourBar(element.dataset.table, place));
  if (element.matches("svg")) {
    const copy = copyOf(element);
    for (const [name, value] of Object.entries(place)) copy.setAttribute(name, value);
    drawn.push(copy);
  } else if (seen && element.matches("canvas, img")) {
    const href = element.matches("img") ? element.src : element.width && element.height ? element.toDataURL() : "";
    const pixelated = style.imageRendering === "pixelated" ? "pixelated" : null;
    if (href) drawn.push(svg("image", { ...place, href, preserveAspectRatio: "none", "image-rendering": pixelated }));
    drawn = clippedBy(style, place, drawn);
  } else {
    const before = seen ? drawGenerated(element, "::before", edge, origin) : [];
    const above = Number(getComputedStyle(element, "::before").zIndex) > 0;
    if (!above) drawn.push(...before);
    for (const child of element.childNodes) {
      if (child.nodeType === Node.TEXT_NODE && seen && child.textContent.trim()) drawn.push(...drawText(child, origin));
      else if (child.nodeType === Node.ELEMENT_NODE) drawn.push(...drawElement(child, origin));
    }
    if (seen) drawn.push(...drawGenerated(element, "::after", edge, origin));
    if (above) drawn.push(...before);
    if (drawn.length && style.overflowX !== "visible") drawn = clippedTo(place, drawn);
  }
  return style.opacity === "1" || !drawn.length ? drawn : [svg("g", { opacity: style.opacity }, drawn)];
}

// What an element shows, relative to `origin` in the window: {elements, bottom}.
export function drawOf(element, origin) {
  const elements = [...element.children].flatMap((child) => drawElement(child, origin));
  const bottoms = [...element.querySelectorAll("*")].filter((one) => (one instanceof HTMLElement ? one.offsetParent : one.matches("svg")));
  const bottom = bottoms.reduce((most, one) => Math.max(most, one.getBoundingClientRect().bottom), 0) - origin.top;
  return { elements, bottom };
}
