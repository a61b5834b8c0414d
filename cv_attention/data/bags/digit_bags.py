"""Draws bags of digits, positive if they hold a nine (Ilse et al., ICML 2018, section 4.1.2).

https://arxiv.org/abs/1802.04712. The digits are scikit-learn's, so that nothing is downloaded; no digit occurs in two
splits. Unlike there, half of the bags are positive.
"""

import numpy as np

from cv_attention.config import Bags as Config
from cv_attention.data.bags.bag_set import Bags
from cv_attention.data.sources import digits
from cv_attention.data.sources.memory import in_memory


def draw(config: Config) -> tuple[list[str], dict[str, Bags]]:
    """Draws the bags of all splits.

    Args:
        config: How many bags, how large, and which digit makes them positive.

    Returns:
        The names of the classes, and for `train`, `val` and `test` the bags, each with what `Bags.key` says.
    """
    pixels, labels = digits.load()
    grey = digits.enlarge(pixels, config.side)
    sources = digits.split_sources(labels, config.seed)
    found = {}
    for number, split in enumerate(digits.SHARES):
        rng = np.random.default_rng((config.seed, number, config.positive))
        of_split = labels[sources[split]]
        key, other = np.flatnonzero(of_split == config.positive), np.flatnonzero(of_split != config.positive)
        count = getattr(config, split)
        targets = rng.permutation(np.arange(count) % 2)
        members = [_one(bool(target), key, other, config, rng) for target in targets]
        images = np.repeat(grey[sources[split]][..., None], 3, axis=3)
        rows = np.concatenate(members)
        starts = np.cumsum([0, *map(len, members)])
        instances = in_memory(images, of_split).select(rows)
        names = [f"{index:04d}" for index in range(count)]
        found[split] = Bags(instances, starts, targets.astype(np.int64), names, of_split[rows] == config.positive)
    return [f"without {config.positive}", f"with {config.positive}"], found


def _one(positive: bool, key: np.ndarray, other: np.ndarray, config: Config, rng: np.random.Generator) -> np.ndarray:
    """Draws one bag: every digit is equally probable, given that there is one of the key, or none."""
    size = max(1, round(rng.normal(config.mean, config.spread)))
    if not positive:
        return rng.choice(other, size)
    keys = 0
    while keys == 0:
        keys = rng.binomial(size, 0.1)
    return rng.permutation(np.concatenate([rng.choice(key, keys), rng.choice(other, size - keys)]))
