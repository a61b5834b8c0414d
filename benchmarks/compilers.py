"""Tries bfloat16, torch.compile and ONNX on blocks, heads, memory cells and backbones of the family of attention.

    python benchmarks/compilers.py [--only gat ntm] > table.md

Prints a Markdown table. *bfloat16*: the largest difference, over the largest value, between the output under autocast
to bfloat16 and that in float32; *compiled* the same for ``torch.compile(fullgraph=True, backend="aot_eager")``, output
and gradient of the input, and *ONNX* for the exported graph in onnxruntime. Where something does not work, the row has
the first line of the reason. Weights are drawn at random, far from where blocks start; one thread, on the CPU.
"""

import argparse
import io
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cv_attention import backbones, heads
from cv_attention.blocks import CATALOGUE, create
from cv_attention.heads.memory.recall import MEMORIES, MemoryKind

FAMILIES = ("graph", "sequence", "pooling")
BLOCKS = ("latent", "dynamic_convolution")  # of other families
WORST = {"bfloat16": 0.1, "compiled": 1e-3, "ONNX": 1e-3}


@dataclass
class Subject:
    """A function of one tensor, and the tensor."""

    kind: str
    name: str
    make: Callable[[], nn.Module]
    given: Tensor


class Reads(nn.Module):
    """A head that reads texts, as a function of a memory's vectors: the logits of a greedy reading."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.head = heads.HEADS[name].cls(16, 11, 5, (2, 6))

    def forward(self, values: Tensor) -> Tensor:
        """Maps (B, 12, 16) to (B, steps, outputs)."""
        return self.head(heads.Memory(values, grid=(2, 6)))


class Recalls(nn.Module):
    """A head that recalls, as a function of an episode's features; labels and questions are fixed."""

    told: Tensor
    asked: Tensor

    def __init__(self, memory: MemoryKind) -> None:
        super().__init__()
        self.head = heads.RecallHead(16, 4, memory=memory, controller_width=16, slots=6, width=8)
        self.told, self.asked = (
            torch.tensor([[-1, 0, 1, 2, 3, 0]]),
            torch.tensor([[False, False, True, False, True, True]]),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Maps (B, 6, 16) to (B, 6, 4)."""
        told, asked = (each.expand(features.shape[0], -1) for each in (self.told, self.asked))
        return self.head(features, told, ~asked, asked)


def subjects() -> Iterator[Subject]:
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(2, 16, 6, 8, generator=generator)
    for name, entry in CATALOGUE.items():
        if entry.family in FAMILIES or name in BLOCKS:
            yield Subject("block", name, lambda name=name: create(name, 16), features)
    for name in heads.text_heads():
        yield Subject("reading head", name, lambda name=name: Reads(name), torch.randn(2, 12, 16, generator=generator))
    for name in MEMORIES:
        yield Subject("memory", name, lambda name=name: Recalls(name), torch.randn(2, 6, 16, generator=generator))
    # As smooth as photographs: a glimpse at noise is another one half a pixel further.
    images = F.interpolate(torch.randn(2, 3, 4, 4, generator=generator), size=32, mode="bicubic")
    yield Subject("backbone", "perceiver", lambda: backbones.build("perceiver", num_classes=5, latents=8), images)
    yield Subject("backbone", "glimpse", lambda: backbones.build("glimpse", num_classes=5), images)


def prepared(subject: Subject) -> nn.Module:
    torch.manual_seed(0)
    module = subject.make()
    for parameter in module.parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, 0, parameter[0].numel() ** -0.5)
    return module.eval()


def difference(found: Tensor, expected: Tensor) -> float:
    return float((found.float() - expected).abs().max() / expected.abs().max().clamp(min=1e-12))


def in_bfloat16(module: nn.Module, x: Tensor) -> float:
    with torch.no_grad():
        expected = module(x)
        with torch.autocast("cpu", torch.bfloat16):
            return difference(module(x), expected)


def compiled(module: nn.Module, x: Tensor, whole: bool = True) -> float:
    torch._dynamo.reset()
    results = []
    for function in (module, torch.compile(module, fullgraph=whole, backend="aot_eager", dynamic=False)):
        leaf = x.clone().requires_grad_()
        y = function(leaf)
        results.append((y.detach(), torch.autograd.grad(y.square().sum(), leaf)[0]))
    return max(difference(found, expected) for expected, found in zip(*results, strict=True))


def in_pieces(module: nn.Module, x: Tensor) -> float:
    return compiled(module, x, whole=False)


def in_onnx(module: nn.Module, x: Tensor) -> float:
    import onnxruntime

    program = torch.onnx.export(module, (x,), dynamo=True, verbose=False)
    file = io.BytesIO()
    assert program is not None
    program.save(file)  # pyright: ignore[reportArgumentType]  # takes buffers, too
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    with torch.no_grad():
        return difference(torch.from_numpy(y), module(x))


def tried(column: str, try_it: Callable[[nn.Module, Tensor], float], subject: Subject) -> str:
    try:
        found = try_it(prepared(subject), subject.given)
    except Exception as error:  # whatever a compiler raises
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = next(
            (line for line in lines if not line.startswith(("Failed to export", "torch."))), type(error).__name__
        )
        pieces = f", in several graphs {tried(column, in_pieces, subject)}" if try_it is compiled else ""
        return f"no: {reason[:90]}{pieces}"
    return f"{found:.0e}" if found <= WORST[column] else f"**{found:.0e}**"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", help="names to try, all unless given")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    columns = {"bfloat16": in_bfloat16, "compiled": compiled, "ONNX": in_onnx}
    print(f"| what | name | {' | '.join(columns)} |\n| --- | --- | {' | '.join(['---:'] * len(columns))} |")
    for subject in subjects():
        if options.only and subject.name not in options.only:
            continue
        cells = [tried(column, try_it, subject) for column, try_it in columns.items()]
        print(f"| {subject.kind} | `{subject.name}` | {' | '.join(cells)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
