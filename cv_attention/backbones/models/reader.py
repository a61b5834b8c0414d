"""Makes a reader of any backbone: from images to the vectors of its last feature map."""

import threading
from typing import Any, Literal

import torch
from torch import Tensor, nn

from cv_attention.backbones.positions.heads import Heads
from cv_attention.backbones.positions.hosts import Hosts
from cv_attention.backbones.positions.pooling import find_pool
from cv_attention.backbones.tracing.dry_run import InputSize, dry_run, untouched
from cv_attention.blocks.memory import Memory
from cv_attention.checks import check_module

Side = Literal["before", "after"]


class Reader(nn.Module):
    """Runs a backbone up to its last feature map, the positions of which are the vectors of a memory.

    Args:
        model: The backbone; its heads are gone.
        channels: Channels C of the feature map.
        grid: Its rows and columns, for images of the size of the dry run.
        prefix: Tokens ahead of the positions, such as a class token, where the backbone returns a sequence.
        host: Module whose output, or input, is the feature map; None calls ``model.forward_features``.
        side: Whether the map is what the host takes (``before``) or returns (``after``).

    Attributes:
        model: The backbone.
        channels: Channels C of the memory.
        grid: Rows and columns of the memory for images of the size of the dry run.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> reader = cva.backbones.reader(cva.backbones.build("convnet"), input_size=(48, 128))
        >>> memory = reader(torch.randn(2, 3, 48, 128), torch.tensor([128, 40]))  # the second has 40 columns of image
        >>> memory.keep.sum(1)  # of 6 x 16 positions
        tensor([96, 30])
    """

    def __init__(
        self,
        model: nn.Module,
        channels: int,
        grid: tuple[int, int],
        *,
        prefix: int = 0,
        host: str | None = None,
        side: Side = "after",
    ) -> None:
        super().__init__()
        self.model = model
        self.channels, self.grid, self.prefix, self.host, self.side = channels, grid, prefix, host, side

    def forward(self, images: Tensor, width: Tensor | None = None) -> Memory:
        """Reads images.

        Args:
            images: (B, C, H, W), as the backbone takes them.
            width: How many columns of each image are image, int64 (B,); the vectors of the others are padding. None
                for all.

        Returns:
            The memory: values (B, N, C), row by row.
        """
        features = self._features(images)
        if features.ndim == 4:
            grid = (features.shape[2], features.shape[3])
            values = features.flatten(2).transpose(1, 2)
        else:
            values = features[:, self.prefix :]
            grid = self._grid_of(values.shape[1], (images.shape[2], images.shape[3]))
        return Memory(values, grid, None if width is None else _kept(width, grid, images.shape[3]))

    def _features(self, images: Tensor) -> Tensor:
        if self.host is not None:
            return self._taken(images, self.host)
        forward: Any = self.model.forward_features
        features = forward(images)
        if features.ndim == 4 and features.shape[1] != self.channels:  # channels last, as in Swin Transformers
            features = features.permute(0, 3, 1, 2)
        return features

    def _taken(self, images: Tensor, host: str) -> Tensor:
        """Runs the whole backbone, and returns what its host takes or returns on the way."""
        taken: list[Any] = []
        here = threading.get_ident()

        def take(module: nn.Module, inputs: Any, *output: Any) -> None:
            if torch.compiler.is_compiling() or threading.get_ident() == here:
                taken.append(output[0] if output else inputs[0])

        module = self.model.get_submodule(host)
        register = module.register_forward_pre_hook if self.side == "before" else module.register_forward_hook
        handle = register(take)
        try:
            self.model(images)
        finally:
            handle.remove()
        return taken[0]

    def _grid_of(self, positions: int, size: tuple[int, int]) -> tuple[int, int]:
        """Returns rows and columns of a sequence of positions, whose patches are as large as in the dry run."""
        rows, columns = self.grid
        if rows * columns == positions:
            return self.grid
        across = round((positions * size[1] / size[0]) ** 0.5)
        if across < 1 or positions % across:
            raise ValueError(f"{positions} positions of an image {size[0]}×{size[1]} do not form a known grid")
        return positions // across, across

    def extra_repr(self) -> str:
        """Shows the shape of the memory in ``print(model)``."""
        return f"channels={self.channels}, grid={self.grid}"


