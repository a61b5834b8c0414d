"""The evaluation of saliency: its cells against the metrics called one by one, its tables, its mistakes."""

import csv
import json

import pytest
import torch

from cv_attention import judging, record, saliency, training
from cv_attention.cli import main
from cv_attention.judging.judge import Judge
from cv_attention.judging.measures import MEASURES, NAMES, Case, Measure
from cv_attention.saliency import metrics
from cv_attention.saliency.metrics.agreement import rank_correlations

SLOW = {"road", "arcc", "smooth_randomisation"}
METHODS = ["grad_cam", "gradient", "block_maps", "attention_rollout"]


@pytest.fixture(scope="module")
def judged(tiny_checkpoint):
    quick = [name for name in NAMES if name not in SLOW]
    return judging.evaluate_saliency(
        tiny_checkpoint, methods=METHODS, measures=quick, images=10, batch_size=6, mosaics=3, target="true"
    )


@pytest.fixture(scope="module")
def examples(tiny_checkpoint):
    """The same images at once: the first of each class."""
    from cv_attention import data

    classifier = training.load(tiny_checkpoint)
    datamodule = data.create(classifier.experiment.data, seed=0)
    datamodule.setup()
    split = datamodule.splits["test"]
    labels = split.images.labels
    chosen = sorted((label, index) for label in range(10) for index in (labels == label).nonzero()[0][:1].tolist())
    batch = split.batch([(0, index) for _, index in chosen])
    return classifier, classifier.normalise(batch["image"]), batch["label"], batch["box"]


def test_cells_are_the_means_of_the_metrics(judged, examples):
    classifier, images, labels, boxes = examples
    network = classifier.network
    assert judged.facts["images"] == 10
    for name in ("grad_cam", "gradient", "random_map"):
        heat = saliency.METHODS[name](network, images, labels).detach()
        if name == "random_map":  # another one for each image, whatever its batch
            heat = torch.cat([saliency.METHODS[name](None, images[i : i + 1], seed=i) for i in range(10)])
        expected = {
            "insertion_auc": metrics.insertion_auc(network, images, heat, labels).auc,
            "deletion_auc": metrics.deletion_auc(network, images, heat, labels).auc,
            "average_drop": metrics.confidence_change(network, images, heat, labels).drop,
            "infidelity": metrics.infidelity(network, images, heat, labels),
            "pointing": metrics.pointing_game(heat, boxes),
            "energy_pointing": metrics.energy_pointing_game(heat, boxes),
        }
        for measure, values in expected.items():
            mean = values.double().mean().item()
            found = judged.table[name][measure]
            assert found.mean == pytest.approx(mean, rel=1e-3, abs=1e-5), (name, measure)
            assert found.low <= found.mean <= found.high


