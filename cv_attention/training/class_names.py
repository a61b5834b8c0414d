"""Names the classes of pretrained networks, and compares the classes of networks and data sets."""

from collections import Counter
from collections.abc import Sequence

from timm.data import ImageNetInfo, infer_imagenet_subset

_SHOWN = 20  # class names in a message


def known_classes(count: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names the classes of a pretrained classifier, as timm lists them.

    Args:
        count: Number of logits.

    Returns:
        Names and ids in the order of the logits: ``tench`` and ``n01440764`` for ImageNet's 1,000 classes and its
        larger sets, ``0``, ``1``, ... for any other number. A name that several classes share has its id behind it.
    """
    subset = infer_imagenet_subset({"num_classes": count})
    if subset is None:
        numbers = tuple(str(number) for number in range(count))
        return numbers, numbers
    info = ImageNetInfo(subset)
    ids = tuple(info.label_names())
    first = [name.partition(",")[0] for name in info.label_descriptions()]  # its synonyms follow
    shared = Counter(first)
    return tuple(f"{name} ({i})" if shared[name] > 1 else name for name, i in zip(first, ids, strict=True)), ids


def check_classes(names: Sequence[str], known: Sequence[str], source: str) -> None:
    """Raises ValueError unless a data set has exactly the classes that a network knows, in their order.

    Args:
        names: The classes of the data set.
        known: Those of the network.
        source: Where the data set lies, for the message.
    """
    if list(names) != list(known):
        raise ValueError(f"{source} has the classes {_listed(names)}; the network knows {_listed(known)}")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
