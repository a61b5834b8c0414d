// Test images that one arm gets right more often than another one.

import { pushButton, select } from "../core/controls.js";
import { breakable, el } from "../core/dom.js";
import { aChoice } from "../core/fields.js";
import { formatValue, isolated } from "../core/format.js";
import { addField, state, watch } from "../core/state.js";
import { makeFrame } from "../drawing/frames.js";
import { chosenPair, pairControls, sharedSeeds } from "./pairs.js";

addField("tested", aChoice("a", ["a", "b", "any"]));
const FIRST = 12; // images that are shown before the reader asks for all

// [right in how many seeds, {wrong answer: how often}] of an image.
function tally(tested, runs, index) {
  const wrong = {};
  let right = 0;
  for (const run of runs) {
    const answer = tested.answers[run.run]?.[index];
    if (answer === undefined) continue;
    if (answer === null) right++;
    else wrong[tested.words[answer]] = (wrong[tested.words[answer]] ?? 0) + 1;
  }
  return { right, wrong };
}

// The listed images on which A and B differ, the clearest first: [{index, a, b, lead}].
function differing(tested, shared, show) {
  const known = shared.filter(({ a, b }) => tested.answers[a.run] && tested.answers[b.run]);
  return tested.probes
    .map((_, index) => {
      const [a, b] = ["a", "b"].map((side) => tally(tested, known.map((one) => one[side]), index));
      return { index, a, b, seeds: known.length, lead: a.right - b.right };
    })
    .filter(({ lead }) => (show === "a" ? lead > 0 : show === "b" ? lead < 0 : lead !== 0))
    .sort((one, other) => Math.abs(other.lead) - Math.abs(one.lead) || one.index - other.index);
}

function verdictLine(arm, { right, wrong }, seeds) {
  const answers = Object.entries(wrong).sort((one, other) => other[1] - one[1]);
  const words = answers.map(([answer, times]) => (times > 1 ? `${isolated(answer)} (${times}×)` : isolated(answer))).join(", ");
  const kind = right * 2 >= seeds ? "right" : "wrong";
  return el("p", { class: `pair-line ${kind}` }, el("b", {}, breakable(arm)), ` right in ${right} of ${seeds}${words ? `, else ${words}` : ""}`);
}

function cardOf(tested, pair, { index, a, b, seeds }) {
  const { truth, name } = tested.probes[index];
  const picture = makeFrame(tested, 1);
  picture.bind(index);
  return el(
    "li",
    { class: "pair-card" },
    el("div", { class: "pair-picture" }, picture.slot),
    el("div", { class: "pair-words" }, el("h3", {}, el("bdi", {}, truth)), el("p", { class: "muted pair-name" }, breakable(name ?? "")), verdictLine(pair.a, a, seeds), verdictLine(pair.b, b, seeds)),
  );
}

function countsOf(tested, pair, shared) {
  const counts = tested.pairs[pair.recipe];
  const [ahead, behind] = [counts?.[pair.a]?.[pair.b], counts?.[pair.b]?.[pair.a]];
  if (ahead === undefined) return "These two arms share no seed whose predictions are known.";
  return `${isolated(pair.a)} is right and ${isolated(pair.b)} wrong on ${formatValue(ahead)} of ${formatValue(tested.total)} test images, the other way round on ${formatValue(behind)} (means over ${shared.length} shared seeds). Listed are those on which they differ in the most seeds.`;
}

export function makeTested(study) {
  const { tested } = study;
  if (!tested) return null;
  const list = el("ul", { class: "pair-list" });
  const words = el("p", { class: "muted hint" });
  const empty = el("p", { class: "empty" }, "No such image is listed for these two.");
  let every = false;
  const more = pushButton("", () => {
    every = true;
    draw();
  });
  function draw() {
    const pair = chosenPair(study);
    const shared = sharedSeeds(pair);
    const found = differing(tested, shared, state.tested);
    const shown = every ? found : found.slice(0, FIRST);
    words.textContent = countsOf(tested, pair, shared);
    list.replaceChildren(...shown.map((one) => cardOf(tested, pair, one)));
    empty.hidden = found.length > 0;
    more.hidden = shown.length === found.length;
    more.textContent = `Show all ${found.length}`;
  }
  watch((values) => {
    if (["a", "b", "recipe", "tested"].some((name) => name in values)) {
      every = false;
      draw();
    }
  });
  const kinds = { a: "A right more often than B", b: "B right more often than A", any: "either" };
  const tools = el("div", { class: "panel-tools" }, pairControls(study), select("tested", "Test images", kinds));
  draw();
  const note = tested.note && el("p", { class: "notice" }, tested.note);
  return el("section", { "aria-labelledby": "tested" }, el("h2", { id: "tested" }, "Test images"), tools, words, note, list, empty, el("p", { class: "more-line" }, more));
}
