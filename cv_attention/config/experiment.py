"""Joins the parts of a configuration into one tree, the experiment."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from cv_attention.config.bounds import bounded
from cv_attention.config.data import Data
from cv_attention.config.log import Log
from cv_attention.config.loss import Loss
from cv_attention.config.model import Model
from cv_attention.config.optimizer import Optimizer
from cv_attention.config.trainer import Trainer


@dataclass
class Experiment:
    """Configures an experiment: everything that decides a run's result.

    Attributes:
        seed: Seed of weights, augmentation and the framework's other random numbers.
        data: The images.
        model: The network.
        loss: The loss.
        optimizer: The optimizer and schedule.
        trainer: Lightning's Trainer.
        log: What the run leaves behind.

    Examples:
        >>> from cv_attention.config import Experiment, Model, Optimizer
        >>> experiment = Experiment(seed=1, model=Model(block="cbam"), optimizer=Optimizer(lr=0.05))
        >>> experiment.name(), experiment.group()
        ('cluttered_digits-resnet20-cbam-seed1', 'cluttered_digits-resnet20-cbam')
        >>> experiment.to_dict()["optimizer"]["lr"]
        0.05
        >>> experiment.fingerprint() == Experiment(seed=2).fingerprint()
        False
    """

    seed: int = bounded(0, "[0, 4294967295]")
    data: Data = field(default_factory=Data)
    model: Model = field(default_factory=Model)
    loss: Loss = field(default_factory=Loss)
    optimizer: Optimizer = field(default_factory=Optimizer)
    trainer: Trainer = field(default_factory=Trainer)
    log: Log = field(default_factory=Log)

    def to_dict(self) -> dict[str, Any]:
        """Returns the tree as plain dicts, lists and scalars."""
        return asdict(self)

    def name(self) -> str:
        """Returns ``log.name``, or a name of what tells a run from others: data, backbone, block, head and seed."""
        return self.log.name or f"{self._recipe()}-seed{self.seed}"

    def group(self) -> str:
        """Returns ``log.group``, or a name that the runs of several seeds share: data, backbone, block and head."""
        return self.log.group or self._recipe()

    def _recipe(self) -> str:
        backbone = self.model.backbone.replace("/", "-")
        attention = [_short(spec) for spec in (self.model.block, self.model.head) if spec is not None]
        return f"{self.data.name}-{backbone}-{'-'.join(attention) or 'plain'}"

    def fingerprint(self) -> str:
        """Returns 12 hexadecimal digits that are the same for the same configuration; ``log`` does not count."""
        deciding = {name: part for name, part in self.to_dict().items() if name != "log"}
        return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()[:12]


def _short(spec: Any) -> str:
    """Returns a block's or a head's name, or that of its class."""
    if isinstance(spec, dict):
        spec = str(spec.get("name") or spec.get("class_path", "block")).rsplit(".", 1)[-1]
    return str(spec)
