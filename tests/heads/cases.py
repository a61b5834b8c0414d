"""Every head with the options that change what it computes."""

import torch
from torch import Tensor

from cv_attention.heads import HEADS, Memory, TextHead

CHANNELS, OUTPUTS, LONGEST, GRID = 16, 6, 4, (2, 6)
PADDING = OUTPUTS + 1

CASES = {
    "gru": ("gru", {}),
    "gru-after-general": ("gru", {"attend": "after", "score": "general"}),
    "gru-dot": ("gru", {"score": "dot", "width": CHANNELS}),
    "gru-concat-gate": ("gru", {"score": "concat", "gate": True, "position": "learned"}),
    "gru-local": ("gru", {"score": "local", "position": "none"}),
    "gru-coverage": ("gru", {"coverage": 0.5}),
    "gru-gumbel": ("gru", {"sampling": "gumbel", "warmup": 0.0}),
    "lstm-reinforce": ("lstm", {"sampling": "reinforce", "warmup": 0.0}),
    "gru-mean": ("gru", {"context": "mean"}),
    "lstm": ("lstm", {}),
    "lstm-after-concat": ("lstm", {"attend": "after", "score": "concat", "gate": True}),
    "transformer": ("transformer", {}),
    "transformer-one-layer": ("transformer", {"layers": 1, "heads": 1, "position": "learned"}),
    "permuted": ("permuted", {}),
    "permuted-two-layers": ("permuted", {"layers": 2}),
    "permuted-refined": ("permuted", {"refinements": 1}),
    "permuted-parallel": ("permuted", {"decode": "parallel", "refinements": 1}),
    "queries": ("queries", {}),
    "queries-two-layers": ("queries", {"layers": 2}),
    "perceiver_io": ("perceiver_io", {}),
    "perceiver_io-plain": ("perceiver_io", {"residual": False, "heads": 1, "position": "learned"}),
    "ctc": ("ctc", {}),
    "ctc-plain": ("ctc", {"layers": 0}),
}
ATTENDING = [case for case, (name, options) in CASES.items() if name != "ctc" and options.get("context") != "mean"]
# whose logits of a step depend on the numbers told before it alone
STEPWISE = [case for case in CASES if case.split("-")[0] in ("gru", "lstm", "transformer")]
STEPWISE += ["permuted", "permuted-two-layers"]
STEPS = [case for case in CASES if not case.startswith("ctc")]
# whose search is over a fixed probability of each text
SEARCHED = [case for case in STEPS if case != "permuted-refined"]


def head(case: str, *, outputs: int = OUTPUTS, longest: int = LONGEST, seed: int = 0) -> TextHead:
    """Builds a head whose logits differ enough that texts of several lengths are read."""
    name, options = CASES[case]
    torch.manual_seed(seed)
    built: TextHead = HEADS[name].cls(CHANNELS, outputs, longest, GRID, **options)  # pyright: ignore[reportAssignmentType]
    for parameter in built.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=parameter.shape[-1] ** -0.5)
    output = built.output
    assert isinstance(output, torch.nn.Linear)
    torch.nn.init.normal_(output.weight, std=3 * output.in_features**-0.5)
    with torch.no_grad():
        output.bias[0] += 1 - seed % 4  # the end: texts of several lengths
    return built.eval()


def memory(samples: int = 5, *, seed: int = 1) -> Memory:
    """A memory whose samples have padding in their last columns, but for the first."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(samples, GRID[0] * GRID[1], CHANNELS, generator=generator)
    columns = torch.tensor([GRID[1], *[4 + index % 3 for index in range(samples - 1)]])
    keep = (torch.arange(GRID[1]) < columns[:, None])[:, None].expand(-1, *GRID).flatten(1)
    return Memory(values, GRID, keep)


def texts() -> Tensor:
    """Texts of several lengths with their ends, padded."""
    return torch.tensor(
        [[1, 2, 3, 4, 0], [5, 0, PADDING, PADDING, PADDING], [2, 2, 0, PADDING, PADDING], [0, *[PADDING] * 4],
         [3, 1, 2, 0, PADDING]]
    )  # fmt: skip


def sample(found: Memory, index: int) -> Memory:
    """One sample of a memory."""
    assert found.keep is not None
    return Memory(found.values[index : index + 1], found.grid, found.keep[index : index + 1])
