"""Converts feature maps between layouts: channels first, channels last, or tokens of a grid."""

from torch import Tensor

from cv_attention.maps.grids import alike, grid_of


def to_grid(output: object, images: Tensor) -> Tensor | None:
    """Returns a module's output as (B, C, h, w), or None where it is no feature map of `images`.

    (B, C, h, w) stays. (B, h, w, C) is taken as such where its first two sides have the images' shape, the last two
    do not, and there are more channels than rows and columns: Swin. Tokens (B, N, C) lose what comes before the grid:
    class and register tokens.

    Args:
        output: What a module returned, or a gradient of the same shape.
        images: (B, C, H, W).
    """
    if not isinstance(output, Tensor) or len(output) != len(images):
        return None
    if output.dim() == 4:
        return output.permute(0, 3, 1, 2) if channel_axis(output, images) == 3 else output
    if output.dim() == 3 and output.shape[1] > 1:
        grid = grid_of(output.shape[1], images.shape[-2] / images.shape[-1])
        if grid is not None:
            return output[:, output.shape[1] - grid[0] * grid[1] :].mT.unflatten(2, grid)
    return None


def channel_axis(output: Tensor, images: Tensor) -> int:
    """Returns which axis of a feature map or of tokens has the channels: 1, or the last one."""
    if output.dim() != 4:
        return output.dim() - 1
    aspect = images.shape[-2] / images.shape[-1]
    _, first, second, third = output.shape
    last = third > max(first, second) and alike(first, second, aspect) and not alike(second, third, aspect)
    return 3 if last else 1
