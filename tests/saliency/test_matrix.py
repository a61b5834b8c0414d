"""Every saliency method with every kind of model: the map written out, or a clear refusal, and nothing else."""

import inspect
from functools import cache

import pytest
import torch

from cv_attention import saliency as s
from tests.saliency.oracles import Oracle
from tests.saliency.zoo import KINDS, model_of

ALL = frozenset(KINDS)
CLASSES = {"one label", "one channel", "not square", "video", "volume", "two inputs"}
DEEP = {"video", "volume"}
WITH_RELU = ALL - {"video", "CLIP"}
# The kinds for which a method is not defined, and what it says.
REFUSED = {
    "finer_cam": (ALL - CLASSES, "Finer-CAM compares classes|at least two classes"),
    "cam": ((ALL - CLASSES - {"one output"}) | {"video", "two inputs"}, "CAM uses the weights|CAM is not defined"),
    "full_grad": (DEEP, "full_grad takes images .*, not volumes"),
    "guided_backprop": (ALL - WITH_RELU, "runs no ReLU"),
    "extremal_perturbation": (DEEP, "extremal_perturbation takes images .*, not volumes"),
    "block_maps": (ALL - {"DETR", "SegFormer", "CLIP"}, "no attention map to record|no attention maps over positions"),
    "attention_rollout": (ALL - {"video", "CLIP"}, "no scaled dot-product|several sizes|from other queries"),
    "attention_flow": (ALL - {"video", "CLIP"}, "no scaled dot-product|several sizes|from other queries"),
    "gradient_attention": (ALL - {"video", "CLIP"}, "no scaled dot-product|several sizes|from other queries"),
    "itti_koch_niebur": (DEEP | {"one channel"}, "colour opponency needs RGB|not volumes"),
    "spectral_residual": (DEEP, "spectral_residual takes images .*, not volumes"),
}
FREE = {"itti_koch_niebur", "spectral_residual", "random_map", "centre_bias"}
QUICK = {"one output", "dict", "volume", "CNN with GRU"}


@cache
def oracle(kind):
    return Oracle(model_of(kind), KINDS[kind])


def explain(name, kind):
    found, method = KINDS[kind], s.METHODS[name]
    options = dict(oracle(kind).options(name))
    if found.args and name not in FREE:
        options["forward_args"] = found.args
    if "upsample" in inspect.signature(method).parameters and name != "block_maps":
        options["upsample"] = False
    return method(model_of(kind), found.images(), found.target, **options)


def cells():
    for name in s.METHODS:
        for kind in KINDS:
            slow = kind not in QUICK or name in ("extremal_perturbation", "lime", "attention_flow")
            yield pytest.param(name, kind, marks=[pytest.mark.long] if slow else [])


@pytest.mark.parametrize(("name", "kind"), cells())
def test_a_map_or_a_refusal(name, kind):
    torch.manual_seed(0)
    refused, message = REFUSED.get(name, (frozenset(), ""))
    if kind in refused:
        with pytest.raises(ValueError, match=message):
            explain(name, kind)
        return
    heat = explain(name, kind)
    written = oracle(kind).free(name) if name in FREE else getattr(oracle(kind), name)()
    torch.testing.assert_close(heat, written.detach(), rtol=2e-3, atol=2e-4 * float(written.abs().max()) + 1e-12)


def test_every_method_is_in_the_matrix():
    assert {name for name in s.METHODS if name not in FREE and not hasattr(Oracle, name)} == set()
