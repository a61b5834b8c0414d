"""Records channel gates over the validation images, and judges the last saliency maps."""

from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback

from cv_attention.recording.snapshots.gates import GateStatistics
from cv_attention.training.callbacks.averaging import validated_network
from cv_attention.training.recording.probes import ProbeMaps


class ProbeDetails(Callback):
    """Writes, in the epochs that `ProbeMaps` records:

    - ``gates-XXXX.npz``: each channel gate's distribution over the validation images, see `GateStatistics`;
    - ``faithfulness.json``, after the last epoch: see `cv_attention.report.Recorder.faithfulness`.

    Args:
        maps: The callback that records the maps; it runs first.
        points: Number of steps of the insertion and deletion curves; 0 disables them.
    """  # noqa: D415

    def __init__(self, maps: ProbeMaps, points: int) -> None:
        self.maps, self.points = maps, points
        self.gates: GateStatistics | None = None

    def on_validation_epoch_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Prepares to collect gates."""
        self.gates = None
        if self.maps.due(trainer):
            images = len(trainer.datamodule.splits["val"])  # pyright: ignore[reportAttributeAccessIssue]
            self.gates = GateStatistics(pl_module.network, images)

    def on_validation_batch_start(self, *_: Any, **__: Any) -> None:
        """Records the gates of this batch."""
        if self.gates:
            self.gates.look()

    def on_validation_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Stores the gates of this batch."""
        if self.gates:
            self.gates.take(batch["label"])

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Removes all hooks."""
        if self.gates:
            self.gates.close()

    def on_validation_epoch_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Writes this epoch's gates."""
        if self.gates is not None and self.maps.recorder is not None:
            self.maps.recorder.write_gates(trainer.current_epoch, self.gates)
        self.gates = None

    def on_fit_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Computes the curves of the last recorded maps."""
        recorder = self.maps.recorder
        if recorder is None or not self.points or not recorder.latest:
            return
        with trainer.precision_plugin.forward_context():
            recorder.faithfulness(
                validated_network(trainer, pl_module), points=self.points
            )  # the one that the maps belong to
