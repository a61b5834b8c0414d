"""Makes batches of episodes."""

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from cv_attention.config import Episodes
from cv_attention.data.augmentation.transforms import Pipeline
from cv_attention.data.episodes import drawing, warping
from cv_attention.data.episodes.classes import Classes
from cv_attention.data.episodes.drawing import Episode
from cv_attention.data.episodes.shown import Shown, ShownImages
from cv_attention.data.sources.image_set import Draw

_SPLITS = ("train", "val", "test")
_PLACE_BITS = 21  # the longest episode has 1,000 classes of 1,000 images


class EpisodeSet(Dataset):
    """One split as a data set of episodes. An episode depends on (seed, epoch, index) alone.

    Args:
        name: ``train``, ``val`` or ``test``.
        classes: The classes of the split.
        config: What kind of episodes, and how many.
        pipeline: Transforms of each image.
        seed: Seed of the episodes and of the augmentation.

    Examples:
        >>> import numpy as np
        >>> from cv_attention.config import Episodes
        >>> from cv_attention.data.augmentation.transforms import Pipeline
        >>> from cv_attention.data.episodes import Classes, EpisodeSet
        >>> from cv_attention.data.sources.memory import in_memory
        >>> images = in_memory(np.zeros((9, 8, 8, 3), np.uint8), np.arange(9) // 3)
        >>> classes = Classes.of(["a", "b", "c"], images)
        >>> config = Episodes(ways=2, instances=3)
        >>> split = EpisodeSet("val", classes, config, Pipeline([], "data.eval_transforms"), seed=0)
        >>> batch = split.batch([(0, 0), (0, 1)])
        >>> batch["images"].shape, batch["labels"].sort().values[0].tolist()
        (torch.Size([2, 6, 3, 8, 8]), [0, 0, 0, 1, 1, 1])
    """

    def __init__(self, name: str, classes: Classes, config: Episodes, pipeline: Pipeline, seed: int) -> None:
        self.name, self.classes, self.config, self.pipeline, self.seed = name, classes, config, pipeline, seed
        self._images = ShownImages(classes, pipeline, seed)

    def __len__(self) -> int:
        return int(getattr(self.config, self.name))

    def __getitem__(self, draw: int | Draw) -> dict[str, Tensor]:
        """Returns one episode: the entries of a batch of `draw` alone, without their first axis."""
        draw = (0, draw) if isinstance(draw, int) else draw
        return {key: value[0] for key, value in self.batch([draw]).items()}

    def __getitems__(self, draws: list[Draw]) -> dict[str, Tensor]:
        """Makes a batch of `draws`; torch's DataLoader calls this instead of collating samples."""
        return self.batch(draws)

    @property
    def resident(self) -> bool:
        """Whether batches are made from pixels in memory, which no worker process could speed up."""
        return self._images.resident

    @property
    def length(self) -> tuple[int, int]:
        """Fewest and most images of a sequence of this split that is to be copied."""
        config = self.config
        fixed = config.longest if config.test_length is None else config.test_length
        return (config.shortest, config.longest) if self.name == "train" else (fixed, fixed)

    def episode(self, draw: Draw) -> Episode:
        """Returns which images the episode `draw` shows, without reading any."""
        return self._drawn(draw)[0]

    def batch(self, draws: list[Draw], device: torch.device | str = "cpu") -> dict[str, Tensor]:
        """Makes a batch.

        Args:
            draws: Epoch and index of each episode.
            device: Where the batch is made.

        Returns:
            ``images`` uint8 (B, T, 3, H, W), T being the length of the longest episode; ``labels`` int64 (B, T), what
            each image is called, and ``instances`` int64 (B, T), how often that label has been shown by then, 1 for the
            first time; ``classes`` int64 (B, T), the images' classes as positions in the split's ``classes.names``;
            ``length`` int64 (B,), the images of each episode; ``ways`` int64 (B,), the number of labels, which are from
            0 on; ``index`` int64 (B,). Behind the end of a shorter episode, images are 0, labels and classes -1, and
            instances 0. Episodes of the kind ``associate`` also have ``query`` int64 (B,), the pair that the last image
            asks for, from 0 on, and ``target`` int64 (B,), the label of that pair's second image, which is the answer.

        Raises:
            ValueError: if the images have different sizes after the transforms, or a file is broken.
        """
        drawn = [self._drawn(draw) for draw in draws]
        episodes = [episode for episode, _ in drawn]
        length = torch.tensor([len(episode.labels) for episode in episodes])
        keep = torch.arange(int(length.max())) < length[:, None]
        pixels = self._images(self._shown(draws, drawn), torch.device(device))
        images = pixels.new_zeros(*keep.shape, *pixels.shape[1:])
        images[keep.to(pixels.device)] = pixels
        batch = {"length": length, "ways": torch.full_like(length, self.ways)}
        batch |= {"index": torch.tensor([index for _, index in draws])}
        labels = [episode.labels for episode in episodes]
        batch |= {"labels": _padded(labels, keep, -1), "classes": _padded([e.classes for e in episodes], keep, -1)}
        batch |= {"instances": _padded([drawing.nth_time(each) for each in labels], keep, 0)}
        if self.config.kind == "associate":
            batch |= {name: torch.tensor([getattr(e, name) for e in episodes]) for name in ("query", "target")}
        moved = {name: values.to(pixels.device, non_blocking=True) for name, values in batch.items()}
        return {"images": images.permute(0, 1, 4, 2, 3), **moved}

    @property
    def ways(self) -> int:
        """Number of labels: of the classes of an episode that is to be classified, or of all classes."""
        return self.config.ways if self.config.kind == "classify" else len(self.classes)

    def size(self) -> tuple[int, int]:
        """Transforms a few episodes as one batch, to report mistakes before training; returns their images' (H, W).

        Raises:
            ValueError: if they have different sizes, or one is broken.
        """
        tried = sorted({int(index) for index in np.linspace(0, len(self) - 1, 3)})
        height, width = self.batch([(0, index) for index in tried])["images"].shape[3:]
        return height, width

    def _drawn(self, draw: Draw) -> tuple[Episode, np.ndarray | None]:
        """Draws an episode, and the matrices by which its images are warped (T, 2, 2)."""
        rng = np.random.default_rng((self.seed, _SPLITS.index(self.name), *draw))
        episode = drawing.draw(self.classes, self.config, self.length, rng)
        if not self.classes.warped:
            return episode, None
        return episode, warping.draw_matrices(self.ways, rng)[episode.labels]

    def _shown(self, draws: list[Draw], drawn: list[tuple[Episode, np.ndarray | None]]) -> Shown:
        """Lists the images of all episodes, one episode after the other."""
        members = np.concatenate([episode.members for episode, _ in drawn])
        classes = np.concatenate([episode.classes for episode, _ in drawn])
        lengths = [len(episode.labels) for episode, _ in drawn]
        epochs = np.repeat([epoch for epoch, _ in draws], lengths)
        # Every image of an epoch has random numbers of its own, however often it is shown.
        places = np.repeat([index << _PLACE_BITS for _, index in draws], lengths)
        places += np.concatenate([np.arange(length) for length in lengths])
        matrices = [matrix for _, matrix in drawn if matrix is not None]
        return Shown(members, classes, epochs, places, np.concatenate(matrices) if matrices else None)


def _padded(values: list[np.ndarray], keep: Tensor, rest: int) -> Tensor:
    padded = torch.full(keep.shape, rest)
    padded[keep] = torch.from_numpy(np.concatenate(values))
    return padded
