"""Creates the blocks of an insertion, each from its own random state."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from zlib import crc32

import torch
from torch import nn
from typing_extensions import TypeAliasType

from cv_attention import blocks
from cv_attention.backbones.attachment.place import Place
from cv_attention.backbones.tracing.values import Call
from cv_attention.blocks.construction import Spec

Init = TypeAliasType("Init", Literal["plain", "identity"])
At = TypeAliasType("At", str | Sequence[str])
# One block; or {position or glob: block}; or [(block, at), ...].
Blocks = TypeAliasType("Blocks", Spec | Mapping[str, Spec] | Sequence[tuple[Spec, At]])


@dataclass(frozen=True)
class Request:
    """One kind of block, and the positions at which it is wanted.

    Attributes:
        create: Makes a block from the number of channels.
        label: The block, as it was named.
        at: Positions and globs.
    """

    create: Callable[[int], nn.Module]
    label: str
    at: tuple[str, ...]


def requests_of(block: Blocks, at: At) -> list[Request]:
    """Sorts out the forms in which blocks and positions can be given.

    Raises:
        ValueError: if it is none of them, or positions are given twice.
    """
    if isinstance(block, Mapping) and not {"name", "class_path"} & set(block):
        if not block:
            raise ValueError("block is an empty mapping; give {position: block}, {name: ...} or {class_path: ...}")
        found = [(spec, where) for where, spec in block.items()]
    elif isinstance(block, Sequence) and not isinstance(block, str):
        found = [entry for entry in block if isinstance(entry, Sequence) and len(entry) == 2]
        if not found or len(found) != len(block):
            raise ValueError(f"several blocks are a list of (block, at) pairs, got {block!r}")
    else:
        wanted = (at,) if isinstance(at, str) else tuple(at) if isinstance(at, Sequence) else ()
        if not wanted or not all(isinstance(one, str) and one for one in wanted):
            raise ValueError(f"at must be a position or a glob over module names, or a list of them, got {at!r}")
        return [Request(blocks.resolve(block), _label(block), wanted)]  # pyright: ignore[reportArgumentType]
    if at != "residual":
        raise ValueError(f"block={block!r} says where its blocks go, so at={at!r} cannot")
    return [request for spec, where in found for request in requests_of(spec, where)]


def make_block(request: Request, channels: int, seed: int, path: str) -> nn.Module:
    """Makes one block on the CPU, from a random state that depends on nothing but `seed` and `path`."""
    with torch.random.fork_rng([]), torch.inference_mode(False):
        torch.default_generator.manual_seed(crc32(f"{seed}:{path}".encode()))
        try:
            with torch.device("cpu"):
                new = request.create(channels)
        except Exception as error:  # a callable of the user's may fail in any way
            what = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
            raise ValueError(f"block {request.label} at site {path.rpartition('.')[0]!r}: {what}") from error
        if not isinstance(new, nn.Module):
            raise ValueError(f"block {request.label} must make an nn.Module from channels, got {type(new).__name__}")
        return new


def place_like(block: nn.Module, call: Call, place: Place, host: nn.Module, model: nn.Module) -> nn.Module:
    """Moves a block to the device and floating type of what it takes, where autocast changes no types; else of weights.

    Args:
        block: The block.
        call: A call of its host.
        place: Where the block is relative to the host.
        host: The host, whose weights come first.
        model: The model, whose weights come next.
    """
    kind = call.gives if place == "after" else call.takes
    if kind is not None:
        return block.to(*kind)
    for module in (host, model):
        for parameter in module.parameters():
            if parameter.is_floating_point():
                return block.to(parameter.device, parameter.dtype)
    return block


def _label(block: Any) -> str:
    if isinstance(block, str):
        return block
    if isinstance(block, Mapping):
        return str(block.get("name") or block.get("class_path"))
    return getattr(block, "__name__", type(block).__name__)
