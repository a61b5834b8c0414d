// The predictions for one image by epoch: a bar for the probability of the true class,
// coloured by whether the prediction was right. Click a bar to select its epoch.

import { className } from "../core/class_names.js";
import { svg } from "../core/dom.js";
import { epochName, formatPercent, isolated } from "../core/format.js";
import { change } from "../core/state.js";

function historyWords(run, snapshot, probe) {
  const predicted = isolated(className(run, snapshot.predictions[probe]));
  return `${epochName(snapshot.epoch)}: ${predicted}, true class ${formatPercent(snapshot.true[probe])}`;
}

export function makeHistory(run) {
  const width = 100 / run.epochs.length;
  let probe = 0;
  const bars = run.epochs.map((snapshot, i) => {
    const left = i * width + width * 0.12;
    const title = svg("title");
    const bar = svg("rect", { x: left, width: width * 0.76 });
    const element = svg(
      "g",
      { class: "history-epoch", onclick: () => change({ epoch: snapshot.epoch }) },
      title,
      svg("rect", { class: "back", x: i * width, y: 0, width, height: 28 }),
      bar,
      svg("rect", { class: "now", x: left, y: 25.5, width: width * 0.76, height: 2.5 }),
    );
    element.addEventListener("pointerenter", () => (title.textContent = historyWords(run, snapshot, probe)));
    return { snapshot, element, bar };
  });
  const element = svg(
    "svg",
    {
      class: "history",
      viewBox: "0 0 100 28",
      preserveAspectRatio: "none",
      role: "img",
      "aria-label": `Probability of the true class over ${run.epochs.length} recorded epochs`,
    },
    bars.map((bar) => bar.element),
  );
  return {
    element,
    bind(index) {
      probe = index;
      const { label } = run.probes[index];
      element.classList.toggle("unknown", label === null);
      for (const { snapshot, bar } of bars) {
        const right = snapshot.predictions[index] === label;
        const height = Math.max(2, 22 * (snapshot.true[index] ?? (right ? 1 : 0.15)));
        bar.setAttribute("class", right ? "right" : "wrong");
        bar.setAttribute("y", 24 - height);
        bar.setAttribute("height", height);
      }
    },
    mark(epoch) {
      for (const { snapshot, element: bar } of bars) bar.classList.toggle("chosen", snapshot.epoch === epoch);
    },
  };
}
