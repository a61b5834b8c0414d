"""Runs one forward that leaves buffers, training flags, gradients and random state unchanged."""

import inspect
import random
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import TypeAliasType

from cv_attention.backbones.attachment.attach import suspended
from cv_attention.backbones.tracing.eval_mode import eval_mode
from cv_attention.backbones.tracing.inputs import Inputs, shape_text
from cv_attention.backbones.tracing.trace import Trace, trace
from cv_attention.backbones.tracing.turns import encoders, is_complete

# Tried in this order on a model that says nothing about its input: ImageNet, CIFAR, then other usual ones.
_COMMON_SIZES = (224, 32, 64, 28, 299, 96, 128)

InputSize = TypeAliasType("InputSize", int | tuple[int, ...])


@dataclass(frozen=True)
class DryRun:
    """One forward.

    Attributes:
        inputs: What the model was given.
        trace: All that was seen.
        once: The same with encoders that run on several inputs, as those of Siamese networks, run on the first alone.
    """

    inputs: Inputs
    trace: Trace
    once: Trace


def dry_run(model: nn.Module, input_size: InputSize | None, example_inputs: Any) -> DryRun:
    """Traces one forward without the blocks that are there already.

    Args:
        model: Any model.
        input_size: Side of a square, (H, W) or (C, H, W); by default the model's own, or else the usual ones.
        example_inputs: What the model takes, as `Inputs` describes it; None stands for an image.

    Raises:
        ValueError: if the model fails.
    """
    failures: list[Exception] = []
    tried = _tried(model, input_size, example_inputs)
    for inputs in tried:
        args, kwargs = inputs.arguments()
        try:
            with suspended(model), untouched(model):
                seen = trace(model, args, kwargs)
        except Exception as failure:  # a model may fail in any way
            failures.append(failure)
            continue
        return DryRun(inputs, seen, _once(model, inputs, seen))
    raise ValueError(_failed(model, tried, failures[0], given=example_inputs is not None)) from failures[0]


@contextmanager
def random_state_kept(model: nn.Module) -> Iterator[None]:
    """Restores the random state of Python, NumPy, the CPU and the model's devices on leaving."""
    devices: set[torch.device] = set()
    if torch.cuda.is_initialized():
        devices = {t.device for t in (*model.parameters(), *model.buffers()) if t.device.type == "cuda"}
    python, numpy = random.getstate(), sys.modules.get("numpy")
    arrays = None if numpy is None else numpy.random.get_state()
    try:
        with torch.random.fork_rng(sorted(d.index or 0 for d in devices)):
            yield
    finally:
        random.setstate(python)
        if numpy is not None:
            numpy.random.set_state(arrays)


@contextmanager
def buffers_kept(model: nn.Module) -> Iterator[None]:
    """Gives buffers that forward passes change, as counters and memory banks, their values back on leaving.

    Those that stay the same are not written, since graphs of the caller's may need them.
    """
    owners = [module._buffers for module in model.modules()]
    saved = [_Saved(own, name, buffer) for own in owners for name, buffer in own.items() if buffer is not None]
    try:
        yield
    finally:
        unseen = _any_differs([one for one in saved if not one.is_written])
        for one in saved:
            if one.values is not None and (one.is_written or (unseen and one.differs)):
                with torch.no_grad():
                    one.buffer.copy_(one.values)
            one.owner[one.name] = one.buffer


class _Saved:
    """A buffer and its values; none of an inference tensor, which nothing outside inference mode can change."""

    def __init__(self, owner: dict[str, Any], name: str, buffer: Tensor) -> None:
        self.owner, self.name, self.buffer = owner, name, buffer
        self.values = None if buffer.is_inference() else buffer.detach().clone()
        self.version = 0 if self.values is None else buffer._version

    @property
    def is_written(self) -> bool:
        """Whether an operation changed it that counts its versions, as `F.batch_norm` does not."""
        return self.values is not None and self.buffer._version != self.version

    @property
    def differs(self) -> bool:
        """Whether it has other values."""
        return self.values is not None and not self.buffer.is_meta and not torch.equal(self.buffer, self.values)


