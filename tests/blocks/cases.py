"""What the catalogue's tests run: every block with its default options and with each of its examples."""

import zlib
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from cv_attention.blocks import CATALOGUE, AttentionMap, Entry, create
from cv_attention.blocks.windows import WindowMap
from cv_attention.maps import RecordedMap, Windows


@dataclass(frozen=True)
class Case:
    entry: Entry
    options: tuple = ()

    @property
    def channels(self):
        """The smallest number from 8 on that the block takes."""
        multiple = self.entry.multiple_of
        return -(-8 // multiple) * multiple

    def __str__(self):
        return "-".join([self.entry.name, *(f"{name}={value}" for name, value in self.options)])

    def build(self, channels=None):
        """Builds the block; the same weights every time."""
        torch.manual_seed(0)
        return create(self.entry.name, channels or self.channels, **dict(self.options))

    def build_trained(self, channels=None, seed=0):
        """Builds the block with every parameter and statistic away from its initial value, in evaluation."""
        block = self.build(channels).eval()
        generator = torch.Generator().manual_seed(zlib.crc32(str(self).encode()) + seed)
        for parameter in block.parameters():
            parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator)
        for module in block.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.running_mean.normal_(generator=generator)
                module.running_var.uniform_(0.5, 1.5, generator=generator)
        return block


DEFAULTS = [Case(entry) for entry in CATALOGUE.values()]
CASES = [Case(e, options) for e in CATALOGUE.values() for options in [(), *(tuple(o.items()) for o in e.examples)]]
# For what depends on how a block is written rather than on its options: those are among the long tests.
OPTIONS_LONG = [pytest.param(case, marks=pytest.mark.long) if case.options else case for case in CASES]


def feature_map(*shape, seed=1, dtype=torch.float32):
    """Returns normal random numbers; the same every time."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def on_the_grid(module, map_):
    """Puts attention to windows onto the grid; other maps are as the module shows them."""
    if not isinstance(module, WindowMap):
        return map_
    size = tuple(map_.shape[2:4])
    windows = Windows(module.keys(*size, map_.device), size)
    return RecordedMap(map_.flatten(2, 3), "pairwise", windows=windows).dense().values


@contextmanager
def hooked(block):
    """Yields a list that fills with (kind, map) while the block runs."""
    seen = []

    def see(module, inputs, output):
        seen.append((module.kind, on_the_grid(module, output.detach())))

    handles = [m.register_forward_hook(see) for m in block.modules() if isinstance(m, AttentionMap)]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
