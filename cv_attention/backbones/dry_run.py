"""One forward of a model that leaves no trace in it: no buffer, flag, gradient or random state changes."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn

from cv_attention.backbones.cifar_resnet import CifarResNet
from cv_attention.backbones.wide_resnet import WideResNet

# Tried in this order on a model that says nothing about its input: ImageNet, CIFAR, then other usual ones.
_COMMON_SIZES = (224, 32, 64, 28, 299, 96, 128)

InputSize = int | tuple[int, ...]


def random_state_kept(model: nn.Module) -> AbstractContextManager[None]:
    """Restores the random state of the CPU and of the model's devices on leaving."""
    devices = {p.device for p in model.parameters() if p.device.type == "cuda"}
    return torch.random.fork_rng(sorted(d.index or 0 for d in devices))


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Puts the model into eval mode without gradients, and everything back afterwards."""
    modules = list(model.modules())
    training = [m.training for m in modules]
    buffers = [{k: (b, b.clone(), b._version) for k, b in m._buffers.items() if b is not None} for m in modules]
    device = _device(model)
    autocast = torch.autocast(device.type, enabled=False) if device.type in ("cpu", "cuda") else nullcontext()
    # Under `with torch.device("meta")`, what a real model makes in its forward shall be real too.
    outside = torch.get_default_device().type == "meta" and device.type != "meta"
    try:
        for module in modules:  # not model.eval(), which some models override
            module.training = False
        with (
            random_state_kept(model),
            torch.inference_mode(False),
            torch.no_grad(),
            autocast,
            device if outside else nullcontext(),
        ):
            yield
    finally:
        for module, flag, saved in zip(modules, training, buffers, strict=True):
            module.training = flag
            for key, (buffer, value, version) in saved.items():
                if buffer._version != version:
                    with torch.no_grad():
                        buffer.copy_(value)
                module._buffers[key] = buffer


def input_shapes(model: nn.Module, input_size: InputSize | None) -> list[tuple[int, int, int]]:
    """The shapes (C, H, W) to try, the likeliest first.

    Args:
        model: Any model of images.
        input_size: Side of a square, (H, W) or (C, H, W); by default the model's own, or else the usual ones.

    Raises:
        ValueError: if `input_size` is no such thing.
    """
    # A first convolution of other than 3 channels may take them from the image or from rearranged pixels.
    first = next((m.in_channels for m in model.modules() if isinstance(m, nn.Conv2d)), 3)
    channels = list(dict.fromkeys((first, 3)))
    if input_size is None:
        own = _declared_size(model)
        sizes = [own] if own else [(side, side) for side in _COMMON_SIZES]
        return [(c, *size) for c in channels for size in sizes]
    size = (input_size, input_size) if isinstance(input_size, int) else tuple(input_size)
    if len(size) not in (2, 3) or not all(isinstance(n, int) and n > 0 for n in size):
        raise ValueError(f"input_size must be a side, (H, W) or (C, H, W) in pixels, got {input_size!r}")
    return [(size[0], size[1], size[2])] if len(size) == 3 else [(c, size[0], size[1]) for c in channels]


def example_input(model: nn.Module, shape: tuple[int, int, int]) -> Tensor:
    """An image (1, C, H, W) of zeros on the model's device, in its floating type."""
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
    return torch.zeros(1, *shape, device=_device(model), dtype=dtype)


def _declared_size(model: nn.Module) -> tuple[int, int] | None:
    """The (H, W) that a model of ours or of timm says it is made for."""
    if isinstance(model, CifarResNet | WideResNet):
        return model.input_size[1], model.input_size[2]
    size = (getattr(model, "pretrained_cfg", None) or {}).get("input_size")
    return (size[-2], size[-1]) if size else None


def _device(model: nn.Module) -> torch.device:
    return next((p.device for p in model.parameters()), torch.device("cpu"))
