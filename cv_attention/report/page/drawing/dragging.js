// Drags of the mouse over a plot that choose a part of its axis. A finger scrolls the page, as elsewhere.

import { el } from "../core/dom.js";

const LEAST = 8; // pixels; less is a click

// at(pixel) returns the place on the axis. Returns a function that tells whether the last press was a drag.
export function followDrag(plot, at, onspan) {
  let from = null;
  let dragged = false;
  const mark = el("div", { class: "dragged", hidden: true });
  const pixel = (event) => event.clientX - plot.getBoundingClientRect().left;
  plot.addEventListener("pointerdown", (event) => {
    dragged = false;
    if (event.pointerType !== "mouse" || event.button) return;
    from = pixel(event);
    plot.setPointerCapture(event.pointerId);
    if (!mark.isConnected) plot.after(mark);
  });
  plot.addEventListener("pointermove", (event) => {
    if (from === null || Math.abs(pixel(event) - from) < LEAST) return;
    dragged = true;
    const [low, high] = [from, pixel(event)].sort((a, b) => a - b);
    mark.hidden = false;
    const [own, around] = [plot, plot.parentElement].map((one) => one.getBoundingClientRect());
    const [left, top] = [own.left - around.left, own.top - around.top];
    Object.assign(mark.style, { left: `${left + low}px`, top: `${top}px`, width: `${high - low}px`, height: `${plot.clientHeight}px` });
  });
  const end = (event) => {
    mark.hidden = true;
    const [low, high] = [at(Math.min(from ?? 0, pixel(event))), at(Math.max(from ?? 0, pixel(event)))];
    if (from !== null && dragged && event.type === "pointerup" && low !== null && high > low) onspan(low, high);
    from = null;
  };
  plot.addEventListener("pointerup", end);
  plot.addEventListener("pointercancel", end);
  return () => dragged;
}
