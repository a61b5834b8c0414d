// The value under the pointer, and the pointer's place on all maps of the same image.

const readout = el("div", { class: "readout", "aria-hidden": "true" });

function showReadout(event, text) {
  readout.textContent = text;
  readout.classList.add("shown");
  const most = document.documentElement.clientWidth - readout.offsetWidth - 6;
  const left = Math.max(4, Math.min(event.clientX + 14, most));
  const top = Math.max(4, event.clientY - readout.offsetHeight - 12);
  readout.style.transform = `translate(${left}px, ${top}px)`;
}

function hideReadout() {
  readout.classList.remove("shown");
}

function readValue(edge, event, column, { map, order }) {
  const across = Math.min(0.9999, Math.max(0, (event.clientX - edge.left) / edge.width));
  const down = Math.min(0.9999, Math.max(0, (event.clientY - edge.top) / edge.height));
  if (column.bars) {
    if (!order.length) return null;
    const place = Math.floor(across * order.length);
    const channel = order[place];
    return `channel ${channel}: ${formatValue(map.values[channel])} · ${place + 1} of ${order.length}`;
  }
  const x = Math.floor(across * map.width);
  const y = Math.floor(down * map.height);
  const value = map.values[y * map.width + x];
  const text = Number.isNaN(value) ? "not a number" : formatValue(value);
  return `${text} · row ${y}, column ${x} of ${map.height} × ${map.width}`;
}

function linkPointer(row, picture, cells) {
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
    cell.frame.addEventListener("pointermove", (event) => {
      const text = cell.read(event);
      if (text) showReadout(event, text);
      else hideReadout();
    });
    cell.frame.addEventListener("pointerleave", hideReadout);
  }
}
