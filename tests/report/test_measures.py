import json
from pathlib import Path

import numpy as np
import pytest
import torch

from cv_attention.report.write.build import build
from cv_attention.report.write.measures import measure
from cv_attention.saliency.metrics import energy_pointing_game
from tests.report.written import only_run, payload

RNG = np.random.default_rng(0)


def test_change_is_one_minus_pearsons_correlation() -> None:
    now, before = RNG.random((5, 7, 6)), RNG.random((5, 7, 6))
    before[4] = 0.5
    found = measure(now, before, [None] * 5)["change"]
    expected = [1 - np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(now[:4], before[:4], strict=True)]
    assert found[:4] == pytest.approx(expected, rel=0.01)
    assert found[4] is None
    assert measure(now, 3 * now + 1, [None] * 5)["change"] == pytest.approx([0] * 5, abs=1e-5)
    assert "change" not in measure(now, before[:, :3], [None] * 5)
    assert "change" not in measure(now, None, [None] * 5)


def test_sparseness_is_the_gini_index() -> None:
    heat = RNG.standard_normal((3, 4, 5))
    expected = []
    for one in np.abs(heat).reshape(3, -1):
        expected.append(np.abs(one[:, None] - one[None, :]).sum() / (2 * len(one) ** 2 * one.mean()))
    assert measure(heat, None, [None] * 3)["sparseness"] == pytest.approx(expected, rel=0.01)
    assert measure(np.zeros((1, 3, 3)), None, [None])["sparseness"] == [None]
    assert measure(np.ones((2, 8)), None, [None])["sparseness"] == pytest.approx([0, 0], abs=1e-6)


def test_box_measures_by_hand() -> None:
    heat = np.array([[[1.0, 2.0], [-5.0, 1.0]]] * 4)
    boxes = [(0.5, 0, 1, 0.5), (0.25, 0, 1, 1), None, (0.0, 0.0, 0.0, 0.0)]  # the last left the image
    found = measure(heat, None, boxes)
    assert found["energy in box"] == [0.5, 0.875, None, None]
    assert found["peak in box"] == [1, 1, None, None]
    assert measure(heat[:, ::-1], None, boxes)["peak in box"] == [0, 1, None, None]
    assert "energy in box" not in measure(heat[:, 0], None, boxes)


def test_energy_is_that_of_the_saliency_metrics() -> None:
    heat = RNG.standard_normal((4, 5, 6)).astype(np.float32)
    heat[3] = -np.abs(heat[3])  # nothing positive: the fraction of the area
    boxes = [(0.0, 0.0, 0.5, 0.5), (0.1, 0.3, 0.75, 1.0), (0.0, 0.0, 1.0, 1.0), (0.25, 0.2, 1.0, 0.9)]
    pixels = torch.tensor(boxes, dtype=torch.double) * torch.tensor([6.0, 5.0, 6.0, 5.0], dtype=torch.double)
    expected = energy_pointing_game(torch.from_numpy(heat)[:, None], pixels)
    assert measure(heat, None, boxes)["energy in box"] == pytest.approx(expected.tolist(), rel=0.01)


def test_half_a_cell_is_enough_to_hold_the_peak() -> None:
    heat = np.array([[[0.0, 0.0, 0.0, 1.0]] * 4])  # the first of the largest values: row 0, column 3
    for width, hit in ((0.5, 1), (0.49, 0), (1.0, 1)):
        assert measure(heat, None, [(1 - width / 4, 0, 1, 0.25)])["peak in box"] == [hit], width


def test_not_finite_values_count_as_nothing() -> None:
    heat = np.array([[[np.nan, 2.0], [np.inf, 2.0]]])
    assert measure(heat, None, [(0, 0, 1, 0.5)])["energy in box"] == [0.5]


def test_recorded_measures_losses_names_and_flags_reach_the_page(run_directory: Path) -> None:
    path = run_directory / "maps/epoch-0002.json"
    content = json.loads(path.read_text())
    recorded = {"insertion AUC": [0.1, 0.2, 0.3, float("nan")], "torn": [1.0]}
    content |= {"losses": [0.5, None, 2.0, 3.0], "measures": {"grad_cam": recorded}}
    path.write_text(json.dumps(content))
    path = run_directory / "maps/probes.json"
    content = json.loads(path.read_text())
    content["probes"][1] |= {"name": "/home/somebody/photos/cat.jpg", "flags": ["blurred"]}
    path.write_text(json.dumps(content))
    index = build(run_directory)
    run = only_run(index)
    assert run["probes"][1]["name"] == "cat.jpg"
    assert run["probes"][1]["flags"] == ["blurred"]
    assert "name" not in run["probes"][0]
    epoch = run["epochs"][1]
    assert epoch["losses"] == [0.5, None, 2.0, 3.0]
    measures = payload(index.parent / f"data/run0/e2-measures.{epoch['measures']}.js")["0"]
    assert measures["insertion AUC"] == [0.1, 0.2, 0.3, None]
    assert "torn" not in measures
    assert {"change", "sparseness", "energy in box", "peak in box"} < set(measures)


def test_losses_follow_from_the_probabilities(run_directory: Path) -> None:
    run = only_run(build(run_directory))
    probabilities = json.loads((run_directory / "maps/epoch-0004.json").read_text())["probabilities"]
    labels = [probe["label"] for probe in run["probes"]]
    expected = [-np.log(row[label]) for row, label in zip(probabilities, labels, strict=True)]
    assert run["epochs"][2]["losses"] == pytest.approx(expected, rel=1e-3)
