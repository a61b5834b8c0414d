"""Detects training runs that diverge."""

from collections.abc import Mapping

from cv_attention.training.tasks.interface import Guess

_FAR = 2.0  # times the loss of guessing, if accuracy is at chance
_ABSURD = 50.0  # times the loss of guessing, regardless of predictions


class Divergence:
    """Finds out from the losses of a training run that it has diverged, and says so once.

    A network that predicts no better than a guess and has twice its loss is sure of what is wrong; a loss of fifty
    times a guess's is a divergence in any case. Guessing among C classes, for one, costs ln(C).

    Args:
        guess: What guessing achieves.
        lr: The peak learning rate, for the advice.
    """

    def __init__(self, guess: Guess, lr: float) -> None:
        self.guess, self.lr = guess, lr
        self._warned = False

    def of_steps(self, epoch: int, loss: float) -> str | None:
        """Checks the lowest loss of several consecutive steps.

        Args:
            epoch: Number of the epoch, from 1 on.
            loss: That loss.

        Returns:
            The warning, the first time that there is one.
        """
        where = f"epoch {epoch}: no loss of its last steps is below {loss:.4g}"
        return self._warn(where, loss > _ABSURD * self.guess.loss)

    def of_epoch(self, epoch: int, means: Mapping[str, float], *, guessing: bool) -> str | None:
        """Judges the means of an epoch.

        Args:
            epoch: Number of the epoch, from 1 on.
            means: ``loss`` and the task's other figures over the epoch's images.
            guessing: Whether the other figures are no better than those of a guess.

        Returns:
            The warning, the first time that there is one.
        """
        loss = means["loss"]
        diverged = (guessing and loss > _FAR * self.guess.loss) or loss > _ABSURD * self.guess.loss
        shown = [f"its mean {name} is {value:.4g}" for name, value in means.items()]
        return self._warn(f"epoch {epoch}: {' and '.join(shown)}", diverged)

    def _warn(self, where: str, diverged: bool) -> str | None:
        if not diverged or self._warned:
            return None
        self._warned = True
        return (
            f"warning: training seems to have diverged in {where}; {self.guess.words} has a loss of "
            f"{self.guess.loss:.2f}; try a lower --optimizer.lr (now {self.lr:g}), --optimizer.warmup_epochs 1 or "
            "--trainer.gradient_clip_val 1"
        )
