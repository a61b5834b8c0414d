"""Options of heads that cannot be: one message with the option and its value, for every head alike."""

import pytest
import torch

from cv_attention.heads import HEADS
from tests.heads.cases import CHANNELS, GRID, LONGEST, OUTPUTS, head, memory

RECURRENT, LAYERED = ("gru", "lstm"), ("transformer", "permuted", "queries")
WRONG = [
    *((name, {"dropout": value}, "dropout") for name in RECURRENT + LAYERED for value in (1.0, -0.1, "x")),
    *((name, {"width": value}, "width") for name in RECURRENT + LAYERED for value in (0, -3, 2.5, True)),
    *((name, {"heads": 3}, "heads") for name in LAYERED),
    *((name, {"layers": 0}, "layers") for name in LAYERED),
    *((name, {"mlp_ratio": -1.0}, "mlp_ratio") for name in LAYERED),
    *((name, {"position": "sin"}, "position") for name in RECURRENT + LAYERED),
    ("permuted", {"orders": 0}, "orders"), ("permuted", {"refinements": -1}, "refinements"),
    ("permuted", {"decode": "both"}, "decode"), ("gru", {"score": "dott"}, "score"), ("gru", {"attend": "x"}, "attend"),
    ("gru", {"coverage": -1.0}, "coverage"), ("lstm", {"warmup": 2.0}, "warmup"), ("ctc", {"layers": -1}, "layers"),
    ("gru", {"context": "mean", "sampling": "gumbel"}, "sampling"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options", "words"), WRONG, ids=str)
def test_wrong_options_are_named(name, options, words):
    with pytest.raises(ValueError, match=words):
        HEADS[name].cls(CHANNELS, OUTPUTS, LONGEST, GRID, **options)


@pytest.mark.parametrize("case", ["transformer", "permuted", "queries"])
def test_texts_longer_than_the_head_knows_are_refused(case):
    tokens = torch.ones(5, LONGEST + 2, dtype=torch.int64)
    with pytest.raises(ValueError, match="a text has 5 units, but the longest that this head writes has 4"):
        head(case)(memory(), tokens)
