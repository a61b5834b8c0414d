// The images of some test bags, those with the largest attention weight first.

import { className } from "../core/class_names.js";
import { labelled } from "../core/controls.js";
import { el } from "../core/dom.js";
import { aNumber } from "../core/fields.js";
import { formatPercent, isolated } from "../core/format.js";
import { plainCache } from "../core/shards.js";
import { addField, change, currentRun, state, watch } from "../core/state.js";

addField("bag", aNumber(0, 0, 1e6));

function loadBags(run) {
  const hash = run.panels?.bags;
  return hash ? plainCache.get(`${run.folder}/bags`, hash, 1e6) : null;
}

function bagWords(run, bag) {
  const right = bag.label === bag.predicted ? "right" : "wrong";
  const guess = `${isolated(className(run, bag.predicted))} with ${formatPercent(bag.probability, 1)}`;
  const shown = bag.images.length < bag.size ? `; the ${bag.images.length} heaviest of ${bag.size} images` : "";
  return `True class ${isolated(className(run, bag.label))}, predicted ${guess}: ${right}${shown}`;
}

// One image with its share of the weight, as text and as a bar; a known key instance is marked.
function imageOf({ url, weight, key }, heaviest) {
  const share = formatPercent(weight, 1);
  const marked = key === 1 ? ", makes the bag positive" : "";
  const bar = el("span", { class: "bag-bar" });
  bar.style.width = `${((100 * weight) / (heaviest || 1)).toFixed(1)}%`;
  return el(
    "li",
    { class: key === 1 ? "bag-image key" : "bag-image" },
    el("img", { src: url, alt: `Image with ${share} of the weight${marked}` }),
    el("span", { class: "bag-track" }, bar),
    el("span", { class: "bag-weight number" }, share),
  );
}

export function makeBags() {
  const body = el("div", { class: "bag-body" });
  const chosen = el("select", { name: "bag", onchange: () => change({ bag: Number(chosen.value) }) });
  const title = el("h2", { id: "bags" }, "Bags");
  const tools = el("div", { class: "panel-tools" }, labelled("Bag", chosen));
  const section = el("section", { "aria-labelledby": "bags" }, title, tools, body);
  let turn = 0;
  async function draw() {
    const run = currentRun();
    const now = ++turn;
    section.hidden = !run.panels?.bags;
    const bags = section.hidden ? null : await loadBags(run).catch(() => null);
    if (now !== turn || !bags?.length) return;
    const index = Math.min(state.bag, bags.length - 1);
    const bag = bags[index];
    const option = (one, i) => el("option", { value: i }, `${isolated(one.name)} (${isolated(className(run, one.label))})`);
    chosen.replaceChildren(...bags.map(option));
    chosen.value = String(index);
    const heaviest = Math.max(...bag.images.map((one) => one.weight));
    const known = bag.images.some((one) => one.key >= 0);
    const hint = known ? " Frames mark the images that make a bag positive." : "";
    body.replaceChildren(
      el("p", {}, bagWords(run, bag)),
      el("p", { class: "muted hint" }, `Sorted by the share of the attention weight.${hint}`),
      el("ul", { class: "bag-images" }, bag.images.map((one) => imageOf(one, heaviest))),
    );
  }
  watch((values) => {
    if ("run" in values || "bag" in values) draw();
  });
  draw();
  return section;
}
