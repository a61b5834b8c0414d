"""What a report stores of the maps of a column: percentiles, whether they are weights; what identifies a run."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cv_attention import report
from cv_attention.report.write.ranges import percentiles, sums_to_one


def test_percentiles_leave_as_much_beyond_each_end() -> None:
    values = np.random.default_rng(0).normal(size=(5, 8, 8)).astype(np.float32)
    found = percentiles(values)
    assert sorted(found) == [1, 2, 5]
    for percent, (low, high) in found.items():
        assert low == pytest.approx(np.quantile(values, percent / 100), rel=1e-5)
        assert high == pytest.approx(np.quantile(values, 1 - percent / 100), rel=1e-5)


def test_percentiles_of_very_many_values_are_close() -> None:
    values = np.random.default_rng(0).random(3_500_001)
    assert percentiles(values)[5] == pytest.approx([0.05, 0.95], abs=0.002)


@pytest.mark.parametrize(
    ("values", "weights"),
    [
        (np.full((2, 4, 4), 1 / 16), True),
        (np.random.default_rng(0).dirichlet(np.ones(49), 3).reshape(3, 7, 7).astype(np.float16), True),
        (np.full((2, 4, 4), 0.5), False),  # gates
        (np.full((2, 4), 0.25), False),  # of channels
        (np.array([[[1.5, -0.5]]]), False),
        (np.array([[[0.5, 0.5]], [[0.5, np.nan]]]), False),
        (np.array([[[0.5, 0.5]], [[0.5, 0.1]]]), False),
    ],
)
def test_weights_are_told_from_gates(values: np.ndarray, weights: bool) -> None:
    assert sums_to_one(values) is weights


def written(index: Path) -> list[dict]:
    (path,) = index.parent.glob("data/report.*.js")
    return json.loads(path.read_text().removeprefix("window.cvAttentionReport=").removesuffix(";\n"))["runs"]


def test_runs_are_identified_by_what_no_epoch_changes(tmp_path: Path, make_run: Callable[..., Path]) -> None:
    first, second, again = (
        make_run(tmp_path / place / "run", epochs=epochs, probes=2, seed=seed)
        for place, epochs, seed in (("a", 1, 0), ("b", 1, 1), ("c", 1, 0))
    )
    config = again / "config.yaml"
    config.write_text(config.read_text().replace("seed: 0", "seed: 5"))
    [one], [other] = written(report.build(first)), written(report.build(second))
    one_again, repeated = written(report.build([first, again], tmp_path / "both"))
    assert one["identity"] == one_again["identity"]  # in whichever report
    assert one["identity"] != other["identity"]  # other images
    assert one["identity"] != repeated["identity"]  # another seed
    assert one["seeds"] == repeated["seeds"]  # but the same otherwise
    config.write_text(config.read_text().replace("resnet20", "resnet32"))
    assert written(report.build(again))[0]["seeds"] != one["seeds"]
