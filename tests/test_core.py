"""The package without its extras: what an own network needs works, and what is missing names its extra."""

import subprocess
import sys

from cv_attention.extras import EXTRAS

# Python as if the packages of all extras were not installed.
WITHOUT = """
import sys

class Without:
    def __init__(self, finder, names):
        self.finder, self.names = finder, names
    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in self.names else self.finder.find_spec(name, path, target)

sys.meta_path = [Without(finder, {names!r}) for finder in sys.meta_path]
"""

OWN_NETWORK = """
import numpy as np
import torch
from torch import nn
import cv_attention as cva

class Unit(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels)
    def forward(self, x):
        return torch.relu(x + self.norm(self.conv(x)))

model = nn.Sequential(nn.Conv2d(3, 8, 3), Unit(8), nn.Conv2d(8, 16, 3, 2), Unit(16), nn.AdaptiveAvgPool2d(1),
                      nn.Flatten(), nn.Linear(16, 4)).eval()
images = torch.randn(2, 3, 32, 32)
plain = model(images)
assert len(cva.plan(model, "cbam", at="residual").sites) == 2
cva.insert(model, "cbam", at="residual", init="identity")
assert torch.equal(model(images), plain)
with cva.record(model) as maps:
    model(images)
assert len(maps) == 4
assert len(cva.usage(model, images).blocks) == 2
heat = cva.saliency.grad_cam(model, images)
assert cva.overlay(np.zeros((32, 32, 3), np.uint8), heat[:1]).shape == (32, 32, 3)
assert cva.saliency.metrics.rank_correlation(heat, heat).mean() > 0.99
cva.remove(model)
assert type(cva.backbones.build("resnet20")).__name__ == "CifarResNet"
"""

MISSING = """
from cv_attention.extras import MissingPackage
for use in (lambda: cva.backbones.build("resnet50"), lambda: cva.training, lambda: cva.data, lambda: cva.report,
            lambda: cva.saliency.attention_flow(model, images), lambda: cva.saliency.lime(model, images)):
    try:
        use()
    except MissingPackage as error:
        print(error)
from cv_attention.cli import main
print(main(["plan", "resnet20"]))
"""


def python(*parts):
    names = {package for extra in EXTRAS.values() for package in extra}
    script = "".join((WITHOUT.replace("{names!r}", repr(names)), *parts))
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)


def test_own_networks_need_torch_numpy_and_pillow_alone():
    done = python(OWN_NETWORK, MISSING)
    assert done.returncode == 0, done.stderr
    install = "pip (or uv pip) install 'cv_attention[{}]'"
    *features, code = done.stdout.splitlines()
    assert features == [
        f"backbone 'resnet50' needs torchvision: {install.format('train')}",
        *(
            f"cv_attention.{name} needs torchvision: {install.format('train')}"
            for name in ("training", "data", "report")
        ),
        f"attention_flow needs scipy: {install.format('flow')}",
        f"lime needs captum: {install.format('captum')}",
    ]
    assert (code, done.stderr.splitlines()[-1]) == (
        "2",
        f"cv-attention: error: the command line needs torchvision: {install.format('train')}",
    )
