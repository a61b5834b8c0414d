"""Detects training runs that diverge."""

import math

_FAR = 2.0  # times the loss of a guess, where predictions are no better than one
_ABSURD = 50.0  # times the loss of a guess, whatever the predictions


class Divergence:
    """Finds out, from the training's losses, that it has diverged, and says so once.

    Guessing among C classes costs ln(C) and is right in one of C images. A network that is no better and costs twice as
    much is sure of what is wrong; a loss of fifty times as much is a divergence with any accuracy.

    Args:
        classes: Number of classes C.
        lr: The peak learning rate, for the advice.
    """

    def __init__(self, classes: int, lr: float) -> None:
        self.classes, self.lr = max(classes, 2), lr
        self.guess = math.log(self.classes)
        self._said = False

    def of_steps(self, epoch: int, loss: float) -> str | None:
        """Judges the lowest loss of several steps in a row.

        Args:
            epoch: Number of the epoch, from 1 on.
            loss: That loss.

        Returns:
            The warning, the first time that there is one.
        """
        return self._warn(f"epoch {epoch}: no loss of its last steps is below {loss:.4g}", loss > _ABSURD * self.guess)

    def of_epoch(self, epoch: int, loss: float, accuracy: float, images: int) -> str | None:
        """Judges the means of an epoch.

        Args:
            epoch: Number of the epoch, from 1 on.
            loss: Mean loss.
            accuracy: Share of right predictions.
            images: Images that the means are of, which the margin of chance follows.

        Returns:
            The warning, the first time that there is one.
        """
        chance = 1 / self.classes
        margin = 3 * math.sqrt(chance * (1 - chance) / max(images, 1))
        blind = loss > _FAR * self.guess and accuracy <= chance + margin
        said = f"epoch {epoch}: its mean loss is {loss:.4g} and its accuracy {100 * accuracy:.1f} %"
        return self._warn(said, blind or loss > _ABSURD * self.guess)

    def _warn(self, said: str, diverged: bool) -> str | None:
        if not diverged or self._said:
            return None
        self._said = True
        return (
            f"warning: the training seems to have diverged in {said}; guessing among {self.classes} classes has a loss "
            f"of {self.guess:.2f}; try a lower --optimizer.lr (now {self.lr:g}), --optimizer.warmup_epochs 1 or "
            "--trainer.gradient_clip_val 1"
        )
