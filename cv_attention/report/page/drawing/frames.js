// The picture of a sample with maps overlaid. Frames are reused for other samples while scrolling.

import { el } from "../core/dom.js";
import { loadPicture, pictureNow } from "../core/shards.js";
import { state, watch } from "../core/state.js";

// Keeps what frames show without being painted again: the opacity of maps, and what the threshold hides of colour bars.
export function followDisplay(root) {
  const style = () => {
    root.style.setProperty("--opacity", state.opacity);
    root.style.setProperty("--threshold", `${100 * state.threshold}%`);
    root.classList.toggle("without-boxes", !state.box);
  };
  watch(style);
  style();
}

// Frames of one run have room for its tallest image.
export function tallest(run) {
  const sizes = run.probes.map((probe) => probe.size).filter(Boolean);
  return sizes.reduce((most, [width, height]) => Math.min(2, Math.max(most, height / width)), 0) || 1;
}

export function makeFrame(run, room, ...over) {
  const picture = el("img", { alt: "", draggable: "false", decoding: "async" });
  const missing = el("span", { class: "missing" }, "no image");
  const box = el("span", { class: "true-box" });
  const frame = el("div", { class: "frame" }, missing, el("div", { class: "stage" }, picture, over, box));
  const slot = el("div", { class: "slot" }, frame);
  slot.style.aspectRatio = `1 / ${room}`;
  let bound = null;

  function show(url) {
    if (url) picture.src = url;
    picture.hidden = !url;
  }
  function bind(index) {
    bound = index;
    const { size, box: place } = run.probes[index];
    const [width, height] = size ?? [1, 1];
    frame.style.aspectRatio = `${width} / ${height}`;
    frame.style.width = height / width > room ? `${(100 * room * width) / height}%` : "100%";
    picture.classList.toggle("small", Math.max(width, height) <= 128);
    missing.hidden = Boolean(size);
    box.hidden = !place;
    if (place) {
      const [x0, y0, x1, y1] = place.map((share) => 100 * share);
      const sides = { left: `${x0}%`, top: `${y0}%`, width: `${x1 - x0}%`, height: `${y1 - y0}%` };
      Object.assign(box.style, sides);
    }
    const now = size ? pictureNow(run, index) : null;
    show(now);
    if (now === undefined) frame.setAttribute("aria-busy", "true");
    else frame.removeAttribute("aria-busy");
    if (now !== undefined) return;
    const arrived = (url) => {
      if (bound !== index) return;
      frame.removeAttribute("aria-busy");
      show(url);
    };
    loadPicture(run, index).then(arrived, () => arrived(null));
  }
  return { slot, frame, bind };
}

// Channel gates have no picture below them, and the same height.
export function makeGateFrame(room, ...over) {
  const frame = el("div", { class: "frame gates" }, over);
  const slot = el("div", { class: "slot" }, frame);
  slot.style.aspectRatio = frame.style.aspectRatio = `1 / ${room}`;
  return { slot, frame, bind: () => {} };
}
