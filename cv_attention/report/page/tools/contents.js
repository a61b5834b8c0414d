// The sticky bar: links to the sections, and the epoch, which everything on the page follows.

import { pushButton } from "../core/controls.js";
import { el } from "../core/dom.js";
import { goTo } from "../core/scrolling.js";
import { makePlayer } from "./player.js";

function contentsButton(section) {
  const title = section.querySelector("h2");
  title.setAttribute("tabindex", "-1");
  const button = pushButton(title.textContent, () => goTo(title.id), { class: "link" });
  const show = () => (button.hidden = section.hidden);
  new MutationObserver(show).observe(section, { attributes: true, attributeFilter: ["hidden"] });
  show();
  return button;
}

// sections: elements with a heading; those without one are at the top of the page.
export function makeBar(sections) {
  const titled = sections.filter((section) => section.querySelector("h2"));
  const contents = el("nav", { class: "contents", "aria-label": "Contents" }, titled.map(contentsButton));
  const bar = el("div", { class: "page-bar" }, contents, makePlayer());
  const measure = () => document.documentElement.style.setProperty("--page-bar", `${bar.offsetHeight}px`);
  new ResizeObserver(measure).observe(bar);
  return bar;
}
