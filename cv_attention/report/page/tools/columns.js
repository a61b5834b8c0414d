// Which columns are shown, and in which order: those shown with buttons to move them, all of them with check
// marks by source.

import { pushButton } from "../core/controls.js";
import { breakable, el } from "../core/dom.js";
import { columnName, kindName } from "../core/format.js";
import { change, currentRun, shownColumns, watch } from "../core/state.js";

export function makeColumnChooser() {
  const order = el("ol", { class: "column-order", "aria-label": "Order of the columns" });
  const list = el("div", { class: "column-list" });
  const set = (indices) => change({ columns: indices });
  const all = () => currentRun().columns.map((column) => column.index);
  const shown = () => shownColumns(currentRun()).map((column) => column.index);

  function toggle(index, wanted) {
    const now = shown();
    set(wanted ? [...now, index] : now.filter((other) => other !== index));
  }
  function move(index, place) {
    const rest = shown().filter((other) => other !== index);
    rest.splice(Math.max(0, Math.min(rest.length, place)), 0, index);
    set(rest);
  }

  function chip(column, place, count) {
    const name = columnName(column);
    const { index } = column;
    const button = (text, label, to, disabled) =>
      pushButton(text, () => move(index, to), {
        "aria-label": label,
        disabled,
        "data-move": `${text}${index}`,
      });
    const element = el(
      "li",
      { class: "ordered", draggable: "true", "data-column": index },
      button("←", `Move ${name} to the left`, place - 1, place === 0),
      el("span", { class: "ordered-name" }, breakable(name)),
      button("→", `Move ${name} to the right`, place + 1, place === count - 1),
    );
    element.addEventListener("dragstart", (event) => event.dataTransfer.setData("text/plain", String(index)));
    element.addEventListener("dragover", (event) => event.preventDefault());
    element.addEventListener("drop", (event) => {
      event.preventDefault();
      const dragged = Number(event.dataTransfer.getData("text/plain"));
      if (shown().includes(dragged)) move(dragged, place);
    });
    return element;
  }

  function checkmarks(source, title) {
    const run = currentRun();
    const now = new Set(shown());
    const columns = run.columns.filter(
      (column) => (column.source === "saliency") === (source === "saliency"),
    );
    const box = (column) =>
      el("input", {
        type: "checkbox",
        checked: now.has(column.index),
        "data-column": column.index,
        onchange: (event) => toggle(column.index, event.target.checked),
      });
    const chips = columns.map((column) =>
      el(
        "label",
        { class: "chip" },
        box(column),
        el("span", {}, breakable(columnName(column))),
        el("span", { class: "kind" }, kindName(column)),
      ),
    );
    return columns.length ? el("fieldset", {}, el("legend", {}, title), chips) : "";
  }

  function draw() {
    const columns = shownColumns(currentRun());
    const focused = document.activeElement?.dataset ?? {};
    order.replaceChildren(...columns.map((column, place) => chip(column, place, columns.length)));
    list.replaceChildren(checkmarks("saliency", "Saliency"), checkmarks("attention", "Attention blocks"));
    if (focused.move) order.querySelector(`[data-move="${focused.move}"]`)?.focus();
    else if (focused.column) list.querySelector(`input[data-column="${Number(focused.column)}"]`)?.focus();
  }
  watch((values) => {
    if ("columns" in values || "run" in values) draw();
  });
  draw();
  const buttons = el(
    "p",
    { class: "buttons" },
    pushButton("All", () => set(all())),
    pushButton("None", () => set([])),
    pushButton("Suggested", () => set(null)),
  );
  return el("div", { class: "columns" }, order, list, buttons);
}

export function countColumns() {
  const run = currentRun();
  return `${shownColumns(run).length} of ${run.columns.length}`;
}
