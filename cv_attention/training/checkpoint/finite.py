"""Rejects networks with non-finite weights, before anything is computed with them."""

from pathlib import Path

import torch

from cv_attention.training.checkpoint.checkpoints import name_of
from cv_attention.training.tasks.classifier import Classifier


def require_finite(classifier: Classifier, source: Path | Classifier) -> Classifier:
    """Checks that all weights and buffers of a network are finite.

    Args:
        classifier: The network.
        source: Where it was loaded from, for the message.

    Returns:
        The unchanged network.

    Raises:
        ValueError: naming the first tensor with non-finite values, and their number.
    """
    wrong = [
        (name, int((~torch.isfinite(values)).sum()), values.numel())
        for name, values in classifier.network.state_dict().items()
        if values.is_floating_point() and not torch.isfinite(values).all()
    ]
    if wrong:
        name, bad, count = wrong[0]
        more = f" and in {len(wrong) - 1} more tensors" if len(wrong) > 1 else ""
        raise ValueError(
            f"{name_of(source)}: {bad} of {count} values of {name} are not finite (NaN or infinite){more}, so "
            "this network cannot be used; train it again, for example with a lower learning rate"
        )
    return classifier
