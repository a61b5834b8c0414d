// What the network made of one image, epoch by epoch: a bar as high as the probability of the true class,
// coloured by whether the prediction was right. Click a bar to go there.

function historyWords(run, snapshot, probe) {
  const predicted = className(run, snapshot.predictions[probe]);
  return `${epochName(snapshot.epoch)}: ${predicted}, true class ${formatPercent(snapshot.true[probe])}`;
}

function drawHistory(run, probe) {
  const label = run.probes[probe].label;
  const width = 100 / run.epochs.length;
  const bars = run.epochs.map((snapshot, i) => {
    const p = snapshot.true[probe] ?? (snapshot.predictions[probe] === label ? 1 : 0.15);
    const right = snapshot.predictions[probe] === label;
    const height = Math.max(2, 22 * p);
    return svg(
      "g",
      {
        class: "history-epoch",
        "data-epoch": snapshot.epoch,
        onclick: () => change({ epoch: snapshot.epoch }),
      },
      svg("title", {}, historyWords(run, snapshot, probe)),
      svg("rect", { class: "back", x: i * width, y: 0, width, height: 28 }),
      svg("rect", {
        class: right ? "right" : "wrong",
        x: i * width + width * 0.12,
        y: 24 - height,
        width: width * 0.76,
        height,
      }),
      svg("rect", { class: "now", x: i * width + width * 0.12, y: 25.5, width: width * 0.76, height: 2.5 }),
    );
  });
  return svg(
    "svg",
    {
      class: "history",
      viewBox: "0 0 100 28",
      preserveAspectRatio: "none",
      role: "img",
      "aria-label": `Probability of the true class over ${run.epochs.length} recorded epochs`,
    },
    bars,
  );
}

function markHistory(element, epoch) {
  for (const bar of element.querySelectorAll(".history-epoch")) {
    bar.classList.toggle("chosen", Number(bar.dataset.epoch) === epoch);
  }
}
