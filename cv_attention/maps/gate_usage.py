"""How much each inserted block is in use: how far it is from the identity, and what its gate depends on."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, astuple, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from cv_attention.backbones.attachment.attach import attached, suspended
from cv_attention.backbones.attachment.on_patches import block_of
from cv_attention.backbones.tracing.eval_mode import eval_mode
from cv_attention.backbones.tracing.inputs import Inputs
from cv_attention.checks import check_module
from cv_attention.maps.wrappers import run_eagerly, unwrap
from cv_attention.tables import html_text, text_table


@dataclass(frozen=True)
class BlockUsage:
    """Describes what one block does to its input x, over all images.

    The spreads are of the factor by which the block scales x, ``<x, y> / <x, x>`` for its output y: standard deviations
    over the factor's mean, so that a constant factor has none, whatever its size. For a gate that is the gate.

    Attributes:
        block: Name of the block in the model.
        change: Size of ``y - x`` over the size of x (root of the sums of squares). An identity has 0.
        over_images: Spread over the images of each channel's factor, averaged over the channels.
        over_channels: Spread over the channels of their mean factors.
        over_positions: Spread over the positions of each image's factor, averaged over the images.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU())
        >>> plan = cva.insert(model, "cbam_spatial", at="0", input_size=16)
        >>> [block] = cva.usage(model, torch.randn(4, 3, 16, 16)).blocks
        >>> block.block, round(block.change, 3), round(block.over_positions, 3)  # halves its input everywhere
        ('0.attention', 0.5, 0.0)
    """

    block: str
    change: float
    over_images: float
    over_channels: float
    over_positions: float


@dataclass(frozen=True)
class Usage:
    """Holds how much the blocks of a model are in use; prints as a table.

    Attributes:
        blocks: Each block, in the model's order.
        images: Number of images that it was measured on.
        predictions_changed: Share of the images whose predicted class is another one when all blocks are switched off;
            None where the model does not return logits (B, classes), or has no blocks.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> plan = cva.insert(model, "se", at="stage:-1", init="identity")
        >>> used = cva.usage(model, torch.randn(8, 3, 32, 32))
        >>> used.images, used.predictions_changed
        (8, 0.0)
        >>> used.to_dict()["blocks"][0]["block"]
        'layer3.2.attention'
    """

    blocks: tuple[BlockUsage, ...]
    images: int
    predictions_changed: float | None

    def _repr_html_(self) -> str:
        return html_text(str(self))

    def __str__(self) -> str:
        header = ("block", "change", "over images", "over channels", "over positions")
        rows = [(one.block, *(f"{100 * value:.2f} %" for value in astuple(one)[1:])) for one in self.blocks]
        lines = [text_table(header, rows, left=1)]
        changed = self.predictions_changed
        if changed is not None:
            lines.append(f"without the blocks, {100 * changed:.1f} % of {self.images} predictions are others")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values for JSON."""
        return asdict(self)


