// Lets the reader choose what maps are compared with, and what stands next to them, and labels A and B.

import { pushButton, rangeControl, select } from "../core/controls.js";
import { el } from "../core/dom.js";
import { nearestSnapshot } from "../core/epochs.js";
import { columnName, epochName, formatPercent, isolated } from "../core/format.js";
import { report } from "../core/report.js";
import { change, currentRun, state, watch } from "../core/state.js";
import { neighboursOf } from "../samples/adjacent.js";
import { versus } from "../samples/comparison.js";

const BLINK_MS = 600;

function compareOptions(run) {
  const epochs = Object.fromEntries(run.epochs.map(({ epoch }) => [`epoch:${epoch}`, epochName(epoch)]));
  const columns = run.columns.filter((column) => !column.bars);
  const named = Object.fromEntries(columns.map((column) => [`column:${column.index}`, columnName(column)]));
  const others = report.runs.map((other, i) => [`run:${i}`, other.name]).filter((_, i) => i !== state.run);
  return {
    "": "nothing",
    ...(run.epochs.length > 1 ? { "another epoch": epochs } : {}),
    ...(columns.length > 1 ? { "another column": named } : {}),
    ...(others.length ? { "another run": Object.fromEntries(others) } : {}),
  };
}

export function versusWords() {
  const chosen = versus();
  const run = currentRun();
  if (!chosen) return null;
  if (chosen.kind === "column") {
    const column = run.columns[chosen.number];
    return column ? ["each column", columnName(column)] : null;
  }
  if (chosen.kind === "run")
    return report.runs[chosen.number] ? [isolated(run.name), isolated(report.runs[chosen.number].name)] : null;
  return [epochName(nearestSnapshot(run, state.epoch)?.epoch ?? state.epoch), epochName(chosen.number)];
}

// Check marks for what stands next to the columns of the chosen run: other runs with their predictions, other epochs.
function makeNeighbours() {
  const place = el("div", { class: "neighbours" });
  const toggle = (whose, wanted) =>
    change({ adjacent: wanted ? [...state.adjacent, whose] : state.adjacent.filter((one) => one !== whose) });
  const chip = (whose, name, chosen) => {
    const box = el("input", {
      type: "checkbox",
      checked: chosen.has(whose),
      "data-whose": whose,
      onchange: (event) => toggle(whose, event.target.checked),
    });
    return el("label", { class: "chip" }, box, el("bdi", {}, name));
  };
  const group = (title, chips) => chips.length > 0 && el("fieldset", {}, el("legend", {}, title), chips);
  const draw = () => {
    const run = currentRun();
    const focused = document.activeElement?.dataset?.whose;
    const chosen = new Set(neighboursOf(run).map(({ whose }) => whose));
    const runs = report.runs.map((other, i) => other !== run && other.epochs.length > 0 && chip(`run:${i}`, other.name, chosen));
    const several = run.epochs.length > 1 ? run.epochs : [];
    const epochs = several.map(({ epoch }) => chip(`epoch:${epoch}`, epochName(epoch), chosen));
    const groups = [group("Other runs next to each column", runs.filter(Boolean)), group("Other epochs next to each column", epochs)];
    place.replaceChildren(...groups.filter(Boolean));
    if (focused) place.querySelector(`[data-whose="${CSS.escape(focused)}"]`)?.focus();
  };
  watch((values) => {
    if ("adjacent" in values || "run" in values) draw();
  });
  draw();
  return place;
}

// What the button of the panel says of it.
export function comparedWords() {
  const adjacent = neighboursOf(currentRun()).length;
  return adjacent ? `+${adjacent}` : state.versus ? "on" : "";
}

export function makeCompare() {
  const ways = { difference: "signed difference A − B", swipe: "swipe", blink: "blink" };
  const swipe = rangeControl("split", "Swipe", 0, 1, 0.01, (value) => formatPercent(value));
  const show = () => (swipe.hidden = state.compare !== "swipe");
  watch(show);
  show();
  return el(
    "div",
    { class: "controls" },
    select("versus", "Compare with", compareOptions),
    select("compare", "By", ways),
    swipe,
    makeNeighbours(),
    el(
      "p",
      { class: "muted hint wide" },
      "Methods have different units, so the difference is computed from maps scaled to their own ranges.",
    ),
  );
}

// The line under the player that explains A and B; it also makes maps blink.
export function makeVersus(root) {
  const line = el("p", { class: "versus", hidden: true });
  let timer = null;
  const flip = () => {
    const other = root().classList.toggle("showing-b");
    line.dataset.shown = other ? "B" : "A";
  };
  const show = () => {
    const words = versusWords();
    const way = words ? state.compare : "";
    line.hidden = !words;
    const grid = root();
    grid.classList.toggle("swiping", way === "swipe");
    grid.classList.toggle("blinking", way === "blink");
    if (way !== "blink") {
      clearInterval(timer);
      timer = null;
      grid.classList.remove("showing-b");
      delete line.dataset.shown;
    } else timer ??= setInterval(flip, BLINK_MS);
    if (!words) return;
    const [a, b] = words;
    line.replaceChildren(
      el("span", { class: "side side-a" }, el("b", {}, "A"), " ", a),
      el("span", { class: "side side-b" }, el("b", {}, "B"), " ", b),
      el(
        "span",
        { class: "muted" },
        { difference: "A − B", swipe: "A left, B right of the line", blink: "" }[way],
      ),
      pushButton("Stop comparing", () => change({ versus: "" }), { class: "quiet" }),
    );
  };
  watch(show);
  return { element: line, show };
}
