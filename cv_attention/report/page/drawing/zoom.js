// Zoom and pan, shared by all pictures: Ctrl+wheel, pinch or keys zoom, dragging pans. (x, y) is the point of the
// image at the centre of its frame.

import { change, state, watch } from "../core/state.js";

export function setZoom(zoom, x = state.x, y = state.y) {
  const clamped = Math.min(16, Math.max(1, zoom));
  const half = 0.5 / clamped;
  const inside = (at) => Math.min(1 - half, Math.max(half, at));
  change({ zoom: clamped, x: inside(x), y: inside(y) });
}

// Converts a point of the frame to a point of the image, both in fractions of width and height.
export function throughZoom(across, down) {
  return [state.x + (across - 0.5) / state.zoom, state.y + (down - 0.5) / state.zoom];
}

export function linkZoom(grid) {
  const style = () => {
    const { zoom, x, y } = state;
    grid.style.setProperty("--zoom", zoom);
    grid.style.setProperty("--shift-x", `${100 * (0.5 - x * zoom)}%`);
    grid.style.setProperty("--shift-y", `${100 * (0.5 - y * zoom)}%`);
    const [cut] = throughZoom(state.split, 0);
    grid.style.setProperty("--cut", `${100 * Math.min(1, Math.max(0, cut))}%`);
    grid.style.setProperty("--split", `${100 * state.split}%`);
    grid.classList.toggle("zoomed", zoom > 1);
  };
  watch(style);
  style();
  const frameOf = (event) => event.target.closest?.(".frame:not(.gates)");
  const shares = (frame, event) => {
    const edge = frame.getBoundingClientRect();
    return [(event.clientX - edge.left) / edge.width, (event.clientY - edge.top) / edge.height, edge];
  };
  grid.addEventListener(
    "wheel",
    (event) => {
      const frame = frameOf(event);
      if (!frame || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      const [across, down] = shares(frame, event);
      const [x, y] = throughZoom(across, down);
      const zoom = Math.min(16, Math.max(1, state.zoom * 2 ** (-event.deltaY / 200)));
      setZoom(zoom, x - (across - 0.5) / zoom, y - (down - 0.5) / zoom); // keeps the point under the pointer fixed
    },
    { passive: false },
  );
  listenToDrags(grid, frameOf, shares);
}

function listenToDrags(grid, frameOf, shares) {
  let held = null; // {frame, x, y, across, down}
  grid.addEventListener("pointerdown", (event) => {
    const frame = frameOf(event);
    const swiping = state.versus && state.compare === "swipe";
    if (!frame || event.button !== 0 || !(swiping || state.zoom > 1)) return;
    const [across, down] = shares(frame, event);
    held = { frame, swiping, x: state.x, y: state.y, across, down };
    frame.setPointerCapture(event.pointerId);
    if (swiping) change({ split: across });
  });
  grid.addEventListener("pointermove", (event) => {
    if (!held) return;
    const [across, down] = shares(held.frame, event);
    if (held.swiping) change({ split: Math.min(1, Math.max(0, across)) });
    else
      setZoom(
        state.zoom,
        held.x - (across - held.across) / state.zoom,
        held.y - (down - held.down) / state.zoom,
      );
  });
  const release = () => (held = null);
  for (const name of ["pointerup", "pointercancel"]) grid.addEventListener(name, release);
}
