"""Measures graph, latent, strip and dynamic convolution blocks next to public implementations, in turns in one process.

    pip install torch_geometric   # for gat and gatv2; not a dependency
    python benchmarks/family.py [NAME ...] [--batch 4] [--rounds 7] [--sizes]

Public ones: PyTorch Geometric's `GATConv` and `GATv2Conv` on the edges of the grid; transformers' `PerceiverLayer` and
`PerceiverAttention` (latent), its `XLNetRelativeAttention` with the strip above as memory (xlnet; transformer_xl with a
causal mask, as transformers has removed Transformer-XL); timm's `CondConv2d` with the same routing. Each has the
weights of ours, and the largest difference of the outputs, divided by the largest output, is printed.

Prints a Markdown table: ours in ms and our time divided by theirs in the same round, the median of rounds; a forward in
evaluation without gradients, and a forward with backward in training; processor time of one thread. With ``--sizes``,
the time of ours on one image of four sizes: squares, and for strips heights at one width.
"""

import argparse
import sys
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from clock import Clock, keep_freed_memory
from torch import Tensor, nn

from cv_attention import blocks
from cv_attention.blocks.functional import fourier_features, grid_edges, grid_positions, to_tokens

SHAPES = ((256, 28), (512, 14))
NAMES = ("gat", "gatv2", "latent", "transformer_xl", "xlnet", "dynamic_convolution")
Function = Callable[[Tensor], Tensor]


def fill(*pairs: tuple[Tensor | None, Any]) -> None:
    """Copies values into parameters: (theirs, ours)."""
    with torch.no_grad():
        for target, source in pairs:
            if target is not None:
                target.copy_(source.reshape(target.shape))


def to_image(tokens: Tensor, like: Tensor) -> Tensor:
    return tokens.transpose(1, 2).reshape(like.shape)


class Graph(nn.Module):
    """PyTorch Geometric's layer on the positions of all images, whose edges are made once."""

    def __init__(self, ours: Any, name: str, channels: int, side: int, batch: int) -> None:
        super().__init__()
        from torch_geometric.nn import GATConv, GATv2Conv

        self.layer = (GATConv if name == "gat" else GATv2Conv)(channels, channels // 4, heads=4)
        edges = grid_edges(side, side)
        self.edges = torch.cat([edges + image * side**2 for image in range(batch)], 1)
        theirs: Any = self.layer
        if name == "gat":
            fill((theirs.lin.weight, ours.value.weight), (theirs.att_dst, ours.attention[:, 0]))
            fill((theirs.att_src, ours.attention[:, 1]))
        else:
            fill((theirs.lin_l.weight, ours.value.weight), (theirs.lin_l.bias, ours.value.bias))
            fill((theirs.lin_r.weight, ours.query.weight), (theirs.lin_r.bias, ours.query.bias))
            fill((theirs.att, ours.attention))
        fill((theirs.bias, ours.bias))

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(to_tokens(x).flatten(0, 1), self.edges)
        return to_image(y.unflatten(0, (len(x), -1)), x)


class Latents(nn.Module):
    """transformers' layers: the latents read, think, and are read; the last projection also returns positions' rows."""

    def __init__(self, ours: Any, channels: int) -> None:
        super().__init__()
        from transformers import PerceiverConfig
        from transformers.models.perceiver.modeling_perceiver import PerceiverAttention, PerceiverLayer

        width, tokens = channels, channels + 18
        config = PerceiverConfig(attention_probs_dropout_prob=0.0)
        sizes = {"qk_channels": width, "v_channels": width}
        self.read = PerceiverLayer(config, True, num_heads=1, q_dim=width, kv_dim=tokens, widening_factor=1, **sizes)
        self.think = PerceiverLayer(config, False, num_heads=4, q_dim=width, kv_dim=width, widening_factor=1, **sizes)
        self.write = PerceiverAttention(
            config, True, num_heads=1, q_dim=tokens, kv_dim=width, use_query_residual=False, **sizes
        )
        self.latents = ours.latents
        for own, other in ((ours.read, self.read), (ours.think[0], self.think)):
            self.port(own.attention, other.attention)
            other.layernorm.load_state_dict(own.norm.state_dict())
            other.mlp.dense1.load_state_dict(own.mlp[0].state_dict())
            other.mlp.dense2.load_state_dict(own.mlp[2].state_dict())
        self.port(ours.write, self.write)

    @staticmethod
    def port(ours: Any, theirs: Any) -> None:
        inner = theirs.self
        fill((inner.query.weight, ours.query.weight), (inner.query.bias, ours.query.bias))
        for layer, part in ((inner.key, 0), (inner.value, 1)):
            fill((layer.weight, ours.key_value.weight.chunk(2)[part]), (layer.bias, ours.key_value.bias.chunk(2)[part]))
        rows = len(ours.project.weight)
        fill(
            (theirs.output.dense.weight[:rows], ours.project.weight),
            (theirs.output.dense.bias[:rows], ours.project.bias),
        )
        inner.layernorm1.load_state_dict(ours.norm.state_dict())
        if ours.norm_input is not None:
            inner.layernorm2.load_state_dict(ours.norm_input.state_dict())

    def forward(self, x: Tensor) -> Tensor:
        places = fourier_features(grid_positions(*x.shape[2:]), 4, (16, 16))
        tokens = torch.cat([to_tokens(x), places.expand(len(x), -1, -1)], 2)
        z = self.read(self.latents.expand(len(x), -1, -1), inputs=tokens)[0]
        z = self.think(z)[0]
        return x + to_image(self.write(tokens, inputs=z)[0][..., : x.shape[1]], x)


class Strips(nn.Module):
    """transformers' XLNet attention, strip after strip, each with the one above as its memory."""

    def __init__(self, ours: Any, channels: int, causal: bool) -> None:
        super().__init__()
        from transformers import XLNetConfig, XLNetModel
        from transformers.models.xlnet.modeling_xlnet import XLNetRelativeAttention

        config = XLNetConfig(d_model=channels, n_head=4, d_inner=8, n_layer=1, vocab_size=2, dropout=0.0)
        self.layer, self.causal = XLNetRelativeAttention(config), causal
        self.places = XLNetModel(config).relative_positional_encoding
        key, value = ours.key_value.weight.chunk(2)
        for name, weight in zip("qkvr", (ours.query.weight, key, value, ours.position.weight), strict=True):
            fill((getattr(self.layer, name), weight.t()))
        fill((self.layer.o, ours.project.weight), (self.layer.r_w_bias, ours.content_bias))
        fill((self.layer.r_r_bias, ours.position_bias), (self.layer.r_s_bias, torch.zeros_like(ours.content_bias)))

    def strip(self, own: Tensor, memory: Tensor | None) -> Tensor:
        seen, layer = own if memory is None else torch.cat([memory, own]), self.layer
        places = self.places(len(own), len(seen), bsz=own.shape[1])
        query, key, value = (
            torch.einsum("ibh,hnd->ibnd", of, getattr(layer, name))
            for of, name in ((own, "q"), (seen, "k"), (seen, "v"))
        )
        mask = None
        if self.causal:
            mask = torch.ones(len(own), len(seen)).triu(len(seen) - len(own) + 1)[:, :, None, None]
        mixed = layer.rel_attn_core(query, key, value, torch.einsum("ibh,hnd->ibnd", places, layer.r), attn_mask=mask)
        return torch.einsum("ibnd,hnd->ibh", mixed, layer.o)

    def forward(self, x: Tensor) -> Tensor:
        memory, found = None, []
        for own in x.flatten(2).permute(2, 0, 1).split(2 * x.shape[3]):
            found.append(self.strip(own, memory))
            memory = own.detach()
        return torch.cat(found).permute(1, 2, 0).reshape(x.shape)


class Routed(nn.Module):
    """timm's convolution with the softmax routing of ours."""

    def __init__(self, ours: Any, channels: int) -> None:
        super().__init__()
        from timm.layers import CondConv2d

        self.conv, self.routing = CondConv2d(channels, channels, 3, padding=1, bias=True), ours.attention
        fill((self.conv.weight, ours.weight), (self.conv.bias, ours.bias))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x, self.routing(x))


