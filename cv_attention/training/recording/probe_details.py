"""Records the details of the probe images that the report's panels show."""

import io
import json
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from cv_attention.maps import record
from cv_attention.maps.adapters import adapter_of
from cv_attention.rundir.files import write_bytes, write_text
from cv_attention.saliency import grad_cam
from cv_attention.training.callbacks.averaging import validated_network
from cv_attention.training.recording.gates import GateStatistics
from cv_attention.training.recording.heads import head_maps
from cv_attention.training.recording.probe_curves import probe_curves
from cv_attention.training.recording.probes import ProbeMaps

_TOP = 3  # classes whose maps are kept, beside the true one
_MOST_PAIRWISE = 8  # probe images whose pairwise maps are kept, at the first and at the newest recording


class ProbeDetails(Callback):
    """Writes, beside the files of `ProbeMaps`, with the same epochs and images:

    - ``classes-XXXX.npz``: ``classes`` (N, K), the three most probable classes and the true one (or a fourth), and
      ``Grad-CAM`` (N, K, h, w), the map of each;
    - ``heads-XXXX.npz``: the self-attention of every head, see `head_maps`; ``pairwise-XXXX.npz``: where every position
      looks, of eight images, kept of the first and of the newest recording;
    - ``gates-XXXX.npz``: each channel gate's distribution over the validation images, see `GateStatistics`;
    - ``faithfulness.json``, after the last epoch: see `probe_curves`.

    Args:
        maps: The callback that records the maps; it goes first.
        points: Steps of the insertion and deletion curves; 0 computes none.
    """  # noqa: D415

    def __init__(self, maps: ProbeMaps, points: int) -> None:
        self.maps, self.points, self.folder = maps, points, maps.folder
        self.gates: GateStatistics | None = None

    def on_validation_epoch_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Gets ready to collect gates."""
        self.gates = None
        if self.maps.due(trainer):
            images = len(trainer.datamodule.splits["val"])  # pyright: ignore[reportAttributeAccessIssue]
            self.gates = GateStatistics(pl_module.network, images)

    def on_validation_batch_start(self, *_: Any, **__: Any) -> None:
        """Looks at the gates of this batch."""
        if self.gates:
            self.gates.look()

    def on_validation_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Keeps them."""
        if self.gates:
            self.gates.take(batch["label"])

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Leaves no hook behind."""
        if self.gates:
            self.gates.close()

    def on_validation_epoch_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Records this epoch."""
        if self.gates is None:
            return
        number = f"{trainer.current_epoch:04d}"
        self._write(f"gates-{number}", self.gates.arrays(len(pl_module.facts.class_names)))
        self.gates = None
        inputs = pl_module.normalise(self.maps.probes["image"].to(pl_module.device))
        with trainer.precision_plugin.forward_context():
            self._write(f"classes-{number}", self._class_maps(pl_module, inputs))
            heads, pairwise = self._heads(pl_module, inputs)
        self._write(f"heads-{number}", heads)
        self._write(f"pairwise-{number}", pairwise)
        for old in sorted(self.folder.glob("pairwise-*.npz"))[1:-1]:
            old.unlink()

    def on_fit_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Judges the last recorded maps."""
        if not trainer.is_global_zero or not self.points or not self.maps.latest:
            return
        inputs = pl_module.normalise(self.maps.probes["image"].to(pl_module.device))
        heats = {title: torch.from_numpy(values).to(pl_module.device) for title, values in self.maps.latest.items()}
        with trainer.precision_plugin.forward_context():
            network = validated_network(trainer, pl_module)  # whose maps they are
            curves = probe_curves(network, inputs, heats, self.points, pl_module.facts.mean)
        write_text(self.folder / "faithfulness.json", json.dumps({"epoch": self.maps.latest_epoch, **curves}))

    def _class_maps(self, classifier: Any, inputs: Tensor) -> dict[str, np.ndarray]:
        labels = self.maps.probes["label"].to(inputs.device)
        classes = top_and_true(self.maps.latest_logits.to(inputs.device), labels)
        try:
            heat = grad_cam(classifier.network, inputs, classes, upsample=False)
        except ValueError:  # a network without feature maps, as was said before the training
            return {}
        return {"classes": classes.cpu().numpy(), "Grad-CAM": _half(heat)}

    def _heads(self, classifier: Any, inputs: Tensor) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        network = classifier.network
        if not any("pairwise" in found.kinds for module in network.modules() if (found := adapter_of(module))):
            return {}, {}
        training = network.training
        network.eval()
        with torch.no_grad(), record(network) as maps:
            network(inputs)
        network.train(training)
        found = head_maps(maps)
        heads = {name: _half(one.heads) for name, one in found.items()}
        few = {name: _half(one.pairwise[:_MOST_PAIRWISE]) for name, one in found.items() if one.pairwise.numel()}
        return heads, few

    def _write(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        if arrays:
            buffer = io.BytesIO()
            np.savez(buffer, **arrays)  # pyright: ignore[reportArgumentType]
            write_bytes(self.folder / f"{name}.npz", buffer.getvalue())


def top_and_true(logits: Tensor, labels: Tensor) -> Tensor:
    """Returns the classes to explain (B, K): the most probable ones, and the true one or, if it is there, the next."""
    best = logits.topk(min(_TOP + 1, logits.shape[1]), dim=1).indices
    if best.shape[1] <= _TOP:
        return best
    there = (best[:, :_TOP] == labels[:, None]).any(1)
    best[:, _TOP] = torch.where(there, best[:, _TOP], labels)
    return best


def _half(values: Tensor) -> np.ndarray:
    return values.float().cpu().numpy().astype(np.float16)
