"""The share of test images on which the weights of an attention pooling point into the true box."""

import json

import pytest
import torch
import torch.nn.functional as F

from cv_attention import data, saliency, training
from cv_attention.blocks import create
from cv_attention.cli import main
from cv_attention.training.recording.pointing import point, pooling_map
from tests.references import pooling


def test_counts_where_the_largest_weight_lies(tiny_options, tmp_path):
    options = ["--model.block=additive", "--model.at=pool", f"--log.root={tmp_path}", "--log.name=pool"]
    assert main(["fit", *tiny_options, *options]) == 0
    summary = json.loads((tmp_path / "pool" / "summary.json").read_text())
    assert [site["block"] for site in summary["sites"]] == ["layer3.2.attention"]
    classifier = training.load(training.find_checkpoint(tmp_path / "pool")).eval()
    module = data.create(classifier.experiment.data)
    module.setup()
    assert summary["test"]["pointing_attention"] == pytest.approx(hits(classifier, module) / 30)
    for seed in range(50):  # weights that point all over the image
        torch.manual_seed(seed)
        for parameter in classifier.network.layer3[2].attention.parameters():
            parameter.data.normal_()
        if 0 < hits(classifier, module) < 30:
            break
    assert 0 < hits(classifier, module) < 30
    assert point(classifier, module)["pointing_attention"] == pytest.approx(hits(classifier, module) / 30)


def hits(classifier, module):
    """Counts the test images whose largest weight lies in the box, with weights by the paper's equation."""
    block, inputs, found = classifier.network.layer3[2].attention, [], 0
    handle = block.register_forward_pre_hook(lambda block, given: inputs.append(given[0]))
    for batch in module.test_dataloader():
        with torch.no_grad():
            classifier(batch["image"])
            gate = pooling.additive(block, inputs.pop())[1]
        heat = F.interpolate(gate, size=batch["image"].shape[-2:], mode="bilinear")[:, 0]
        for one, (left, top, right, bottom) in zip(heat, batch["box"].tolist(), strict=True):
            row, column = divmod(one.argmax().item(), one.shape[1])
            found += left <= column < right and top <= row < bottom
    handle.remove()
    return found


def test_grad_cam_of_the_true_class_is_judged_where_the_network_is_wrong(tiny_run):
    classifier = training.load(training.find_checkpoint(tiny_run)).eval()
    module = data.create(classifier.experiment.data)
    module.setup()
    torch.manual_seed(0)
    torch.nn.init.normal_(classifier.network.fc.weight)  # knows nothing, and has another map for each class
    counts = {"true": [], "predicted": []}
    for batch in module.test_dataloader():
        inputs = classifier.normalise(batch["image"])
        predicted = classifier.network(inputs).argmax(1)
        assert (predicted != batch["label"]).any()
        for of, classes in (("true", batch["label"]), ("predicted", predicted)):
            heat = saliency.grad_cam(classifier.network, inputs, classes)[:, 0]
            for one, (left, top, right, bottom) in zip(heat, batch["box"].tolist(), strict=True):
                row, column = divmod(one.argmax().item(), one.shape[1])
                counts[of].append(left <= column < right and top <= row < bottom)
    shares = {of: sum(hit) / len(hit) for of, hit in counts.items()}
    assert shares["true"] != shares["predicted"], "nothing would be shown"
    assert point(classifier, module)["pointing"] == pytest.approx(shares["true"])


def test_other_blocks_have_no_such_figure(tiny_summary):
    assert "pointing" in tiny_summary["test"]
    assert "pointing_attention" not in tiny_summary["test"]


def test_the_last_map_of_the_last_pooling():
    blocks = {"first": create("gated", 8), "between": create("cbam_spatial", 8), "last": create("class_attention", 8)}
    assert pooling_map(torch.nn.ModuleDict(blocks)) == "last.layers.1.map"
    assert pooling_map(torch.nn.ModuleDict({"between": blocks["between"]})) is None
