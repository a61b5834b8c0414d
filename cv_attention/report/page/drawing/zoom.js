// Zoom and pan, shared by all pictures: Ctrl+wheel, two fingers or keys zoom, dragging pans. (x, y) is the point of the
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

const frameOf = (event) => event.target.closest?.(".frame:not(.gates)");

function shares(frame, { clientX, clientY }) {
  const edge = frame.getBoundingClientRect();
  return [(clientX - edge.left) / edge.width, (clientY - edge.top) / edge.height];
}

// Zooms so that the point of the image that was at (across, down) of the frame stays there.
function zoomAt([across, down], zoom) {
  const [x, y] = throughZoom(across, down);
  const clamped = Math.min(16, Math.max(1, zoom));
  setZoom(clamped, x - (across - 0.5) / clamped, y - (down - 0.5) / clamped);
}

export function linkZoom(root) {
  const style = () => {
    const { zoom, x, y } = state;
    root.style.setProperty("--zoom", zoom);
    root.style.setProperty("--shift-x", `${100 * (0.5 - x * zoom)}%`);
    root.style.setProperty("--shift-y", `${100 * (0.5 - y * zoom)}%`);
    const [cut] = throughZoom(state.split, 0);
    root.style.setProperty("--cut", `${100 * Math.min(1, Math.max(0, cut))}%`);
    root.style.setProperty("--split", `${100 * state.split}%`);
    root.classList.toggle("zoomed", zoom > 1);
  };
  watch(style);
  style();
  const turn = (event) => {
    const frame = frameOf(event);
    if (!frame || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    zoomAt(shares(frame, event), state.zoom * 2 ** (-event.deltaY / 200));
  };
  root.addEventListener("wheel", turn, { passive: false });
  listenToDrags(root);
}

const STILL = 5; // pixels; what moves further is a drag, not a click

function listenToDrags(root) {
  const fingers = new Map(); // pointer -> its last event
  let held = null; // {frame, swiping, x, y, across, down, at}
  let pinch = null; // {distance, zoom}
  let dragged = false;
  const apart = ([a, b]) => Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY) || 1;
  const middle = ([a, b]) => ({ clientX: (a.clientX + b.clientX) / 2, clientY: (a.clientY + b.clientY) / 2 });

  function press(event) {
    const frame = frameOf(event);
    if (!frame || event.button !== 0) return;
    fingers.set(event.pointerId, event);
    dragged = fingers.size > 1;
    if (fingers.size === 2) {
      held = null;
      pinch = { frame, distance: apart([...fingers.values()]), zoom: state.zoom };
      return;
    }
    const swiping = state.versus && state.compare === "swipe" && Boolean(frame.closest(".swiping"));
    if (!(swiping || state.zoom > 1)) return;
    const [across, down] = shares(frame, event);
    held = { frame, swiping, x: state.x, y: state.y, across, down, at: event };
    if (event.pointerType !== "mouse" || swiping) frame.setPointerCapture(event.pointerId);
    if (swiping) change({ split: across });
  }

  function move(event) {
    if (fingers.has(event.pointerId)) fingers.set(event.pointerId, event);
    if (pinch && fingers.size === 2) {
      const pair = [...fingers.values()];
      zoomAt(shares(pinch.frame, middle(pair)), (pinch.zoom * apart(pair)) / pinch.distance);
    } else if (held) drag(event);
  }

  function drag(event) {
    const [across, down] = shares(held.frame, event);
    if (!dragged && apart([held.at, event]) < STILL) return;
    dragged = true;
    if (held.swiping) change({ split: Math.min(1, Math.max(0, across)) });
    else setZoom(state.zoom, held.x - (across - held.across) / state.zoom, held.y - (down - held.down) / state.zoom);
  }

  function release(event) {
    fingers.delete(event.pointerId);
    held = null;
    if (fingers.size < 2) pinch = null;
  }

  root.addEventListener("pointerdown", press);
  root.addEventListener("pointermove", move);
  for (const name of ["pointerup", "pointercancel"]) window.addEventListener(name, release);
  const spare = (event) => {
    if (dragged) event.stopPropagation();
    dragged = false;
  };
  root.addEventListener("click", spare, { capture: true });
}
