"""Computes one vector for each image with any network."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from cv_attention.blocks.memory import Memory

Network = Callable[[Tensor], Any]


@torch.no_grad()
def features(network: Network, images: Tensor, batch_size: int) -> Tensor:
    """Computes one vector for each image: the mean over the positions of what a network returns.

    A module is in eval mode meanwhile, and afterwards as it was.

    Args:
        network: From images (B, C, H, W) to `heads.Memory`, (B, D, h, w), or (B, D).
        images: (N, C, H, W), as the network takes them.
        batch_size: Images of one forward.

    Returns:
        float32 (N, D), on the CPU.

    Raises:
        ValueError: if the network returns something else, or values that are not finite.
    """
    place = _place_of(network)
    with _eval_mode(network):
        found = [_pooled(network(part.to(place)), len(part)) for part in images.split(batch_size)]
    values = torch.cat(found)
    if not bool(torch.isfinite(values).all()):
        wrong = int((~torch.isfinite(values).all(1)).nonzero()[0])
        raise ValueError(f"the network's features of image {wrong} are not finite (NaN or infinite)")
    return values


def check_images(images: Any, size: tuple[int, ...] | None = None) -> None:
    """Raises ValueError unless `images` are a batch of floating-point images, of the size (C, H, W) if it is given.

    Args:
        images: What should be images.
        size: What they must be like.
    """
    if not isinstance(images, Tensor) or images.ndim != 4 or not len(images):
        got = f"shape {tuple(images.shape)}" if isinstance(images, Tensor) else f"a {type(images).__name__}"
        raise ValueError(f"images must be a tensor (N, C, H, W) with at least one image, got {got}")
    if not images.is_floating_point():
        raise ValueError(
            f"images must be normalised as the network takes them, in floating point, got {str(images.dtype)[6:]}"
        )
    if size is not None and tuple(images.shape[1:]) != size:
        raise ValueError(
            f"images must be (C, H, W) = {size} as those that the memory was shown, got {tuple(images.shape[1:])}; "
            "resize them: features of other sizes cannot be compared"
        )


def _pooled(output: Any, count: int) -> Tensor:
    if isinstance(output, Memory):
        values = output.values.float()
        if output.keep is None:
            return values.mean(1).cpu()
        keep = output.keep[..., None].to(values.dtype)
        return ((values * keep).sum(1) / keep.sum(1).clamp_min(1)).cpu()
    if isinstance(output, Tensor) and output.ndim in (2, 4) and len(output) == count:
        return (output.float().mean((2, 3)) if output.ndim == 4 else output.float()).cpu()
    got = f"shape {tuple(output.shape)}" if isinstance(output, Tensor) else f"a {type(output).__name__}"
    raise ValueError(f"the network must return a Memory, (B, D, h, w) or (B, D) for {count} images, got {got}")


def _place_of(network: Network) -> torch.device:
    parameters = network.parameters() if isinstance(network, nn.Module) else iter(())
    return next((parameter.device for parameter in parameters), torch.device("cpu"))


@contextmanager
def _eval_mode(network: Network) -> Iterator[None]:
    modules = list(network.modules()) if isinstance(network, nn.Module) else []
    trained = [module for module in modules if module.training]
    for module in trained:
        module.training = False
    try:
        yield
    finally:
        for module in trained:
            module.training = True
