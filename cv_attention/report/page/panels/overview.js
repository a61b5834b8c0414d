// The head of the page, and the facts of the chosen run.

import { breakable, el } from "../core/dom.js";
import { formatPercent, formatValue, isShare, metricWords } from "../core/format.js";
import { report } from "../core/report.js";
import { change, currentRun, state, THEMES, watch } from "../core/state.js";

export function makeHeader() {
  const several = report.runs.length > 1;
  const names = { auto: "Theme: system", light: "Theme: light", dark: "Theme: dark" };
  const theme = el("button", {
    type: "button",
    class: "quiet",
    onclick: () => {
      const order = THEMES;
      change({ theme: order[(order.indexOf(state.theme) + 1) % order.length] });
    },
  });
  const show = () => {
    theme.textContent = names[state.theme];
    if (state.theme === "auto") document.documentElement.removeAttribute("data-theme");
    else document.documentElement.dataset.theme = state.theme;
    try {
      localStorage.setItem("cv_attention.theme", state.theme);
    } catch {
      // Storage may be disabled for files; the theme is then not kept.
    }
  };
  watch((values) => {
    if ("theme" in values) show();
  });
  show();
  return el(
    "header",
    { class: "top" },
    el("div", { class: "top-line" }, el("p", { class: "eyebrow" }, report.runs.every((run) => run.export) ? "cv_attention · saliency report" : "cv_attention · training report"), theme),
    el("h1", {}, several ? `${report.runs.length} runs` : breakable(report.runs[0]?.name ?? "no run")),
  );
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