def reader(model: nn.Module, *, input_size: InputSize | None = None) -> Reader:
    """Makes a reader of a backbone: what its global average pooling takes, or the positions of a ViT.

    The model itself is taken over, with its weights and inserted blocks; its heads, which a reader does not need, are
    replaced by identities.

    Args:
        model: A network of timm, of torchvision, of this package or of your own that pools its last feature map; or one
            with a method ``forward_features`` that returns (B, C, H, W) or positions (B, N, C), as timm's have.
        input_size: Side, (H, W) or (C, H, W) of the images; by default the model's own.

    Returns:
        From images to `heads.Memory`.

    Raises:
        ValueError: if the model fails on an image, or no feature map is found; says why.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> reader = cva.backbones.reader(cva.backbones.build("resnet20"), input_size=(32, 128))
        >>> reader(torch.randn(2, 3, 32, 128)).values.shape, reader.grid
        (torch.Size([2, 256, 64]), (8, 32))
    """
    check_module(model)
    seen = dry_run(model, input_size, None)
    trace, image = seen.trace, seen.inputs.tensors[0]
    site = find_pool(trace, Hosts(model, trace))
    features = _features_of(model, image)
    prefix, host, side = 0, None, "after"
    if not isinstance(site, str) and (features is None or not _is_map(features, site.shape)):
        host, side = site.host, "before" if site.place == "before" else "after"
        channels, grid = site.shape[0], (site.shape[1], site.shape[2])
    elif not isinstance(site, str):
        channels, grid = site.shape[0], (site.shape[1], site.shape[2])
    elif features is not None:
        channels, grid, prefix = _described(model, features, image)
    else:
        raise ValueError(f"{type(model).__name__} has no feature map that a head could read: {site}")
    _drop_heads(model, Heads(model, trace).names, image, whole=host is not None)
    return Reader(model, channels, grid, prefix=prefix, host=host, side=side)  # pyright: ignore[reportArgumentType]


def _features_of(model: nn.Module, image: Tensor) -> Tensor | None:
    """Returns what ``forward_features`` makes of an image; None where there is no such method."""
    forward = getattr(model, "forward_features", None)
    if not callable(forward):
        return None
    with untouched(model):
        try:
            found = forward(image)
        except Exception:  # another signature than timm's
            return None
    return found if isinstance(found, Tensor) and found.ndim in (3, 4) else None


def _is_map(features: Tensor, shape: tuple[int, int, int]) -> bool:
    """Returns whether features (B, C, H, W) or (B, H, W, C) have the shape (C, H, W)."""
    found, (channels, height, width) = tuple(features.shape[1:]), shape
    return found in ((channels, height, width), (height, width, channels))


def _described(model: nn.Module, features: Tensor, image: Tensor) -> tuple[int, tuple[int, int], int]:
    """Returns channels, grid and number of prefix tokens of what ``forward_features`` returns."""
    width = getattr(model, "num_features", None)
    if features.ndim == 4:
        last = features.shape[3] == width and features.shape[1] != width
        shape = (features.shape[3], *features.shape[1:3]) if last else tuple(features.shape[1:])
        return shape[0], (shape[1], shape[2]), 0
    prefix = getattr(model, "num_prefix_tokens", 0)
    positions = features.shape[1] - prefix
    height, columns = image.shape[2:]
    for across in range(1, positions + 1):
        if positions % across == 0 and positions // across * columns == across * height:
            return features.shape[2], (positions // across, across), prefix
    raise ValueError(
        f"{type(model).__name__}.forward_features returns {positions} positions for an image {height}×{columns}, which "
        "do not form a grid of square patches"
    )


def _drop_heads(model: nn.Module, names: list[str], image: Tensor, *, whole: bool) -> None:
    """Replaces heads by identities; where the whole backbone must still run and cannot without them, it keeps them."""
    kept: dict[str, nn.Module] = {}
    for name in names:
        parent, _, child = name.rpartition(".")
        try:
            kept[name] = model.get_submodule(name)
        except AttributeError:  # a parameter of its own
            continue
        setattr(model.get_submodule(parent), child, nn.Identity())
    if not (whole and kept):
        return
    try:
        with untouched(model):
            model(image)
    except Exception:  # a model may fail in any way
        for name, module in kept.items():
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, module.requires_grad_(False))


def _kept(width: Tensor, grid: tuple[int, int], columns: int) -> Tensor:
    """Returns which positions hold a column of the image, bool (B, N)."""
    wide = -(-width * grid[1] // columns)  # rounded up
    across = torch.arange(grid[1], device=width.device) < wide[:, None]
    return across[:, None].expand(-1, *grid).flatten(1)
