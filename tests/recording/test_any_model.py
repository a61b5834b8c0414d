"""Models as training loops have them: wrapped, in another precision, diverged; maps of any magnitude."""

import json
import warnings

import lightning
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

import cv_attention as cva
from cv_attention.recording.snapshots.columns import compact
from cv_attention.report.read.run_directory import read_run
from tests.recording.nets import CLASSES, LABELS, Net, column, record_json


def logged(run, model, images, **options):
    recorder = cva.report.Recorder(run, images, LABELS, CLASSES, **options)
    recorder.log(model, 0)
    recorder.faithfulness(model, points=2)
    recorder.close()
    return record_json(run)


@pytest.fixture
def alone(tmp_path):
    """A process group of one process."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def test_one_process_of_several_logs_alone(tmp_path, model, images, alone, monkeypatch):
    """The forward of DistributedDataParallel exchanges buffers, for which it would wait for the other processes."""
    wrapped = DistributedDataParallel(model)
    expected = logged(tmp_path / "bare", model, images)
    monkeypatch.setattr(DistributedDataParallel, "forward", None)
    assert logged(tmp_path / "wrapped", wrapped, images) == expected


@pytest.mark.parametrize("kind", ["average", "32-true", "bf16-mixed"])
def test_wrappers_change_nothing(tmp_path, model, images, kind):
    expected = logged(tmp_path / "bare", model, images)
    if kind == "average":
        wrapped = AveragedModel(model)
    else:
        wrapped = lightning.Fabric(accelerator="cpu", devices=1, precision=kind).setup(model)
    assert logged(tmp_path / "wrapped", wrapped, images) == expected
    assert "backbone: Net" in (tmp_path / "wrapped/config.yaml").read_text()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_inputs_have_the_type_of_the_model(tmp_path, model, images, dtype):
    found = logged(tmp_path / "other", model.to(dtype), images, mean=0.5, std=0.25)
    model.eval()
    with torch.no_grad():
        probabilities = model(((images - 0.5) / 0.25).to(dtype)).float().softmax(1)
    np.testing.assert_allclose(found["probabilities"], probabilities.numpy(), atol=1e-5)


@pytest.mark.parametrize("value", [float("nan"), 1e30])
def test_a_diverged_model_is_recorded(tmp_path, images, value):
    model = Net()
    cva.insert(model, "se", ["conv1"], input_size=(12, 10))
    nn.init.constant_(model.get_parameter("conv1.0.weight"), value)
    nn.init.constant_(model.classify.weight, value)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        recorder = cva.report.Recorder(tmp_path / "run", images, LABELS, CLASSES)
        recorder.log(model, 0, val_loss=float("nan"))
        recorder.close()
    notices = read_run(tmp_path / "run").notices
    assert all("was infinite or not a number once; its curve leaves that out" in notice for notice in notices)
    assert any(notice.startswith("val_loss ") for notice in notices)


def test_a_loss_with_its_graph_is_a_number(tmp_path, model, images):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cva.report.Recorder(tmp_path / "run", images).log(model, 0, loss=model(images).sum())
    assert (tmp_path / "run/metrics/0/metrics.csv").is_file()


@pytest.mark.parametrize("scale", [1e9, 1e-9])
def test_maps_beyond_float16_keep_their_values(tmp_path, model, images, scale):
    def scaled(model: nn.Module, images: torch.Tensor, targets: torch.Tensor | None = None) -> torch.Tensor:
        return images.mean(1, keepdim=True) * scale

    cva.report.Recorder(tmp_path / "run", images, methods=[scaled]).log(model, 0)
    np.testing.assert_allclose(column(tmp_path / "run", "scaled"), images.mean(1).numpy() * scale, rtol=1e-3)


def test_maps_are_compact_where_float16_holds_them():
    maps = torch.rand(3, 4, 5)
    maps[1] = 0
    assert compact(maps).dtype == np.float16
    maps[2, 0, 0] = float("nan")
    assert compact(maps).dtype == np.float16
    assert compact(1e6 * maps).dtype == np.float32
    assert json.dumps(compact(maps[1:2]).tolist()) == json.dumps(np.zeros((1, 4, 5)).tolist())
