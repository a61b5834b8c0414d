from pathlib import Path

import pytest

from cv_attention.report.read.metrics import read_metrics
from cv_attention.rundir.layout import RunLayout


def write(run: Path, part: int, text: str) -> None:
    folder = run / "metrics" / str(part)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.csv").write_text(text)


def test_missing_folder_and_empty_file_have_no_curves(tmp_path: Path) -> None:
    assert read_metrics(RunLayout(tmp_path)).series == {}
    write(tmp_path, 0, "")
    assert read_metrics(RunLayout(tmp_path)).series == {}


def test_sparse_rows_become_points_by_epochs_trained(tmp_path: Path) -> None:
    write(tmp_path, 0, "epoch,step,train_loss,val_loss\n0,4,2.0,\n0,9,,1.5\n1,14,1.0,\n1,19,,0.5\n")
    series = read_metrics(RunLayout(tmp_path)).series
    assert series["train_loss"] == [(0.5, 4, 2.0), (1.5, 14, 1.0)]
    assert series["val_loss"] == [(1.0, 9, 1.5), (2.0, 19, 0.5)]


def test_later_part_replaces_the_same_step_and_epoch_and_keeps_the_rest(tmp_path: Path) -> None:
    write(tmp_path, 0, "epoch,step,train_loss,val_loss\n0,4,9.0,\n0,9,,8.0\n1,14,7.0,\n1,19,,6.0\n")
    write(tmp_path, 1, "epoch,step,train_loss,val_loss\n1,14,0.7,\n1,18,,0.6\n2,24,0.5,\n")
    metrics = read_metrics(RunLayout(tmp_path))
    assert [value for _, _, value in metrics.series["train_loss"]] == [9.0, 0.7, 0.5]
    assert [value for _, _, value in metrics.series["val_loss"]] == [8.0, 0.6]
    assert len(metrics.resumed) == 1
    assert 1.0 < metrics.resumed[0] < 2.0


def test_parts_are_ordered_as_numbers(tmp_path: Path) -> None:
    for part in range(11):
        write(tmp_path, part, f"epoch,step,train_loss\n0,1,{part}\n")
    assert [value for _, _, value in read_metrics(RunLayout(tmp_path)).series["train_loss"]] == [10.0]


@pytest.mark.parametrize("tail", ["1,14", "1,14,nan,", "1,14,0.", "\0\0\0", "1,,5.0,", "x,y,z,w"])
def test_torn_or_strange_last_line_does_no_harm(tmp_path: Path, tail: str) -> None:
    write(tmp_path, 0, f"epoch,step,train_loss,val_loss\n0,4,2.0,\n0,9,,1.5\n{tail}")
    series = read_metrics(RunLayout(tmp_path)).series
    assert series["train_loss"][0] == (0.5, 4, 2.0)
    assert series["val_loss"] == [(1.0, 9, 1.5)]


def test_epoch_cut_short_is_drawn_as_long_as_the_others(tmp_path: Path) -> None:
    write(tmp_path, 0, "epoch,step,train_loss,val_loss\n0,9,,1\n1,19,,1\n2,24,3.0,\n")
    assert read_metrics(RunLayout(tmp_path)).series["train_loss"] == [(2.5, 24, 3.0)]


def test_rows_without_epoch_are_placed_by_their_step(tmp_path: Path) -> None:
    write(tmp_path, 0, "epoch,step,lr,val_loss\n,4,0.1,\n0,9,,1\n,14,0.2,\n1,19,,1\n")
    assert read_metrics(RunLayout(tmp_path)).series["lr"] == [(0.5, 4, 0.1), (1.5, 14, 0.2)]


def test_test_results_are_no_curve(tmp_path: Path) -> None:
    write(tmp_path, 0, "epoch,step,train_loss,test_accuracy\n0,9,1,\n10,10,,0.9\n")
    assert list(read_metrics(RunLayout(tmp_path)).series) == ["train_loss"]


def test_long_curves_are_thinned_and_keep_their_ends(tmp_path: Path) -> None:
    write(tmp_path, 0, "epoch,step,train_loss\n" + "".join(f"0,{s},{s}\n" for s in range(9000)))
    points = read_metrics(RunLayout(tmp_path)).series["train_loss"]
    assert len(points) == 2000
    assert (points[0][1], points[-1][1]) == (0, 8999)
