// The head of the page, and the facts of the chosen run.

import { breakable, el } from "../core/dom.js";
import { formatPercent, formatValue, isShare, metricWords } from "../core/format.js";
import { report } from "../core/report.js";
import { currentRun, watch } from "../core/state.js";
import { makeThemeButton } from "../core/theme.js";

// The first lines of the page, with the switch of its colours.
export function makeTop(eyebrow, title) {
  const line = el("div", { class: "top-line" }, el("p", { class: "eyebrow" }, eyebrow), makeThemeButton());
  return el("header", { class: "top" }, line, el("h1", {}, title));
}

export function makeHeader() {
  const kind = report.runs.every((run) => run.export) ? "saliency" : "training";
  const several = report.runs.length > 1;
  const title = several ? `${report.runs.length} runs` : breakable(report.runs[0]?.name ?? "no run");
  return makeTop(`cv_attention · ${kind} report`, title);
}

function resultTiles(run) {
  if (run.export) return [];
  if (!run.test.length) {
    const text = run.finished ? "not tested" : "interrupted or still running";
    return [el("div", { class: "tile" }, el("dt", {}, "Test"), el("dd", { class: "muted" }, text))];
  }
  return run.test.map(([name, value]) => {
    return el(
      "div",
      { class: "tile result", title: metricWords(name) },
      el("dt", {}, `Test ${name.replaceAll("_", " ")}`),
      el("dd", {}, isShare(name, value) ? formatPercent(value, 2) : formatValue(value)),
    );
  });
}

function detail(title, text) {
  return text && el("details", {}, el("summary", {}, title), el("pre", { tabindex: "0" }, text));
}

export function makeOverview() {
  const content = el("div", {});
  const draw = () => {
    const run = currentRun();
    content.replaceChildren(
      el(
        "dl",
        { class: "tiles" },
        resultTiles(run),
        run.facts.map(([label, text]) =>
          el("div", { class: "tile fact" }, el("dt", {}, label), el("dd", {}, breakable(text))),
        ),
      ),
      ...run.notices.map((notice) => el("p", { class: "notice" }, notice)),
      el("div", { class: "details" }, detail("Attention plan", run.plan), detail("Configuration", run.config)),
    );
  };
  watch((values) => {
    if ("run" in values) draw();
  });
  draw();
  return el("section", { "aria-label": "Overview" }, content);
}
