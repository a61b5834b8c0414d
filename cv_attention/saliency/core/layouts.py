"""Converts feature maps between layouts: channels first, channels last, or tokens of a grid."""

from torch import Tensor

from cv_attention.maps.grids import alike, grid_of


def to_grid(output: object, images: Tensor) -> Tensor | None:
    """Converts a module's output to (B, C, h, w); returns None if it is not a feature map of `images`.

    (B, C, h, w) is kept. (B, h, w, C), as in Swin, is recognised if its first two sides have the images' aspect ratio,
    the last two do not, and there are more channels than rows and columns. Tokens (B, N, C) lose the class and register
    tokens before the grid.

    Args:
        output: The output of a module, or a gradient of the same shape.
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
    """Returns the channel axis of a feature map or of tokens: 1, or the last one."""
    if output.dim() != 4:
        return output.dim() - 1
    aspect = images.shape[-2] / images.shape[-1]
    _, first, second, third = output.shape
    last = third > max(first, second) and alike(first, second, aspect) and not alike(second, third, aspect)
    return 3 if last else 1
