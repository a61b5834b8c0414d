"""A run directory as it was at the checkpoint that a run is resumed from."""

import csv

import pytest

from cv_attention.rundir.layout import EpochFile, RunLayout
from cv_attention.training.checkpoint.rewinding import rewind

NAMES = ["epoch", "step", "lr", "train_loss", "train_loss_epoch", "val_accuracy"]


def checkpoint(step, epochs):
    return {"global_step": step, "loops": {"fit_loop": {"epoch_progress": {"current": {"processed": epochs}}}}}


@pytest.fixture
def run(tmp_path):
    """Three epochs of three steps: a row for each step, counted from 0, and one after each epoch."""
    rows = []
    for step in range(9):
        rows.append({"epoch": step // 3, "step": step, "lr": 0.1, "train_loss": 9 - step})
        if step % 3 == 2:
            rows.append({"epoch": step // 3, "step": step, "train_loss_epoch": 1, "val_accuracy": 0.5})
    layout = RunLayout(tmp_path)
    for part, chosen in enumerate((rows[:5], rows[5:])):  # the run was resumed once already
        path = layout.metrics_file(part)
        path.parent.mkdir(parents=True)
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, NAMES)
            writer.writeheader()
            writer.writerows(chosen)
    for kind in EpochFile:
        for epoch in (-1, 0, 1, 2):
            path = layout.epoch_file(kind, epoch)
            path.parent.mkdir(exist_ok=True)
            path.write_text("content")
    return layout


def logged(run):
    rows = []
    for _, path in run.metrics_files():
        with path.open(newline="") as file:
            rows += [(int(row["step"]), bool(row["val_accuracy"])) for row in csv.DictReader(file)]
    return rows


@pytest.mark.parametrize(("step", "epochs"), [(6, 2), (7, 2), (5, 1), (3, 1), (6, 1), (0, 0), (9, 3), (12, 4)])
def test_what_was_logged_after_the_checkpoint_is_dropped(step, epochs, run):
    """`step` steps were made, 0 to `step` - 1; an epoch's means count where the epoch is over."""
    rewind(run.root, checkpoint(step, epochs))
    steps = [(number, False) for number in range(min(step, 9))]
    means = [(3 * epoch + 2, True) for epoch in range(min(epochs, 3)) if 3 * epoch + 2 < step]
    assert sorted(logged(run)) == sorted(steps + means)
    for kind in EpochFile:
        assert list(run.epoch_files(kind)) == [epoch for epoch in (-1, 0, 1, 2) if epoch < epochs]


def test_a_file_without_anything_to_drop_is_left_as_it_is(run):
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for _, path in run.metrics_files()}
    rewind(run.root, checkpoint(9, 3))
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for _, path in run.metrics_files()} == before


@pytest.mark.parametrize("torn", ["2,7", "2,", "2", "2,7x,0.1", "\0\0\0\0", "2,\xff\xfe,0.1", "x" * 100_000])
def test_a_row_that_a_kill_cut_short_is_dropped_and_the_others_stay(torn, run):
    path = run.metrics_file(1)
    kept = logged(run)
    path.write_bytes(path.read_bytes() + torn.encode("latin-1"))
    rewind(run.root, checkpoint(7, 2))
    assert logged(run) == [(step, mean) for step, mean in kept if step < 7]
