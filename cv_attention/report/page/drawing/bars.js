// Channel gates as bars, sorted from the largest to the smallest. Zero is a line; the dashed line is the
// mean.

import { watch } from "../core/state.js";

export function sortedGates(map) {
  const order = Array.from(map.values.keys()).filter((channel) => Number.isFinite(map.values[channel]));
  return order.sort((a, b) => map.values[b] - map.values[a]);
}

let barInks = null; // {bar, line, text} of the theme; asking a canvas for its style is slow
watch((values) => {
  if ("theme" in values) barInks = null;
});

function inksOfBars() {
  if (!barInks) {
    const style = getComputedStyle(document.documentElement);
    const [bar, line, text] = ["--bar", "--line-strong", "--text"].map((name) => style.getPropertyValue(name));
    barInks = { bar, line, text };
  }
  return barInks;
}

// size: width and height of the canvas on the screen; querying it for every canvas would be slow.
export function paintBars(canvas, map, range, order, size) {
  const ratio = Math.min(3, window.devicePixelRatio || 1);
  const width = Math.round(Math.max(64, size.width) * ratio);
  const height = Math.round(Math.max(48, size.height) * ratio);
  canvas.width = width;
  canvas.height = height;
  if (!order.length || !range) return;
  const context = canvas.getContext("2d");
  const inks = inksOfBars();
  const low = Math.min(0, range[0]);
  const high = Math.max(range[1], low + 1e-9);
  const y = (value) => height - ((value - low) / (high - low)) * (height - 2 * ratio) - ratio;
  context.fillStyle = inks.bar;
  const step = width / order.length;
  const gap = step >= 4 * ratio ? ratio : 0;
  order.forEach((channel, place) => {
    const value = map.values[channel];
    const left = Math.floor(place * step);
    const right = Math.max(left + 1, Math.floor((place + 1) * step) - gap);
    context.fillRect(left, Math.min(y(value), y(0)), right - left, Math.max(1, Math.abs(y(value) - y(0))));
  });
  context.fillStyle = inks.line;
  context.fillRect(0, Math.min(height - ratio, y(0)), width, ratio);
  const mean = order.reduce((sum, channel) => sum + map.values[channel], 0) / order.length;
  context.strokeStyle = inks.text;
  context.lineWidth = ratio;
  context.setLineDash([3 * ratio, 3 * ratio]);
  context.beginPath();
  context.moveTo(0, y(mean));
  context.lineTo(width, y(mean));
  context.stroke();
}
