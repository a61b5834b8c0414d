"""Makes a model's inputs from the recorded images, batch by batch."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn


def batches(
    values: Tensor, normalise: Callable[[Tensor], Tensor], model: nn.Module, size: int, *, keeps_type: bool
) -> Iterator[Tensor]:
    """Yields the inputs (B, C, H, W) of a model, on its device.

    Args:
        values: The images (N, C, H, W).
        normalise: Turns a batch of them into inputs.
        model: The model.
        size: Images of a batch at most.
        keeps_type: Whether inputs keep the type that `normalise` gives them; otherwise they get that of the model.

    Raises:
        ValueError: if `normalise` does not return one tensor of as many images.
    """
    tensors = [*model.parameters(), *model.buffers()] or [torch.empty(0)]
    floating = next((tensor.dtype for tensor in tensors if tensor.is_floating_point()), torch.float32)
    for part in values.split(size):
        with torch.inference_mode(False), torch.no_grad():
            inputs = normalise(part.to(tensors[0].device))
            inputs = inputs if keeps_type else inputs.to(floating)
        if not isinstance(inputs, Tensor) or len(inputs) != len(part):
            got = tuple(inputs.shape) if isinstance(inputs, Tensor) else type(inputs).__name__
            raise ValueError(f"normalise must return one tensor of {len(part)} images, got {got}")
        yield inputs
