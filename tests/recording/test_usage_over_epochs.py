"""How much each block is used, recorded in every epoch, against the same computed plainly from its input and output."""

import numpy as np
import pytest
import torch

import cv_attention as cva
from cv_attention import report
from tests.recording.nets import CLASSES, LABELS, Net, record_json
from tests.report.node import call
from tests.report.written import only_run

BLOCK = "conv1.2.attention"


def plainly(model, images) -> dict[str, float]:
    """The same in a few lines of torch, from what goes into the block and comes out of it."""
    seen = {}

    def see(_, args, output):
        seen.update(x=args[0], y=output)

    model.eval()
    hook = model.get_submodule(BLOCK).register_forward_hook(see)
    with torch.no_grad():
        model(images)
    hook.remove()
    x, y = seen["x"], seen["y"]
    by_channel = (x * y).sum((2, 3)) / (x * x).sum((2, 3))
    by_position = (x * y).sum(1) / (x * x).sum(1).clamp(min=1e-30)

    def spread(values, dim):
        return values.std(dim, correction=0) / values.mean(dim).abs()

    return {
        "change": float((y - x).norm() / x.norm()),
        "over_images": float(spread(by_channel, 0).mean()),
        "over_channels": float(spread(by_channel.mean(0), 0)),
        "over_positions": float(spread(by_position.flatten(1), 1).mean()),
    }


def test_each_epoch_records_how_much_its_blocks_are_used(tmp_path, model, images):
    run, expected = tmp_path / "run", []
    with report.Recorder(run, images, LABELS, CLASSES, batch_size=4) as recorder:  # two forwards
        for epoch in range(3):
            with torch.no_grad():
                for parameter in model.get_submodule(BLOCK).parameters():
                    parameter.mul_(3)
            recorder.log(model, epoch)
            expected.append(plainly(model, images))
    assert expected[0]["change"] != pytest.approx(expected[2]["change"], rel=0.01)
    for epoch, one in enumerate(expected):
        assert record_json(run, epoch)["blocks"] == {BLOCK: pytest.approx(one, rel=2e-4, abs=1e-6)}
    page = only_run(run / "report/index.html")
    assert [epoch["blocks"][BLOCK]["change"] for epoch in page["epochs"]] == pytest.approx(
        [one["change"] for one in expected], rel=2e-4
    )


def test_networks_without_blocks_record_none(tmp_path, images):
    report.Recorder(tmp_path / "run", images, LABELS, CLASSES).log(Net(), 0)
    assert record_json(tmp_path / "run")["blocks"] == {}
    assert "blocks" not in only_run(report.build(tmp_path / "run"))["epochs"][0]


def test_it_is_what_usage_measures_and_the_model_is_left_as_it_was(tmp_path, model, images):
    hooks = [len(module._forward_hooks) for module in model.modules()]
    report.Recorder(tmp_path / "run", images, LABELS, CLASSES).log(model, 0)
    assert [len(module._forward_hooks) for module in model.modules()] == hooks
    [block] = cva.usage(model, images).blocks
    measured = {name: value for name, value in vars(block).items() if name != "block"}
    assert record_json(tmp_path / "run")["blocks"] == {BLOCK: pytest.approx(measured, rel=1e-4)}


RUN = """
const blocks = (change) => ({ "layer1.attention": { change, over_positions: 0.2 } });
const epochs = [
    { epoch: -1, step: 0, blocks: blocks(0) }, { epoch: 0, step: null }, { epoch: 1, step: 20, blocks: blocks(0.3) },
];
globalThis.location = { hash: "" };
globalThis.cvAttentionReport = { runs: [{ epochs, columns: [], classes: [], probes: [], series: {}, panels: {
    network: { sites: [{ block: "layer1.attention", change: 0.5, over_positions: 0.1 }] } } }] };
"""


def test_the_page_draws_it_over_the_epochs_and_above_each_column():
    files = ("panels/usage.js", "core/format.js", "core/report.js")
    [line] = call('usageLines(report.runs[0], "change")', *files, before=RUN)
    assert (line["label"], line["hidden"]) == ("layer1", False)
    np.testing.assert_allclose(line["points"], [[0, 0, 0, 0], [2, 2, 20, 0.3]])
    words = 'report.runs[0].epochs.map((one) => usageOf(report.runs[0], { title: "layer1.attention.map" }, one).text)'
    assert call(words, *files, before=RUN) == [
        "changes 0.0 %, varies 20.0 %",
        "changes 50.0 %, varies 10.0 %",  # as measured at the end, where the epoch was not
        "changes 30.0 %, varies 20.0 %",
    ]
