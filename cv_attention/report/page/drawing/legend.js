// The colour bar of a map, with the values at its ends.

import { el } from "../core/dom.js";
import { formatEnds, formatValue } from "../core/format.js";
import { gradient } from "./colours.js";
import { uniformOf } from "./scales.js";

// {element, tell(layer), clear()}; a layer is {map, range, table, signed, uniform}; `mark` is a letter before the bar.
export function makeColourBar(mark = null) {
  const [left, right] = [el("span"), el("span")];
  const bar = el("span", { class: "bar" });
  const element = el("span", { class: "scale" }, mark && el("span", { class: "scale-mark" }, mark), left, bar, right);
  function tell({ range, table, signed, uniform = null }) {
    bar.style.backgroundImage = gradient(table);
    bar.dataset.table = table;
    bar.classList.toggle("signed", signed);
    [left.textContent, right.textContent] = formatEnds(range?.[0], range?.[1]);
    const at = uniform && range && range[1] > range[0] ? (uniform - range[0]) / (range[1] - range[0]) : -1;
    bar.classList.toggle("with-uniform", at >= 0 && at <= 1);
    bar.style.setProperty("--uniform", `${100 * at}%`);
    element.title = uniform ? `The mark is the uniform weight, ${formatValue(uniform)}` : "";
  }
  const clear = () => (left.textContent = right.textContent = "");
  return { element, tell, clear };
}

// The same for channel gates, which are bars: their extremes, and how many there are.
export function makeGateBar(mark = null) {
  const [most, count, least] = [el("span"), el("span", { class: "channels" }), el("span")];
  const element = el("span", { class: "scale" }, mark && el("span", { class: "scale-mark" }, mark), most, count, least);
  function tell({ map, range }) {
    const ends = formatEnds(map.lo, map.hi);
    [least.textContent, most.textContent] = ends;
    count.textContent = `${map.width} ch`;
    const [low, high] = range ? formatEnds(Math.min(0, range[0]), range[1]) : ["–", "–"];
    element.title = `${map.width} channels from ${ends[1]} to ${ends[0]}; the bars are drawn from ${low} to ${high}`;
  }
  const clear = () => [most, count, least].forEach((part) => (part.textContent = ""));
  return { element, tell, clear };
}

// "0.0054, 1.4 × uniform"
export function weightWords(value, map) {
  const uniform = uniformOf(map);
  return uniform > 0 ? `${formatValue(value)}, ${Number((value / uniform).toPrecision(2))} × uniform` : formatValue(value);
}
