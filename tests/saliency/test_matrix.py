"""Every saliency method with every kind of model: the map written out, or a clear refusal, and nothing else."""

import inspect
from functools import cache
from pathlib import Path

import pytest
import torch

from cv_attention import saliency as s
from tests.saliency.matrix import REFUSED, UNWRITTEN, methods, table
from tests.saliency.oracles import FREE, Oracle
from tests.saliency.zoo import KINDS, model_of

QUICK = {"one output", "dict", "CNN with GRU"}


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
    for name in methods():
        for kind in KINDS:
            if (name, kind) in UNWRITTEN:
                continue
            slow = kind not in QUICK or name in ("extremal_perturbation", "lime", "itti_koch_niebur")
            yield pytest.param(name, kind, marks=[pytest.mark.long] if slow else [])


@pytest.mark.parametrize(("name", "kind"), list(cells()))
def test_a_map_or_a_refusal(name, kind):
    torch.manual_seed(0)
    refusal = REFUSED.get((name, kind))
    if refusal is not None:
        with pytest.raises(ValueError, match=refusal.message):
            explain(name, kind)
        return
    heat = explain(name, kind)
    written = oracle(kind).free(name) if name in FREE else getattr(oracle(kind), name)()
    torch.testing.assert_close(heat, written.detach(), rtol=2e-3, atol=2e-4 * float(written.abs().max()) + 1e-12)


def test_the_table_of_the_documentation_is_current():
    page = Path(__file__).parents[2] / "docs/saliency_matrix.md"
    assert page.read_text(encoding="utf-8") == table(), "run python docs/saliency_matrix.py"
