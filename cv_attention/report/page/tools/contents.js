// The sticky bar: links to the sections, and what a page adds to them.

import { pushButton } from "../core/controls.js";
import { el } from "../core/dom.js";
import { goTo } from "../core/scrolling.js";
import { report } from "../core/report.js";
import { shortRunName } from "../core/run_names.js";
import { change, state, watch } from "../core/state.js";

function contentsButton(section) {
  const title = section.querySelector("h2");
  title.setAttribute("tabindex", "-1");
  const button = pushButton(title.textContent, () => goTo(title.id), { class: "link" });
  const show = () => (button.hidden = section.hidden);
  new MutationObserver(show).observe(section, { attributes: true, attributeFilter: ["hidden"] });
  show();
  return button;
}

// The runs of the report; the bar keeps them in sight. Nothing for a single one.
export function makeTabs() {
  if (report.runs.length < 2) return null;
  const tabs = report.runs.map((run, i) => {
    const attributes = { type: "button", title: run.name, onclick: () => change({ run: i }) };
    const tab = el("button", attributes, el("bdi", {}, shortRunName(run)));
    const mark = () => tab.setAttribute("aria-pressed", String(state.run === i));
    watch(mark);
    mark();
    return tab;
  });
  return el("nav", { class: "tabs", "aria-label": "Runs" }, tabs);
}

// sections: elements with a heading; those without one are at the top of the page.
export function makeBar(sections, before = null, after = null) {
  const titled = sections.filter((section) => section.querySelector("h2"));
  const contents = el("nav", { class: "contents", "aria-label": "Contents" }, titled.map(contentsButton));
  const bar = el("div", { class: "page-bar" }, before, contents, after);
  const measure = () => document.documentElement.style.setProperty("--page-bar", `${bar.offsetHeight}px`);
  new ResizeObserver(measure).observe(bar);
  return bar;
}
