"""Records a classifier's maps of the same few images, epoch by epoch, from any training loop."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, SupportsIndex

import numpy as np
import torch
from torch import Tensor, nn

from cv_attention.recording import arguments
from cv_attention.recording import images as pictures
from cv_attention.recording.counts import MOST_CLASSES, confusion
from cv_attention.recording.curve_file import CurveFile
from cv_attention.recording.faithfulness import faithfulness_curves
from cv_attention.recording.inputs import batches
from cv_attention.recording.probe_files import probe_entries, write_epoch, write_probes
from cv_attention.recording.run_files import begin, check_directory, configuration, finish
from cv_attention.recording.snapshots.gates import GateStatistics
from cv_attention.recording.snapshots.snapshot import Snapshot, take_snapshot
from cv_attention.recording.tested import of_recorded, write_test
from cv_attention.rundir.arrays import write_arrays
from cv_attention.rundir.contents import Probes
from cv_attention.rundir.layout import EpochFile, RunLayout


class Recorder:
    """Records what a classifier attends to while it is trained, as a run directory that the report shows.

    It works with any training loop and any ``nn.Module`` that maps images to logits (N, classes). At each `log` it
    runs the model on a few images of your choice and stores every attention map (see `cv_attention.record`), saliency
    maps of the predicted class, predictions and your metrics. `close`, or the end of a ``with``, builds the page.
    ``cv-attention report`` and ``cv-attention compare`` read the directory like that of ``cv-attention fit``. The model
    is left as it was: its modes, gradients, hooks and the state of random numbers. Files are written whole or not at
    all, so that the page can be built while training goes on, and after a crash. A `Recorder` on a directory that holds
    earlier epochs of the same images continues there; an epoch that is logged again is replaced.

    Args:
        run: The run directory; made where it does not exist.
        images: Held-out images to look at, all of one size: a tensor (N, C, H, W) or (N, H, W), a NumPy array
            (N, H, W) or (N, H, W, C), or a list of files, of tensors (C, H, W), of arrays (H, W, C) or of Pillow's
            images. uint8 or float. 16 to 64 are enough for most questions; each epoch stores the maps of all.
        labels: Index of each image's true class, or None where it is unknown; with `several`, a tensor or array
            (N, classes) of 0 and 1.
        class_names: Name of each class, in the order of the logits, or a mapping from index to name; by default their
            numbers.
        names: What each image is called on the page; by default its path.
        boxes: True box (x0, y0, x1, y1) of each image in pixels, or None.
        normalise: Turns a batch of `images` (N, C, H, W), in their own type and on the model's device, into the model's
            input. By default uint8 is divided by 255, and floats are taken as they are, in the type of the model's
            first parameter.
        mean: Mean of each channel in [0, 1], used with `std` in place of `normalise`. With `normalise`, the colour that
            it turns into zero, which `faithfulness` has to know.
        std: Standard deviation of each channel.
        methods: Saliency methods to record: names of `cv_attention.saliency.METHODS`, class paths, or functions.
        batch_size: Images of one forward at most; None takes all at once.
        several: Whether an image may have several classes: probabilities are then sigmoids, not a softmax.
        config: Plain values that the page and ``compare`` should know of the run, such as
            ``{"seed": 0, "optimizer": {"lr": 0.1}}``; fields of ``cv_attention.config.Experiment`` are understood.
            ``model.backbone`` and ``model.block`` are filled in from the model.

    Attributes:
        run: The run directory.
        latest: Title -> (N, h, w), the newest saliency maps.
        latest_epoch: Index of their epoch; None before the first.

    Raises:
        ValueError: if an argument has another form than described; the message says what is accepted.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model, images = cva.backbones.build("resnet20", num_classes=2, width=4), torch.rand(4, 3, 16, 16)
        >>> with cva.report.Recorder("runs/mine", images, labels=[0, 1, 0, 1]) as recorder:
        ...     recorder.log(model, epoch=0, train_loss=0.7)
        >>> recorder.latest["Grad-CAM"].shape, (recorder.run / "report" / "index.html").is_file()
        ((4, 4, 4), True)
    """

    def __init__(
        self,
        run: str | Path,
        images: Any,
        labels: Any = None,
        class_names: Sequence[str] | Mapping[int, str] | None = None,
        *,
        names: Any = None,
        boxes: Any = None,
        normalise: pictures.Normalise | None = None,
        mean: Any = None,
        std: Any = None,
        methods: Sequence[str | Callable[..., Tensor]] = ("grad_cam",),
        batch_size: int | None = 64,
        several: bool = False,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        self.run = Path(run).absolute()  # notebooks change the current directory
        if self.run.exists() and not self.run.is_dir():
            raise ValueError(f"run must be a directory, but {self.run} is a file")
        self.images = pictures.take(images)
        count = len(self.images.values)
        self.class_names = arguments.check_class_names(class_names)
        self.label_rows = arguments.check_label_rows(labels, count, self.class_names) if several else None
        self.labels = arguments.check_labels(None if several else labels, count, self.class_names)
        self.methods = arguments.check_methods(methods)
        self.batch_size = count if batch_size is None else arguments.check_count("batch_size", batch_size)
        self.config = configuration(config)
        self.normalise, self.zero = pictures.normaliser(self.images, normalise, mean, std)
        self._keeps_type = normalise is not None
        self.latest: dict[str, np.ndarray] = {}
        self.latest_epoch: int | None = None
        self._names = list(self.images.names) if names is None else arguments.check_names(names, count)
        self._boxes = arguments.check_boxes(boxes, count)
        self._layout = RunLayout(self.run)
        self._written = self._begun = False
        self._curves: CurveFile | None = None
        self._counted: set[int] = set()
        self._validation: dict[str, float] = {}

    def log(self, model: nn.Module, epoch: SupportsIndex, *, step: SupportsIndex | None = None, **metrics: Any) -> None:
        """Records one epoch: maps, predictions, and the given metrics.

        With labels, the loss and accuracy on the recorded images are logged as ``recorded_loss`` and
        ``recorded_accuracy``, and their confusion is counted.

        Args:
            model: Maps images to logits (N, classes); on any device, in any mode. Inside ``torch.autocast`` it runs in
                that precision.
            epoch: Index of the epoch, counted from 0; -1 is before training. One that was logged before is replaced.
            step: Optimizer steps taken, where known.
            **metrics: Numbers to draw as curves, such as ``train_loss`` and ``val_accuracy``. Those called ``val_...``
                or ``val/...`` of the last epoch are what ``cv-attention compare --split val`` compares.

        Raises:
            ValueError: if the model does not return logits, a saliency method does not work with it, a metric is not a
                number, or the directory holds something else than earlier epochs of the same images.
        """
        values = arguments.check_curves(metrics)
        epoch, step, model = arguments.check_epoch(epoch), arguments.check_step(step), arguments.bare(model)
        statistics = GateStatistics(model, len(self.labels))
        snapshot = self._look(model, statistics)
        if not self._begun or not self._layout.probes.exists():
            inputs, shown = next(self._batches(model)), self.images.pictures
            begin(self._layout, model, inputs, self._probes(), shown, self.config)
            self._curves, self._begun, self._written = CurveFile(self._layout), True, False
        self._write(snapshot, epoch, step)
        self.write_gates(epoch, statistics)
        known = self.labels >= 0
        if bool(known.any()):
            logits, labels = snapshot.logits[known], self.labels[known]
            values = {**of_recorded(logits, labels), **values}
            if epoch not in self._counted:
                self._count(epoch, labels, logits.argmax(1), "recorded images")
        assert self._curves is not None
        self._curves.log(epoch, epoch if step is None else step, values)
        validation = {name[4:]: value for name, value in values.items() if name.startswith(("val_", "val/"))}
        self._validation = {**validation, "epoch": epoch + 1} if validation else {}

    def record(self, model: nn.Module, epoch: SupportsIndex, *, step: SupportsIndex | None = None) -> Snapshot:
        """Records the maps and predictions of one epoch and nothing else: a part of `log`.

        It is for training programs that write configuration, metrics and results themselves.

        Args:
            model: The classifier, which is left as it was.
            epoch: Index of the epoch; -1 is before training.
            step: Optimizer steps taken, where known.

        Returns:
            What was recorded.
        """
        epoch, step = arguments.check_epoch(epoch), arguments.check_step(step)
        snapshot = self._look(arguments.bare(model))
        self._write(snapshot, epoch, step)
        return snapshot

    def write_gates(self, epoch: int, statistics: GateStatistics) -> None:
        """Writes how channel gates are distributed over the images that `statistics` has seen in an `epoch`."""
        assert self.class_names is not None, "an epoch is recorded first"
        if arrays := statistics.arrays(len(self.class_names)):
            write_arrays(self._layout.epoch_file(EpochFile.GATES, epoch), arrays)

    def confusion(self, epoch: SupportsIndex, labels: Any, predicted: Any) -> None:
        """Counts the confusion of a whole validation split in place of the recorded images'.

        Args:
            epoch: Index of the epoch.
            labels: True classes (M).
            predicted: Predicted classes (M).

        Raises:
            ValueError: if the classes of the model are not known yet, there are not as many of both, or one is out of
                range.
        """
        epoch = arguments.check_epoch(epoch)
        if not self._begun:
            self._check_directory()
        self._count(epoch, labels, predicted)
        self._counted.add(epoch)

    def test(self, logits: Any, labels: Any, *, names: Sequence[str] | None = None, **metrics: Any) -> dict[str, float]:
        """Writes the results on a test split: predictions of every image, confusion, accuracy and loss.

        ``cv-attention compare`` compares runs by them, image by image. Call it once, after the last `log`.

        Args:
            logits: What the model gives for each of M images, (M, classes).
            labels: True classes (M).
            names: Name of each image; by default its number.
            **metrics: Further numbers, such as ``pointing``; a ``test_`` in front of a name is left out.

        Returns:
            ``accuracy``, ``loss`` (cross-entropy), for more than five classes ``accuracy_top5``, and `metrics`.

        Raises:
            ValueError: if nothing was logged before, or shapes or classes do not fit.
        """
        if self.label_rows is not None:
            raise ValueError("test counts one class per image; where images have several, log their metrics instead")
        if not self._begun or self.class_names is None:
            raise ValueError("log an epoch before the test: the run directory does not know the model yet")
        return write_test(self._layout, logits, labels, names, self.class_names, arguments.check_metrics(metrics))

    def faithfulness(self, model: nn.Module, *, points: int = 20) -> None:
        """Judges the newest saliency maps by insertion and deletion curves; about 2 × `points` forwards per method.

        Args:
            model: The model in the state of the last `log`.
            points: Steps of a curve, at least 1.

        Raises:
            ValueError: if nothing was recorded, or `normalise` was given without `mean`.
        """
        points, model = arguments.check_count("points", points), arguments.bare(model)
        if self.latest_epoch is None:
            raise ValueError("record an epoch before judging its maps")
        if self.zero is None:
            raise ValueError("faithfulness needs mean=, the colour in [0, 1] that normalise turns into zero")
        inputs = torch.cat(list(self._batches(model)))
        heats = {title: torch.from_numpy(values).to(inputs.device) for title, values in self.latest.items()}
        curves = faithfulness_curves(model, inputs, heats, points, self.zero, self.latest_epoch)
        curves.write(self._layout.faithfulness)

    def close(self) -> Path:
        """Completes the run directory and builds the page; the next `log` continues the run.

        Returns:
            The page, ``report/index.html`` in the run directory.

        Raises:
            ValueError: if nothing was logged.
        """
        if not self._begun:
            raise ValueError(f"nothing was logged in {self.run}, so there is no page to build")
        self._begun = False
        return finish(self._layout, self._validation)

    def __enter__(self) -> Self:
        """Returns the recorder; raises ValueError if the directory holds something else than earlier epochs."""
        self._check_directory()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Closes the recorder; after an error the files stay, and no page is built."""
        if kind is None and self._begun:
            self.close()

    def _batches(self, model: nn.Module) -> Iterator[Tensor]:
        return batches(self.images.values, self.normalise, model, self.batch_size, keeps_type=self._keeps_type)

    def _look(self, model: nn.Module, statistics: GateStatistics | None = None) -> Snapshot:
        snapshot = take_snapshot(model, self._batches(model), self.labels, self.methods, statistics)
        classes = snapshot.logits.shape[1]
        names = self.class_names = self.class_names or tuple(map(str, range(classes)))
        arguments.check_classes(classes, names, self.labels, self.label_rows)
        return snapshot

    def _write(self, snapshot: Snapshot, epoch: int, step: int | None) -> None:
        if not self._written:
            write_probes(self._layout, self._probes(), self.images.pictures)
            self._written = True
        write_epoch(self._layout, snapshot, self.labels, epoch, step, self.label_rows)
        maps = snapshot.columns.values()
        self.latest = {c.title: c.values for c in maps if c.source == "saliency" and c.values.ndim == 3}
        self.latest_epoch = epoch

    def _check_directory(self) -> None:
        check_directory(self._layout, self._probes() if self.class_names else None, self.images.pictures)

    def _probes(self) -> Probes:
        entries = probe_entries(self._names, self.labels, self._boxes, self.label_rows)
        return Probes(self.class_names or (), entries)

    def _count(self, epoch: int, labels: Any, predicted: Any, what: str | None = None) -> None:
        if self.class_names is None:
            raise ValueError("log an epoch first, or give class_names: the number of classes is not known yet")
        counts = confusion(labels, predicted, len(self.class_names), what)
        if len(self.class_names) <= MOST_CLASSES:
            counts.write(self._layout.epoch_file(EpochFile.CONFUSION, epoch))
