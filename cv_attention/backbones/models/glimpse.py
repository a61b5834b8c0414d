"""Recurrent attention: a few glimpses at an image (Mnih et al., NeurIPS 2014), https://arxiv.org/abs/1406.6247."""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cv_attention.backbones.models.glimpse_encoders import LinearEncoder, PooledEncoder, keep_size
from cv_attention.backbones.models.retina import glimpse
from cv_attention.blocks.base import check_choice, check_whole
from cv_attention.blocks.draw import Reward
from cv_attention.blocks.functional.half_precision import widened
from cv_attention.blocks.place_draw import PlaceDraw, Policy

Encoder = Literal["linear", "attention"]
_WIDEST = 4096  # pixels a side: wider patches fill the memory before anything is reported


class Glimpse(nn.Module):
    """Classifies an image by a few glimpses, one after the other, at places that it chooses itself.

    Paper: Recurrent Models of Visual Attention (Mnih et al., NeurIPS 2014), https://arxiv.org/abs/1406.6247.

    A glimpse is a retina: `scales` patches around a place, of 1, 2, 4, ... times ``patch * finest`` pixels a side, each
    brought to `patch` × `patch` numbers. What it shows and where it was, make a state, ``h = relu(W h + V g)``; the
    state proposes the next place, and the last state the class. The cost does not depend on the image's size. The
    network reads ``steps * scales * patch^2`` numbers of an image, each the mean of a square of pixels.

    The first place is uniform in training, up to `start` from the centre, and the centre in evaluation; the next ones
    are samples around the proposed means in training, and these means in evaluation, where nothing is random.

    Policies:

    - ``pathwise``: gradients of the loss reach the places through the interpolated pixels, as in spatial transformers.
    - ``reinforce``, the paper's: a place learns from whether the prediction was right. The sampled places, the state
      that the locator sees and the one that the baseline sees are cut off the graph; `training.Reinforce` makes the
      loss, which ``cv-attention fit`` adds.
    - ``random``: places are uniform in training. In evaluation all images get the same ones, which the network drew
      when it was made. It is the control by which the other two are judged.

    Map: `places`, of kind ``places``, (B, steps, 2), see `PlaceDraw`; `maps.place_boxes` makes boxes in pixels of it.

    Args:
        num_classes: Number of logits.
        patch: Side of every patch in numbers, and of the finest one in pixels; it may be larger than the image.
        scales: Number of patches of a glimpse.
        steps: Number of glimpses.
        finest: Pixels a side that one number of the finest patch stands for; the paper's is 1.
        policy: ``pathwise``, ``reinforce`` or ``random``.
        sigma: Standard deviation of the places in training; 1 is half of the image's width.
        start: How far from the centre the first glimpse of training is at most, from 0 to 1; 1 is anywhere.
        width: Length of the state.
        encoder: What reads a glimpse: ``linear``, one layer, as in the paper; or ``attention``, convolutions that all
            scales share, each patch pooled by additive attention. The latter moves the next place to where the
            attention over the widest patch points, from where the state's proposal leads on: it finds things sooner.
        reward: What ``reinforce`` rewards: a ``correct`` prediction, as in the paper, or the ``log_probability`` of the
            true class.
        in_chans: Channels of the image.

    Raises:
        ValueError: if an argument is out of its range; from the forward, if the images have other axes or channels.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("glimpse", num_classes=10, patch=8, scales=3, steps=4).eval()
        >>> with cva.record(model) as maps:
        ...     logits = model(torch.randn(2, 3, 64, 64))  # images of any size
        >>> logits.shape, maps["places"].values.shape
        (torch.Size([2, 10]), torch.Size([2, 4, 2]))
        >>> cva.maps.place_boxes(maps["places"], (64, 64))[0, 0, :, 2:] - 32  # right and lower edges from the centre
        tensor([[ 4.,  4.],
                [ 8.,  8.],
                [16., 16.]])
    """

    fixed: Tensor

    def __init__(
        self,
        num_classes: int = 10,
        patch: int = 12,
        scales: int = 3,
        steps: int = 6,
        finest: int = 1,
        policy: Policy = "pathwise",
        sigma: float = 0.1,
        start: float = 1.0,
        width: int = 128,
        encoder: Encoder = "linear",
        reward: Reward = "correct",
        in_chans: int = 3,
    ) -> None:
        super().__init__()
        check_whole(patch=patch, scales=scales, steps=steps, finest=finest, width=width, in_chans=in_chans)
        if isinstance(start, bool) or not isinstance(start, int | float) or not 0 <= start <= 1:
            raise ValueError(f"start must be a number from 0 to 1, got start={start!r}")
        check_choice("encoder", encoder, get_args(Encoder))
        if scales > 12 or patch * finest * 2 ** (scales - 1) > _WIDEST:
            raise ValueError(
                f"patch * finest * 2^(scales - 1) must be at most {_WIDEST}, got patch={patch}, finest={finest}, "
                f"scales={scales}"
            )
        self.patch, self.scales, self.steps, self.finest, self.in_chans = patch, scales, steps, finest, in_chans
        self.start = float(start)
        self.numbers_read = steps * scales * patch**2  # of an image
        self.native_input_size = (in_chans, 64, 64)  # any size will do; dry runs take this one
        self.places = PlaceDraw(policy, sigma=sigma, reward=reward)
        self.what = (LinearEncoder if encoder == "linear" else PooledEncoder)(in_chans, patch, scales, width)
        self.where = nn.Sequential(nn.Linear(2, width), nn.ReLU(inplace=True))
        self.join = nn.Linear(2 * width, width)
        self.recur, self.enter = nn.Linear(width, width), nn.Linear(width, width, bias=False)
        self.locator = None if encoder == "attention" else _locator(width)
        self.baseline = nn.Linear(width, 1) if policy == "reinforce" else None
        self.fc = nn.Linear(width, num_classes)
        if policy == "random":
            self.register_buffer("fixed", 2 * torch.rand(steps, 2) - 1)
        for layer in (self.where, self.join, self.enter):
            layer.apply(keep_size)
        nn.init.eye_(self.recur.weight)  # the state is kept from glimpse to glimpse

    def forward(self, x: Tensor) -> Tensor:
        """Maps images (B, in_chans, H, W) to logits (B, num_classes)."""
        return self.fc(self.forward_features(x))

    def forward_features(self, x: Tensor) -> Tensor:
        """Maps images `x` (B, in_chans, H, W) to the last state (B, width)."""
        if x.dim() != 4 or x.shape[1] != self.in_chans:
            raise ValueError(f"images must be (B, {self.in_chans}, H, W), got shape {tuple(x.shape)}")
        noise = self.places.noise(x.shape[0], self.steps, x) if self.training else None  # pyright: ignore[reportCallIssue]
        place = self._first(x, noise)
        places, chances, expected = [place], [], []
        state, pointed = self._look(x, place, x.new_zeros(x.shape[0], self.recur.in_features))
        for step in range(1, self.steps):
            mean = self._propose(state, pointed, step)
            place, log_probability = self.places.choose(mean, None if noise is None else noise[:, step])
            places.append(place)
            chances.append(log_probability)
            if self.baseline is not None:
                expected.append(widened(self.baseline(state.detach()))[:, 0])
            state, pointed = self._look(x, place, state)
        self._show(x, places, chances, expected)
        return state

    def _first(self, x: Tensor, noise: Tensor | None) -> Tensor:
        """The places (B, 2) of the first glimpse."""
        if noise is not None:
            return noise[:, 0] if self.places.estimator == "random" else self.start * noise[:, 0]
        if self.places.estimator == "random":
            return widened(self.fixed[0]).expand(x.shape[0], 2)
        return x.new_zeros(x.shape[0], 2, dtype=torch.promote_types(x.dtype, torch.float32))

    def _propose(self, state: Tensor, pointed: Tensor | None, step: int) -> Tensor:
        """The means (B, 2) of the places of another glimpse."""
        if self.places.estimator == "random":
            return widened(self.fixed[step]).expand(state.shape[0], 2)
        if self.locator is None:
            assert pointed is not None
            return pointed.clamp(-1, 1)
        return widened(self.locator(state.detach() if self.places.estimator == "reinforce" else state))

    def _look(self, x: Tensor, place: Tensor, state: Tensor) -> tuple[Tensor, Tensor | None]:
        """The state (B, width) after a glimpse at `place` (B, 2), and the place at which its attention points."""
        seen = glimpse(x, place, self.patch, self.scales, self.finest).to(x.dtype)
        what, offset = self.what(seen, state, self.places.estimator == "reinforce")
        joined = F.relu(self.join(torch.cat([what, self.where(place.to(x.dtype))], 1)))
        state = F.relu(self.recur(state) + self.enter(joined))
        return state, None if offset is None else place.detach() + widened(offset) * self._extents(x)[-1]

    def _extents(self, x: Tensor) -> Tensor:
        """Half of width and height of each patch in the unit of places, (scales, 2)."""
        sides = [self.patch * self.finest * 2**number for number in range(self.scales)]
        halves = [[side / x.shape[3], side / x.shape[2]] for side in sides]
        return torch.tensor(halves, device=x.device, dtype=torch.promote_types(x.dtype, torch.float32))

    def _show(self, x: Tensor, places: list[Tensor], chances: list[Tensor], expected: list[Tensor]) -> None:
        """Passes all places through `places`, for hooks."""
        stacked = torch.stack(places, 1)
        none = stacked.new_zeros(x.shape[0], 0)
        self.places(
            stacked,
            torch.stack(chances, 1) if chances else none,
            stacked.new_zeros(x.shape[0]),
            torch.stack(expected, 1) if expected else (None if self.baseline is None else none),
            self._extents(x).expand(x.shape[0], len(places), -1, -1),
        )


def _locator(width: int) -> nn.Sequential:
    """Makes what proposes the next place (B, 2) from the state (B, width): the centre, at the start."""
    last = nn.Linear(width, 2)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(inplace=True), last, nn.Tanh())