@dataclass
class _Sums:
    """What is gathered of one block, batch by batch."""

    added: float = 0.0
    given: float = 0.0
    by_channel: list[Tensor] = field(default_factory=list)  # (B, C) factors
    over_positions: list[Tensor] = field(default_factory=list)  # (B,) spreads

    def take(self, _: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        """Gathers what the block does, as a hook behind it."""
        wide = torch.promote_types(output.dtype, torch.float32)
        x, y = args[0].detach().to(wide), output.detach().to(wide)
        self.added += float((y - x).square().sum(dtype=torch.float64))
        self.given += float(x.square().sum(dtype=torch.float64))
        product, square = x * y, x.square()
        self.by_channel.append(_factors(product.sum((2, 3)), square.sum((2, 3))).cpu())
        self.over_positions.append(_spread(_factors(product.sum(1).flatten(1), square.sum(1).flatten(1)), 1).cpu())

    def usage(self, block: str) -> BlockUsage:
        factors = torch.cat(self.by_channel)
        return BlockUsage(
            block,
            change=(self.added / max(self.given, 1e-300)) ** 0.5,
            over_images=float(_spread(factors, 0).mean()),
            over_channels=float(_spread(factors.mean(0), 0)),
            over_positions=float(torch.cat(self.over_positions).mean()),
        )


class UsageStatistics:
    """Gathers how much each inserted block of a model is in use, while somebody else runs it.

    Args:
        model: The model, wrapped or not; without inserted blocks there is nothing to gather.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> from cv_attention.maps import UsageStatistics
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> plan = cva.insert(model, "se", at="stage:-1", init="identity")
        >>> statistics = UsageStatistics(model)
        >>> with statistics.observing():
        ...     output = model(torch.randn(8, 3, 32, 32))
        >>> [(one.block, one.change) for one in statistics.blocks()]
        [('layer3.2.attention', 0.0)]
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = unwrap(model)
        names = [f"{host}.{child}" if host else child for host, _, child, _ in attached(self._model)]
        self._sums = {name: _Sums() for name in names}

    @contextmanager
    def observing(self) -> Iterator[None]:
        """Takes in what the blocks do meanwhile; compiled code has to run uncompiled."""
        hooks = [
            block_of(self._model.get_submodule(name)).register_forward_hook(one.take)
            for name, one in self._sums.items()
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def blocks(self) -> tuple[BlockUsage, ...]:
        """Returns a measurement of each block that ran, in the model's order."""
        return tuple(one.usage(name) for name, one in self._sums.items() if one.by_channel)


def usage(model: nn.Module, images: Tensor | Mapping[str, Any] | Iterable[Any]) -> Usage:
    """Measures how much each inserted block is in use.

    The model runs twice, in eval mode and without gradients, once as it is and once without its blocks; it is left
    unchanged.

    Args:
        model: A model with inserted blocks.
        images: Images (B, C, H, W), or batches of them; a few hundred are plenty. A batch may be whatever the model
            takes, as `insert` describes it for its `example_inputs`: ``[(left, right)]`` is one batch for
            ``model(left, right)``, and a mapping holds keyword arguments. The model gets copies.

    Returns:
        A measurement of each block, and the share of predictions that the blocks change.

    Raises:
        ValueError: if the model has no inserted block, or there is no image.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> plan = cva.insert(model, "se", at="stage:-1", init="identity")
        >>> print(cva.usage(model, torch.randn(8, 3, 32, 32)))
        block               change  over images  over channels  over positions
        layer3.2.attention  0.00 %       0.00 %         0.00 %          0.00 %
        without the blocks, 0.0 % of 8 predictions are others
    """
    check_module(model)
    bare = unwrap(model)
    if not list(attached(bare)):
        raise ValueError(f"{type(bare).__name__} has no inserted block; insert one first, as in insert(model, 'se')")
    statistics = UsageStatistics(bare)
    seen, others, classifies = 0, 0, True
    with eval_mode(bare), torch.no_grad(), run_eagerly(), statistics.observing():
        for batch in [images] if isinstance(images, Tensor | Mapping) else images:
            inputs = Inputs(batch, "images")
            attending = _run(model, inputs)
            with suspended(bare):
                plain = _run(model, inputs)
            seen += max(inputs.tensors[0].shape[:1], default=1)
            classifies &= isinstance(attending, Tensor) and attending.ndim == 2
            others += int((attending.argmax(1) != plain.argmax(1)).sum()) if classifies else 0
    if not seen:
        raise ValueError("usage needs at least one image, got none")
    return Usage(statistics.blocks(), seen, others / seen if classifies else None)


def _run(model: nn.Module, inputs: Inputs) -> Any:
    args, kwargs = inputs.arguments()  # a copy, since a forward may change what it is given
    return model(*args, **kwargs)


def _factors(product: Tensor, square: Tensor) -> Tensor:
    """Returns ``product / square``, both (B, n); where there is nothing to be scaled, the factor of the whole image."""
    least = torch.finfo(square.dtype).tiny
    whole = product.sum(1, keepdim=True) / square.sum(1, keepdim=True).clamp(min=least)
    return torch.where(square > least, product / square.clamp(min=least), whole)


def _spread(factors: Tensor, dim: int) -> Tensor:
    """Returns the standard deviation along `dim` over the size of the mean."""
    return factors.std(dim, correction=0) / factors.mean(dim).abs().clamp(min=1e-6)
