"""Studies of pretrained networks: photographs of several sizes are prepared as the weights expect."""

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from cv_attention.study import make_plan
from cv_attention.study.design.matching import Matching
from cv_attention.study.opening import open_images
from cv_attention.study.price import measured_steps
from tests.study.written import write_study


@pytest.fixture
def plan(tmp_path):
    for number in range(12):
        path = tmp_path / "photographs" / ("train", "val")[number > 7] / f"class{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (40 + 3 * number, 60, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    torch.save(timm.create_model("test_resnet").state_dict(), tmp_path / "weights.pth")
    configuration = {
        "data": {"name": "folder", "root": str(tmp_path / "photographs"), "batch_size": 4, "workers": 0},
        "model": {"backbone": "timm/test_resnet", "weights": str(tmp_path / "weights.pth")},
        "trainer": {"max_epochs": 1, "accelerator": "cpu", "devices": 1, "precision": "32-true"},
    }
    return make_plan(write_study(tmp_path / "study", configuration=configuration))


def test_images_are_prepared_as_the_weights_expect(plan):
    experiment = plan.experiments["plain", plan.recipes[0]]
    images = open_images(experiment)
    expected = timm.get_pretrained_cfg("test_resnet")
    assert images.image_size == expected.input_size[1:]
    assert {tuple(sample["image"].shape) for sample in images.splits["train"]} == {expected.input_size}
    assert tuple(images.mean) == pytest.approx(expected.mean)


def test_steps_and_costs_are_measured_on_them(plan):
    steps = measured_steps(plan.experiments, 1)
    assert set(steps) == set(plan.experiments)
    assert all(step.seconds > 0 for step in steps.values())
    plain, attended = (plan.experiments[arm, plan.recipes[0]] for arm in ("plain", "se"))
    assert Matching()._size(plain) == timm.get_pretrained_cfg("test_resnet").input_size[1:]
    assert Matching()._size(attended) == Matching()._size(plain)
