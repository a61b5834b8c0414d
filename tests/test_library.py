"""The library in five lines, on the models that people bring."""

import json
import subprocess
import sys

import pytest
import torch

import cv_attention as cva
from tests.quick import quick_first


@pytest.mark.parametrize(
    "name",
    quick_first(["torchvision/convnext_tiny", "torchvision/mobilenet_v3_large", "timm/resnet50"], 2),
)
@pytest.mark.parametrize("block", quick_first(["cbam", "eca"]))
def test_insert_look_explain_remove(name, block):
    torch.manual_seed(0)
    model, images = cva.backbones.build(name).eval(), torch.randn(1, 3, 96, 96)
    modules, before = dict(model.named_modules()), {key: value.clone() for key, value in model.state_dict().items()}
    with torch.no_grad():
        expected = model(images)

    table = str(cva.plan(model, block, at="residual", init="identity"))
    assert dict(model.named_modules()).keys() == modules.keys()
    plan = cva.insert(model, block, at="residual", init="identity")
    assert str(plan) == table
    with torch.no_grad(), cva.record(model) as maps:
        attended = model(images)
    torch.testing.assert_close(attended, expected, rtol=0, atol=1e-6)
    assert sum(recorded.kind == "channel" for recorded in maps.values()) >= len(plan.sites)
    heat = cva.saliency.grad_cam(model, images)
    assert heat.shape == (1, 1, 96, 96)
    cva.remove(model)

    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[key], value) for key, value in before.items())
    assert {name: id(module) for name, module in model.named_modules()} == {n: id(m) for n, m in modules.items()}


def test_type_checkers_see_every_block(tmp_path):
    names = sorted({entry.path.rpartition(".")[2] for entry in cva.blocks.CATALOGUE.values()})
    assert set(names) <= set(cva.blocks.__all__)
    lines = [f"reveal_type(blocks.{name})" for name in names]
    lines += ["reveal_type(cva.plan)", "reveal_type(cva.overlay)", "blocks.CBAM(64, reductoin=8)"]
    outside = tmp_path / "outside.py"
    outside.write_text("\n".join(["import cv_attention as cva", "from cv_attention import blocks", *lines]))
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, str(outside)]
    said = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
    revealed = [each["message"] for each in said["generalDiagnostics"] if each["severity"] == "information"]
    assert [f'"type[{name}]"' in message for name, message in zip(names, revealed, strict=False)] == [True] * len(names)
    assert ["model: Module" in revealed[-2], "image: " in revealed[-1]] == [True, True]
    errors = [each["message"] for each in said["generalDiagnostics"] if each["severity"] == "error"]
    assert errors == ['No parameter named "reductoin"']
