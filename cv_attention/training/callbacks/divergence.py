"""Detects training runs that diverge."""

import math

_FAR = 2.0  # times the loss of guessing, if accuracy is at chance
_ABSURD = 50.0  # times the loss of guessing, regardless of predictions


class Divergence:
    """Detects divergence from the training losses, and warns once.

    Guessing among C classes has a loss of ln(C) and an accuracy of 1/C. A network that is no more accurate but has
    twice that loss is confidently wrong; fifty times that loss counts as divergence at any accuracy.

    Args:
        classes: Number of classes C.
        lr: The peak learning rate, for the advice.
    """

    def __init__(self, classes: int, lr: float) -> None:
        self.classes, self.lr = max(classes, 2), lr
        self.guess = math.log(self.classes)
        self._said = False

    def of_steps(self, epoch: int, loss: float) -> str | None:
        """Checks the lowest loss of several consecutive steps.

        Args:
            epoch: Number of the epoch, from 1 on.
            loss: That loss.

        Returns:
            The warning, the first time that there is one.
        """
        return self._warn(f"epoch {epoch}: no loss of its last steps is below {loss:.4g}", loss > _ABSURD * self.guess)

    def of_epoch(self, epoch: int, loss: float, accuracy: float, images: int) -> str | None:
        """Checks the means of an epoch.

        Args:
            epoch: Number of the epoch, from 1 on.
            loss: Mean loss.
            accuracy: Fraction of correct predictions.
            images: Number of images in the means, which determines the margin of chance.

        Returns:
            The warning, the first time that there is one.
        """
        chance = 1 / self.classes
        margin = 3 * math.sqrt(chance * (1 - chance) / max(images, 1))
        blind = loss > _FAR * self.guess and accuracy <= chance + margin
        finding = f"epoch {epoch}: its mean loss is {loss:.4g} and its accuracy {100 * accuracy:.1f} %"
        return self._warn(finding, blind or loss > _ABSURD * self.guess)

    def _warn(self, finding: str, diverged: bool) -> str | None:
        if not diverged or self._said:
            return None
        self._said = True
        return (
            f"warning: training seems to have diverged in {finding}; guessing among {self.classes} classes has a loss "
            f"of {self.guess:.2f}; try a lower --optimizer.lr (now {self.lr:g}), --optimizer.warmup_epochs 1 or "
            "--trainer.gradient_clip_val 1"
        )