def test_insertion_and_deletion_in_fewer_steps(tiny_checkpoint, examples):
    classifier, images, labels, _ = examples
    judged = judging.evaluate_saliency(
        tiny_checkpoint,
        methods=["gradient"],
        measures=["insertion_auc", "deletion_auc"],
        images=10,
        target="true",
        steps=6,
    )
    heat = saliency.METHODS["gradient"](classifier.network, images, labels).detach()
    pixels = -(-heat[0].numel() // 6)
    for name, curve in (("insertion_auc", metrics.insertion_auc), ("deletion_auc", metrics.deletion_auc)):
        found = curve(classifier.network, images, heat, labels, step=pixels)
        assert found.curve.shape == (10, 7)  # both ends
        assert judged.table["gradient"][name].mean == pytest.approx(found.auc.mean().item(), rel=1e-3)
    patches = metrics.selectivity(classifier.network, images, heat, labels, patch=8, step=3)
    case = Case(classifier.network, saliency.METHODS["gradient"], images, labels, heat, steps=6)
    assert patches.curve.shape == (10, 7)  # 16 patches, three at a time
    torch.testing.assert_close(MEASURES["selectivity"].compute(case), patches.auc)
    assert "in 6 steps" in judging.printed(judged, 200)
    with pytest.raises(ValueError, match="steps must be positive, got 0"):
        judging.evaluate_saliency(tiny_checkpoint, methods=["gradient"], images=2, steps=0)
    with pytest.raises(ValueError, match="steps must be positive, got -1"):
        judging.tune_saliency(tiny_checkpoint, "gradient", {"channels": ["sum"]}, images=4, steps=-1)


@pytest.mark.parametrize("measure", ["pointing", "energy_pointing"])
def test_objects_at_the_edges_count_and_those_that_a_crop_lost_do_not(measure):
    boxes = torch.tensor([[0, 0, 4, 4], [0, 3, 5, 8], [2, 0, 8, 3], [3, 3, 6, 6], [0, 0, 0, 0], [0, 0, 8, 8]]).float()
    heat = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = []
    for (left, top, right, bottom), [one] in zip(boxes.int().tolist(), heat, strict=True):
        if measure == "energy_pointing":
            expected.append(float(one[top:bottom, left:right].sum() / one.sum()))
        else:
            row, column = divmod(int(one.argmax()), 8)
            expected.append(float(left <= column < right and top <= row < bottom))
    del expected[4]  # the lost one
    case = Case(torch.nn.Identity(), saliency.METHODS["gradient"], heat, torch.zeros(6), heat, boxes)
    assert MEASURES[measure].compute(case).tolist() == pytest.approx(expected)
    lost = Case(torch.nn.Identity(), saliency.METHODS["gradient"], heat, torch.zeros(6), heat, torch.zeros(6, 4))
    assert MEASURES[measure].compute(lost).tolist() == []


def test_mosaics_are_made_of_images_that_are_classified_correctly(tiny_checkpoint, monkeypatch):
    """An untrained network is right on a few images only, which are neither the first nor next to each other."""
    seen = []
    monkeypatch.setattr(Judge, "play_grid", lambda judge, batch, *counts: seen.append((judge, batch, *counts)))
    judging.evaluate_saliency(
        tiny_checkpoint, methods=["gradient"], measures=["grid_pointing"], images=30, batch_size=8, mosaics=5
    )
    [(judge, batch, count, at_once)] = seen
    assert at_once == 2, "mosaics, of the pixels of eight images"
    predicted = judge.network(judge.classifier.normalise(batch["image"])).argmax(1)
    assert count == 5
    assert predicted.tolist() == batch["label"].tolist()
    assert len(predicted) == int(judge.right.sum()) > 0, "all of them: there are fewer than for five mosaics"


def test_baselines_stand_beside_and_what_does_not_work_is_told(judged):
    assert list(judged.table) == ["grad_cam", "gradient", "block_maps", "random_map", "centre_bias"]
    assert "attention_rollout" in judged.left_out
    assert judged.table["random_map"]["randomisation"].mean == pytest.approx(1)
    assert judged.table["centre_bias"]["max_sensitivity"].mean == 0
    assert set(judged.table["grad_cam"]) >= set(NAMES) - {"grid_pointing"} - SLOW


def test_agreement_is_the_mean_rank_correlation(judged, examples):
    classifier, images, labels, _ = examples
    network = classifier.network
    heats = {name: saliency.METHODS[name](network, images, labels).detach() for name in METHODS[:3]}
    both = metrics.rank_correlation(heats["grad_cam"], heats["gradient"])
    third = metrics.rank_correlation(heats["grad_cam"], heats["block_maps"])
    assert judged.agreement["grad_cam"]["gradient"] == pytest.approx(both.mean().item(), abs=1e-4)
    assert judged.agreement["gradient"]["gradient"] == pytest.approx(1)
    assert judged.table["grad_cam"]["agreement"].mean == pytest.approx(((both + third) / 2).mean().item(), abs=1e-4)
    assert judged.table["grad_cam"]["attention"].mean == pytest.approx(third.mean().item(), abs=1e-4)
    assert "attention" not in judged.table["block_maps"]  # it is the attention


def test_each_block_is_compared_with_what_explains_a_class(judged, examples):
    classifier, images, labels, _ = examples
    assert len(judged.attention) == 9  # one spatial gate for each residual unit
    assert all(set(row) == {"grad_cam", "gradient"} for row in judged.attention.values())
    name, row = list(judged.attention.items())[-1]
    with torch.no_grad(), record(classifier.network) as maps:
        classifier.network(images)
    gate = torch.nn.functional.interpolate(maps[name].values, (32, 32), mode="bilinear", align_corners=False)
    heat = saliency.grad_cam(classifier.network, images, labels)
    assert row["grad_cam"].mean == pytest.approx(metrics.rank_correlation(gate, heat).mean().item(), abs=1e-3)


def test_a_network_without_attention_and_a_failing_measure_are_told(plain_checkpoint, monkeypatch):
    def fail(case):
        raise RuntimeError("too small")

    monkeypatch.setattr("cv_attention.judging.measures.MEASURES", {**MEASURES, "road": Measure("high", fail)})
    wanted = ["road", "energy_pointing", "attention", "agreement"]
    found = judging.evaluate_saliency(plain_checkpoint, methods=["grad_cam"], measures=wanted, images=10, batch_size=5)
    assert set(found.left_out) == {"attention", *(f"road of {name}" for name in found.table)}
    assert set(found.table["grad_cam"]) == {"energy_pointing"}  # agreement needs another method
    assert set(found.table["random_map"]) == {"energy_pointing", "agreement"}


@pytest.mark.parametrize("width", [60, 100, 1000])
def test_what_does_not_fit_the_terminal_stands_below(width, judged):
    text = judging.printed(judged, width)
    if width == 1000:
        assert len(text.splitlines()[2].split("  ")) > len(NAMES) - len(SLOW)
    blocks = [block.splitlines() for block in text.split("\n\n")]
    assert all(len(line) <= width for block in blocks if len(block) > 1 for line in block)
    for name, row in judged.table.items():
        cells = " ".join(line for block in blocks for line in block if line.split()[0] == name)
        assert [measure for measure, found in row.items() if str(found) not in cells] == []


def test_rank_correlations_are_those_of_pairs():
    maps = [torch.rand(3, 1, 5, 7), torch.rand(3, 1, 5, 7).round(decimals=1), torch.ones(3, 1, 5, 7)]
    found = rank_correlations(maps)
    for i, first in enumerate(maps):
        for j, second in enumerate(maps):
            torch.testing.assert_close(found[:, i, j], metrics.rank_correlation(first, second))


def test_the_command_prints_and_writes_one_table(tiny_checkpoint, examples, tmp_path, capsys):
    classifier, images, labels, _ = examples
    options = ["--images=4", "--methods", "grad_cam", "--measures", "road", "energy_pointing", "--target=true"]
    assert main(["evaluate-saliency", str(tiny_checkpoint), "-o", str(tmp_path / "out"), *options]) == 0
    printed = capsys.readouterr().out
    assert [line.split()[0] for line in printed.splitlines()[3:6]] == ["grad_cam", "random_map", "centre_bias"]
    content = json.loads((tmp_path / "out/saliency.json").read_text())
    heat = saliency.grad_cam(classifier.network, images[:4], labels[:4])
    road = metrics.road(classifier.network, images[:4], heat, labels[:4], probabilities=True).combined
    assert content["table"]["grad_cam"]["road"]["mean"] == pytest.approx(road.mean().item(), rel=1e-3, abs=1e-5)
    rows = list(csv.DictReader((tmp_path / "out/saliency.csv").read_text().splitlines()))
    assert len(rows) == 6
    for row in rows:
        cell = content["table"][row["method"]][row["measure"]]
        assert float(row["mean"]) == pytest.approx(cell["mean"])
        shown = f"{cell['mean']:.3f} [{cell['low']:.3f}, {cell['high']:.3f}]"
        assert shown in printed
        assert shown in (tmp_path / "out/saliency.md").read_text()


@pytest.mark.parametrize(
    ("option", "words"),
    [("--methods=[grad_cm]", "grad_cam"), ("--measures=[rode]", "road"), ("--images=0", "images")],
)
def test_mistakes_are_one_line(option, words, tiny_checkpoint, tmp_path, capsys):
    options = option.replace("=[", " ").rstrip("]").split()
    assert main(["evaluate-saliency", str(tiny_checkpoint), "-o", str(tmp_path / "out"), *options]) == 2
    printed = capsys.readouterr().err
    assert words in printed.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_mosaics_are_explained_in_parts(examples):
    """A mosaic has the pixels of four images: with gradients of photographs, sixteen at once took all the memory."""
    classifier, images, labels, _ = examples
    seen = []

    def watching(model, images, targets=None):
        seen.append(len(images))
        return saliency.METHODS["gradient"](model, images, targets)

    found = {}
    for at_once in (2, 100):
        judge = Judge(classifier, {"watching": watching}, {"grid_pointing": None}, {}, target="true", seed=0)
        judge.play_grid({"image": images, "label": labels}, 5, at_once)
        found[at_once] = judge.values("grid_pointing")["watching"]
    assert seen == [2, 2, 1] * 4 + [5] * 4
    assert found[2] == pytest.approx(found[100], rel=1e-3)
