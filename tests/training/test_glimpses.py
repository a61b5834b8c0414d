"""A network of glimpses in training: what its test measures, what is recorded, and that a resumed run is the same."""

import json

import numpy as np
import pytest
import torch

from cv_attention import data, training
from cv_attention.cli import main
from cv_attention.report import Recorder
from cv_attention.training.recording.glimpses import judge_glimpses

OPTIONS = "{patch: 4, scales: 2, steps: 3, width: 16, policy: %s}"


@pytest.fixture
def options(tiny_options, tmp_path):
    given = ["--model.backbone=glimpse", "--log.saliency=[input_x_gradient]", f"--log.root={tmp_path}"]
    kept = [o for o in tiny_options if not o.startswith(("--model.options", "--model.backbone"))]
    return [*kept, *given]


def test_the_test_counts_where_the_last_glimpse_falls(options, tmp_path):
    assert main(["fit", *options, f"--model.options={OPTIONS % 'reinforce'}", "--log.name=run"]) == 0
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    classifier = training.load(training.find_checkpoint(tmp_path / "run")).eval()
    module = data.create(classifier.experiment.data)
    module.setup()
    side = module.image_size[0]
    assert summary["test"]["pixels_seen"] == pytest.approx(3 * 2 * 4 * 4 / side**2)
    generator = torch.Generator().manual_seed(0)
    for parameter in classifier.network.locator.parameters():  # last glimpses all over the image
        parameter.data = torch.randn(parameter.shape, generator=generator)
    hits, areas, images, network = 0, [], 0, classifier.network
    for batch in module.test_dataloader():
        seen = []
        handle = network.places.register_forward_hook(lambda module, given, places, seen=seen: seen.append(places))
        with torch.no_grad():
            classifier(batch["image"])
        handle.remove()
        for place, (x0, y0, x1, y1) in zip(seen[0][:, -1].tolist(), batch["box"].tolist(), strict=True):
            x, y = ((value + 1) / 2 * side for value in place)
            hits += x0 <= x < x1 and y0 <= y < y1
            areas.append((x1 - x0) * (y1 - y0) / side**2)
            images += 1
    found = judge_glimpses(classifier, module)
    assert found["glimpse_in_box"] == pytest.approx(hits / images)
    assert found["glimpse_in_box_chance"] == pytest.approx(np.mean(areas))
    assert 0 <= summary["test"]["glimpse_in_box"] <= 1


def test_networks_without_glimpses_are_not_judged(tiny_run):
    classifier = training.load(training.find_checkpoint(tiny_run)).eval()
    module = data.create(classifier.experiment.data)
    module.setup()
    assert judge_glimpses(classifier, module) == {}


@pytest.mark.long  # two runs, one of them in two parts
def test_a_resumed_run_is_the_same(options, tmp_path):
    options = [*options, f"--model.options={OPTIONS % 'reinforce'}", "--optimizer.schedule=null"]
    options.append("--log.maps_every=0")
    assert main(["fit", *options, "--log.name=whole", "--trainer.max_epochs=2"]) == 0
    assert main(["fit", *options, "--log.name=part", "--trainer.max_epochs=1"]) == 0
    assert main(["fit", "--resume", str(tmp_path / "part"), "--trainer.max_epochs=2"]) == 0
    whole, part = (
        torch.load(tmp_path / name / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
        for name in ("whole", "part")
    )
    for key, value in whole.items():
        assert torch.equal(part[key], value), key


def test_the_recorder_writes_places_from_any_loop(tmp_path):
    from cv_attention.backbones import build

    model = build("glimpse", num_classes=2, patch=4, scales=2, steps=3, width=8)
    with Recorder(tmp_path / "run", torch.rand(5, 3, 16, 16), methods=["input_x_gradient"], batch_size=2) as recorder:
        recorder.log(model, epoch=0)
    with np.load(tmp_path / "run/maps/glimpses-0000.npz") as arrays:
        assert sorted(arrays) == ["extents:places", "places:places"]
        assert arrays["places:places"].shape == (5, 3, 2)
        assert arrays["extents:places"][0, 0].tolist() == [[0.25, 0.25], [0.5, 0.5]]
    assert (tmp_path / "run/report/index.html").is_file()
