"""What `import cv_attention` and the first use of its functions import."""

import json
import subprocess
import sys

USE = """
import json, sys
import torch
before = set(sys.modules)
import cv_attention as cva
if sys.argv[1] == "used":
    cva.plan, cva.insert, cva.record, cva.to_heatmap, cva.saliency.grad_cam, cva.blocks.CBAM, cva.heads.build
print(json.dumps(sorted(set(sys.modules) - before)))
"""
SLOW = {
    "torch._dynamo",
    "torch._inductor",
    "triton",
    "sympy",
    "scipy",
    "torchvision",
    "timm",
    "lightning",
    "albumentations",
}


def imported(how):
    done = subprocess.run([sys.executable, "-c", USE, how], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_the_import_is_that_of_torch():
    assert not imported("alone") & (SLOW | {"PIL", "cv_attention.blocks", "cv_attention.saliency"})


def test_functions_are_imported_without_slow_packages():
    found = imported("used")
    assert {"cv_attention.backbones", "cv_attention.maps", "cv_attention.saliency"} <= found
    assert not found & SLOW
