// Paints canvases a few at a time, so that scrolling stays smooth however many are waiting.

const PAINT_MS = 8; // of each frame of the screen

const waiting = new Set();
let painting = false;
const askers = []; // who wait until nothing is left to paint

// `job.paint()` is called soon, once regardless of the number of requests.
export function enqueue(job) {
  waiting.add(job);
  if (painting) return;
  painting = true;
  requestAnimationFrame(paintSome);
}

function paintSome() {
  const end = performance.now() + PAINT_MS;
  for (const job of waiting) {
    waiting.delete(job);
    job.paint();
    if (performance.now() > end) break;
  }
  painting = waiting.size > 0;
  if (painting) requestAnimationFrame(paintSome);
  else for (const done of askers.splice(0)) done();
}

// Resolves when all that was enqueued is painted.
export function allPainted() {
  return painting ? new Promise((done) => askers.push(done)) : Promise.resolve();
}