def public(name: str, ours: nn.Module, channels: int, side: int, batch: int) -> nn.Module:
    """Returns the public implementation with the weights of `ours`."""
    if name in ("gat", "gatv2"):
        return Graph(ours, name, channels, side, batch)
    if name == "latent":
        return Latents(ours, channels)
    return Routed(ours, channels) if name == "dynamic_convolution" else Strips(ours, channels, name == "transformer_xl")


def forward(model: nn.Module, x: Tensor) -> Callable[[], object]:
    def run() -> None:
        with torch.no_grad():
            model.eval()(x)

    return run


def forward_backward(model: nn.Module, x: Tensor) -> Callable[[], object]:
    leaf, gradient = x.clone().requires_grad_(), torch.ones_like(x)

    def run() -> None:
        leaf.grad = None
        model.zero_grad(set_to_none=True)
        model.train()(leaf).backward(gradient)

    return run


def compare(name: str, channels: int, side: int, batch: int, rounds: int, clock: Clock) -> list[str]:
    torch.manual_seed(0)
    ours, x = blocks.create(name, channels), torch.randn(batch, channels, side, side)
    theirs = public(name, ours, channels, side, batch)
    with torch.no_grad():
        expected, actual = theirs.eval()(x), ours.eval()(x)
    cells = [name, f"{channels}×{side}×{side}", f"{float((actual - expected).abs().max() / expected.abs().max()):.0e}"]
    for prepare in (forward, forward_backward):
        times = clock.in_turns([prepare(model, x) for model in (ours, theirs)], rounds)
        ratio = median(a / b for a, b in zip(*times, strict=True))
        cells += [f"{median(times[0]) * 1e3:.1f}", f"{ratio:.2f}"]
    return cells


def sizes(name: str, rounds: int, clock: Clock) -> list[str]:
    """Times ours on one image of four sizes, of which each has four times the positions of the one before."""
    torch.manual_seed(0)
    block, strips = blocks.create(name, 64), name in ("transformer_xl", "xlnet")
    shapes = [(7 * 4**step, 14) if strips else (14 * 2**step,) * 2 for step in range(4)]
    runs = [forward(block, torch.randn(1, 64, *shape)) for shape in shapes]
    per_position = [
        median(times) * 1e6 / (shape[0] * shape[1])
        for times, shape in zip(clock.in_turns(runs, rounds), shapes, strict=True)
    ]
    shown = [f"{shape[0]}×{shape[1]}: {each:.2f}" for shape, each in zip(shapes, per_position, strict=True)]
    return [name, *shown]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(NAMES), metavar="NAME")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--sizes", action="store_true", help="time per position of ours on four sizes instead")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    clock = Clock("cpu", 1)
    if options.sizes:
        rows = [["block", *4 * ["µs per position"]], ["---"] * 5]
        rows += [sizes(name, options.rounds, clock) for name in options.names]
    else:
        rows = [["block", "C×H×W", "difference", "forward ms", "ratio", "fwd+bwd ms", "ratio"], ["---"] * 7]
        shapes = [(name, *shape) for name in options.names for shape in SHAPES]
        rows += [compare(*shape, options.batch, options.rounds, clock) for shape in shapes]
    print("\n".join(f"| {' | '.join(row)} |" for row in rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
