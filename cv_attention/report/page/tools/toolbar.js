// A row of buttons, each of which opens a panel of controls below it.

import { pushButton } from "../core/controls.js";
import { el } from "../core/dom.js";
import { watch } from "../core/state.js";

// panels: [{name, title, element, badge: () => text}]. Several may be open on a wide screen.
export function makeToolbar(panels, ...extras) {
  const buttons = panels.map(({ name, title, element, badge }) => {
    element.id = `panel-${name}`;
    element.classList.add("panel");
    element.hidden = true;
    const count = el("span", { class: "badge" });
    const button = pushButton([title, count], () => open(name, element.hidden), {
      "aria-controls": element.id,
      "aria-expanded": "false",
      "data-panel": name,
    });
    const show = () => {
      count.textContent = badge?.() ?? "";
      count.hidden = !count.textContent;
    };
    watch(show);
    show();
    return button;
  });

  function open(name, wanted) {
    panels.forEach((panel, i) => {
      const now = panel.name === name && wanted;
      panel.element.hidden = !now;
      buttons[i].setAttribute("aria-expanded", String(now));
    });
  }
  const line = el("div", { class: "toolbar" }, buttons, el("span", { class: "extras" }, extras));
  return el(
    "div",
    { class: "tools" },
    line,
    panels.map((panel) => panel.element),
  );
}
