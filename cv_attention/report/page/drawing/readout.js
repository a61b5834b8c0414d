// The value under the pointer, and the pointer's position on all maps of the same image.

import { el } from "../core/dom.js";
import { formatValue } from "../core/format.js";
import { weightWords } from "./legend.js";
import { throughZoom } from "./zoom.js";

let readout = null;

export function makeReadout() {
  readout = el("div", { class: "readout", "aria-hidden": "true" });
  const away = (event) => event.target.closest?.(".frame, canvas, svg") || hideReadout();
  document.addEventListener("pointerdown", away);
  window.addEventListener("scroll", () => hideReadout(), { passive: true });
  return readout;
}

export function showReadout(event, text) {
  const dialog = event.target.closest?.("dialog"); // lies above everything outside of it
  (dialog ?? document.getElementById("report")).append(readout);
  readout.textContent = text;
  readout.classList.add("shown");
  const most = document.documentElement.clientWidth - readout.offsetWidth - 6;
  const left = Math.max(4, Math.min(event.clientX + 14, most));
  const top = Math.max(4, event.clientY - readout.offsetHeight - 12);
  readout.style.transform = `translate(${left}px, ${top}px)`;
}

// A finger that leaves the screen leaves its value there.
export function hideReadout(event) {
  if (event?.pointerType !== "touch") readout.classList.remove("shown");
}

export function readValue(edge, event, column, shown) {
  const { map, other, difference, order } = shown;
  const across = Math.min(0.9999, Math.max(0, (event.clientX - edge.left) / edge.width));
  const down = Math.min(0.9999, Math.max(0, (event.clientY - edge.top) / edge.height));
  if (column.bars) {
    if (!order.length) return null;
    const place = Math.floor(across * order.length);
    const channel = order[place];
    const against = other ? ` · B ${formatValue(other.values[channel])}` : "";
    return `channel ${channel}: ${formatValue(map.values[channel])}${against} · ${place + 1} of ${order.length}`;
  }
  const [x, y] = throughZoom(across, down);
  const text = valueAt(map, x, y);
  const row = Math.floor(y * map.height);
  const where = `row ${row}, column ${Math.floor(x * map.width)} of ${map.height} × ${map.width}`;
  if (!other) return `${column.weights ? weightWords(map.values[cellAt(map, x, y)], map) : text} · ${where}`;
  const minus = difference
    ? ` · A − B ${valueAt(difference, x, y)}${shown.scaled ? " of their ranges" : ""}`
    : "";
  return `A ${text} · B ${valueAt(other, x, y)}${minus} · ${where}`;
}

function cellAt(map, x, y) {
  return Math.floor(y * map.height) * map.width + Math.floor(x * map.width);
}

function valueAt(map, x, y) {
  const value = map.values[cellAt(map, x, y)];
  return Number.isNaN(value) ? "not a number" : formatValue(value);
}

export function linkPointer(row, picture, cells) {
  const follow = (frame) => (event) => {
    const edge = frame.getBoundingClientRect();
    row.style.setProperty("--x", `${(100 * (event.clientX - edge.left)) / edge.width}%`);
    row.style.setProperty("--y", `${(100 * (event.clientY - edge.top)) / edge.height}%`);
    row.classList.add("pointing");
  };
  for (const frame of [picture, ...cells.filter((cell) => !cell.bars).map((cell) => cell.frame)]) {
    frame.append(el("span", { class: "crosshair" }));
    frame.addEventListener("pointermove", follow(frame));
    frame.addEventListener("pointerleave", () => row.classList.remove("pointing"));
  }
  for (const cell of cells) {
    const tell = (event) => {
      const text = cell.read(event);
      if (text) showReadout(event, text);
      else hideReadout();
    };
    cell.frame.addEventListener("pointermove", tell);
    cell.frame.addEventListener("pointerdown", tell);
    cell.frame.addEventListener("pointerleave", hideReadout);
  }
}
