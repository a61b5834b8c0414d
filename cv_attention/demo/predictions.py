"""Says what a network predicts of a photograph: its class, its classes, or numbers."""

import torch
from torch import Tensor

from cv_attention.saliency.core.targets import Target
from cv_attention.saliency.targets import multi_label, regression
from cv_attention.suggest import suggest
from cv_attention.training import Classifier, Regressor, Task


class Predictions:
    """The predictions for one photograph.

    Args:
        task: The network with its task.
        outputs: What the network returned, (1, outputs).

    Attributes:
        names: Names of the classes, or of the numbers.

    Raises:
        ValueError: if the network predicts something else, such as a text.
    """

    def __init__(self, task: Task, outputs: Tensor) -> None:
        if not isinstance(task, Classifier | Regressor):
            raise ValueError(f"the page explains classes and numbers, not the task {task.name}")
        self._task, self._outputs = task, outputs[0].detach().float().cpu()
        self.names = task.facts.value_names if isinstance(task, Regressor) else task.facts.class_names
        self._several = isinstance(task, Classifier) and task.targets == "multi"

    def classes(self, count: int) -> dict[str, float]:
        """Returns the likeliest classes with their probabilities; of numbers nothing."""
        if isinstance(self._task, Regressor):
            return {}
        probabilities = self._probabilities()
        likeliest = probabilities.argsort(descending=True, stable=True)[:count]
        return {self.names[number]: float(probabilities[number]) for number in likeliest.tolist()}

    def notes(self) -> list[str]:
        """Returns the numbers, or the classes that the photograph has where it may have several."""
        if isinstance(self._task, Regressor):
            values = self._outputs.to(self._task.scale) * self._task.scale + self._task.centre
            return [f"{name}: {value:.4g}" for name, value in zip(self.names, values.tolist(), strict=True)]
        if not self._several:
            return []
        thresholds = getattr(self._task.facts, "thresholds", ()) or (0.5,) * len(self.names)
        pairs = zip(self.names, self._probabilities().tolist(), thresholds, strict=True)
        found = [name for name, probability, threshold in pairs if probability >= threshold]
        return [f"Above their thresholds: {', '.join(found) or 'no class'}."]

    def find(self, name: str | None) -> int:
        """Returns the output of a class or number, by default of the likeliest class or the first number.

        Raises:
            ValueError: if there is none of this name.
        """
        if not name:
            return 0 if isinstance(self._task, Regressor) else int(self._outputs.argmax())
        if name not in self.names:
            raise ValueError(f"the network has no class {name!r}{suggest(name, self.names)}")
        return self.names.index(name)

    def target(self, output: int) -> Target:
        """Returns one output as the target of saliency methods."""
        if isinstance(self._task, Regressor):
            return regression(output)
        return multi_label(output) if self._several else torch.tensor([output])

    def _probabilities(self) -> Tensor:
        return self._outputs.sigmoid() if self._several else self._outputs.softmax(0)
