// Left and right go through the epochs wherever the focus is, unless what has the focus uses these keys
// itself.

function listenToKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.target.closest("input, select, textarea, pre, .plot")) return;
    const bounds = currentRun() && epochRange(currentRun());
    if (!bounds) return;
    const moves = {
      ArrowLeft: state.epoch - 1,
      ArrowRight: state.epoch + 1,
      Home: bounds[0],
      End: bounds[1],
    };
    if (!(event.key in moves)) return;
    event.preventDefault();
    change({ epoch: moves[event.key] });
  });
}