def _any_differs(saved: list[_Saved]) -> bool:
    """Returns whether any of the buffers differs from what was saved, by few operations for many buffers."""
    groups: dict[Any, list[_Saved]] = {}
    for one in saved:
        plain = one.buffer.layout is torch.strided and not one.buffer.is_meta and one.values is not None
        if plain and one.buffer.is_floating_point():  # statistics are, and counters count versions
            groups.setdefault((one.buffer.device, one.buffer.dtype), []).append(one)
    for group in groups.values():
        now = torch.cat([one.buffer.detach().reshape(-1) for one in group])
        before = torch.cat([one.values.reshape(-1) for one in group if one.values is not None])
        if not torch.equal(now, before):
            return True
    return False


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Puts the model into eval mode without gradients, and everything back afterwards."""
    device = _device(model)
    autocast = torch.autocast(device.type, enabled=False) if device.type in ("cpu", "cuda") else nullcontext()
    # Under `with torch.device("meta")`, what a real model makes in its forward shall be real too.
    outside = torch.get_default_device().type == "meta" and device.type != "meta"
    with (
        eval_mode(model),
        torch.inference_mode(False),
        torch.no_grad(),
        buffers_kept(model),
        random_state_kept(model),
        autocast,
        device if outside else nullcontext(),
    ):
        yield


def input_shapes(model: nn.Module, input_size: InputSize | None) -> list[tuple[int, int, int]]:
    """Returns the shapes (C, H, W) to try, the likeliest first.

    Args:
        model: Any model of images.
        input_size: Side of a square, (H, W) or (C, H, W); by default the model's own, or else the usual ones.

    Raises:
        ValueError: if `input_size` has none of these forms.
    """
    # A first convolution of other than 3 channels may take them from the image or from rearranged pixels.
    first = next((m.in_channels for m in model.modules() if isinstance(m, nn.Conv2d)), 3)
    channels = list(dict.fromkeys((first, 3)))
    if input_size is None:
        own = declared_size(model)
        sizes = [own] if own else [(side, side) for side in _COMMON_SIZES]
        return [(c, *size) for c in channels for size in sizes]
    size = tuple(input_size) if isinstance(input_size, Sequence) else (input_size, input_size)
    whole = all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in size)
    if len(size) not in (2, 3) or not whole:
        raise ValueError(f"input_size must be a side, (H, W) or (C, H, W) in pixels, got {input_size!r}")
    return [(size[0], size[1], size[2])] if len(size) == 3 else [(c, size[0], size[1]) for c in channels]


def example_input(model: nn.Module, shape: tuple[int, int, int]) -> Tensor:
    """An image (1, C, H, W) of zeros on the model's device, in its floating type."""
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
    return torch.zeros(1, *shape, device=_device(model), dtype=dtype)


def declared_size(model: nn.Module) -> tuple[int, int] | None:
    """Returns the (H, W) that a model of ours or of timm says it is made for."""
    size = getattr(model, "native_input_size", None) or (getattr(model, "pretrained_cfg", None) or {}).get("input_size")
    return (size[-2], size[-1]) if size else None


def _device(model: nn.Module) -> torch.device:
    return next((t.device for t in (*model.parameters(), *model.buffers())), torch.device("cpu"))


def _tried(model: nn.Module, input_size: InputSize | None, example_inputs: Any) -> list[Inputs]:
    """Returns the inputs to try, the likeliest first."""
    if example_inputs is None:
        return [Inputs(example_input(model, shape)) for shape in input_shapes(model, input_size)]
    if input_size is not None:
        raise ValueError(f"input_size={input_size!r} and example_inputs both say what the model takes; give one")
    return [Inputs(example_inputs)]


def _once(model: nn.Module, inputs: Inputs, seen: Trace) -> Trace:
    """Traces again, if an encoder ran several times, with its first run alone; else returns `seen`."""
    repeated = encoders(seen)
    if not repeated:
        return seen
    args, kwargs = inputs.arguments()
    with suspended(model), untouched(model):
        part = trace(model, args, kwargs, once=repeated)
    return part if is_complete(part, seen) else seen


def trace_training(model: nn.Module, inputs: Inputs) -> Trace | None:
    """Traces a forward in training mode, of two images since norms of a batch may need them; None if it fails."""
    if isinstance(inputs.example, Tensor):
        inputs = Inputs(torch.cat([inputs.example, inputs.example]))
    args, kwargs = inputs.arguments()
    with suspended(model), untouched(model):
        for module in model.modules():
            module.training = True
        try:
            return trace(model, args, kwargs)
        except Exception:  # detectors want targets, for instance
            return None


def check_maps(model: nn.Module, seen: Trace) -> None:
    """Raises ValueError if all of a network's convolutions work on other than two spatial axes."""
    shapes = [value.shape for value in seen.values if value.op == "convolution"]
    if not shapes or any(len(shape) == 4 for shape in shapes):
        return
    axes = "(B, C, L)" if len(shapes[0]) == 3 else "(B, C, D, H, W)"
    raise ValueError(
        f"{type(model).__name__}'s feature maps are {axes}, such as {shape_text(shapes[0])}, and blocks take "
        "(B, C, H, W)"
    )


def _failed(model: nn.Module, tried: list[Inputs], error: Exception, *, given: bool) -> str:
    """Says what was tried, what the model answered, and what can be given instead."""
    kind, lines = type(model).__name__, str(error).strip().splitlines()
    reason = lines[0] if lines else type(error).__name__
    if given:
        (inputs,) = tried
        cause = inputs.mismatch(model)
        cause = f"; {cause}" if cause else f"; its forward takes {_signature(model)}"
        return f"{kind} fails on example_inputs {inputs.described()} ({type(error).__name__}: {reason}){cause}"
    images = ", ".join(shape_text(tuple(inputs.tensors[0].shape[1:])) for inputs in tried)
    first = next((m for m in model.modules() if isinstance(m, nn.Conv1d | nn.Conv2d | nn.Conv3d)), None)
    begins = "" if first is None or isinstance(first, nn.Conv2d) else f", and begins with a {type(first).__name__}"
    return (
        f"{kind} fails on an image of {images} ({reason}); its forward takes {_signature(model)}{begins}: give its "
        "input_size=, if it takes one image, or else example_inputs=, such as (image, vector) or {'pixel_values': "
        "images}"
    )


def _signature(model: nn.Module) -> str:
    """Returns the arguments of the model's forward, as ``(left, right, *, scale=1)``."""
    try:
        signature = inspect.signature(model.forward)
    except (TypeError, ValueError):
        return "what its documentation says"
    plain = [parameter.replace(annotation=parameter.empty) for parameter in signature.parameters.values()]
    return str(signature.replace(parameters=plain, return_annotation=signature.empty))
