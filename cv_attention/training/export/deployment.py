"""Exports a trained network: ONNX, torch.export, or weights."""

import copy
import io
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from cv_attention.extras import require
from cv_attention.heads import BagNetwork, RecallNetwork
from cv_attention.maps import record
from cv_attention.rundir.facts import ValueFacts
from cv_attention.rundir.files import write_bytes
from cv_attention.training.checkpoint import weights
from cv_attention.training.checkpoint.finite import require_finite
from cv_attention.training.checkpoint.sealing import FORMAT
from cv_attention.training.export.episodes import EpisodeNetwork
from cv_attention.training.export.traces import strip_model, strip_program
from cv_attention.training.loading import load
from cv_attention.training.provenance import described
from cv_attention.training.tasks.task import Task

Format = Literal["onnx", "torch-export", "safetensors"]
SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "torch-export": ".pt2", "safetensors": ".safetensors"}
# Tolerated difference relative to the network's largest output: allows another summation order, not other results.
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Exported:
    """Describes the file that `export` wrote.

    Attributes:
        path: The file.
        input: Description of the input.
        differences: For each output, the largest difference from the network's relative to its largest value.
    """

    path: Path
    input: str
    differences: dict[str, float]


class Deployed(nn.Module):
    """Wraps a network as a function of images only, in eval mode.

    Takes ``images`` (B, 3, H, W) for any B: uint8 RGB, or normalised float32. Returns the logits (B, classes), of a
    network that predicts numbers these in their own units, (B, values), or, of a network that reads, those of each step
    of a greedy reading, (B, longest + 1, outputs); and the requested attention maps, each as returned by `record`. A
    network that reads padded images also takes ``width``, int64 (B,): how many columns of each image are not padding.
    One that recalls takes ``images`` (B, T, 3, H, W) of whole episodes, and ``labels``, int64 (B, T), where these are
    shown one step after their images: -1 where nothing is known. It returns the logits of each step, (B, S, ways). One
    of bags takes the images of one bag, of any number, and returns its logits, (1, classes).

    Args:
        task: The task with its trained network, which is copied.
        maps: Also return the attention maps.
        normalised: Leave normalisation to the caller.

    Attributes:
        inputs: Name of each input: ``images``, ``width`` of a network that reads padded images, and ``labels`` of one
            that recalls.
        outputs: Name of each output: ``logits`` or ``values``, and the names of the maps' modules.

    Raises:
        ValueError: if maps are requested and the network has none.
    """

    mean: Tensor
    std: Tensor
    scale: Tensor
    centre: Tensor

    def __init__(self, task: Task, *, maps: bool = False, normalised: bool = False) -> None:
        super().__init__()
        self.network = copy.deepcopy(task.network).cpu().eval().to(memory_format=torch.contiguous_format)
        self.maps, self.normalised, self.size = maps, normalised, tuple(task.facts.image_size)
        for name in ("mean", "std"):
            values = torch.tensor(getattr(task.facts, name))
            self.register_buffer(name, 255 * values.view(3, 1, 1), persistent=False)
        self.inputs = ["images", "width"] if getattr(task.facts, "padded", False) else ["images"]
        self.shape: tuple[int, ...] = (3, *self.size)
        if isinstance(self.network, RecallNetwork):
            self.network = EpisodeNetwork(self.network, task.facts)
            self.inputs, self.shape = self.network.inputs, (self.network.length, *self.shape)
        self.outputs, self.units = ["logits"], isinstance(task.facts, ValueFacts)
        if isinstance(task.facts, ValueFacts):
            self.outputs = ["values"]
            self.register_buffer("scale", torch.tensor(task.facts.scale), persistent=False)
            self.register_buffer("centre", torch.tensor(task.facts.centre), persistent=False)
        if maps:
            with torch.no_grad(), record(self._shown) as recorded:
                self.network(torch.zeros(2, *self.shape))
            self.outputs += list(recorded)

    @property
    def _shown(self) -> nn.Module:
        """The network whose maps are returned under its own names."""
        return self.network.network if isinstance(self.network, EpisodeNetwork) else self.network

    def forward(self, images: Tensor, further: Tensor | None = None) -> tuple[Tensor, ...]:
        """Returns the logits, and the maps in the order of `outputs`, of what `inputs` names."""
        inputs = images if self.normalised else (images.float() - self.mean) / self.std
        named = {} if further is None else {self.inputs[1]: further}
        if not self.maps:
            return (self._in_units(self.network(inputs, **named)),)
        with record(self._shown) as recorded:
            logits = self._in_units(self.network(inputs, **named))
        return logits, *(recorded[name].values for name in self.outputs[1:])

    def _in_units(self, outputs: Tensor) -> Tensor:
        return outputs * self.scale + self.centre if self.units else outputs

    def example(self, batch: int, seed: int = 0) -> dict[str, Tensor]:
        """Returns a batch of random images in the network's input format, and their widths where these are inputs."""
        generator = torch.Generator().manual_seed(seed)
        images = torch.randint(0, 256, (batch, *self.shape), generator=generator)
        images = (images - self.mean) / self.std if self.normalised else images.to(torch.uint8)
        if isinstance(self.network, EpisodeNetwork):
            labels = {"labels": self.network.example(batch, generator)}
            return {"images": images, **(labels if "labels" in self.inputs else {})}
        width = torch.randint(self.size[1] // 2, self.size[1] + 1, (batch,), generator=generator)
        return {"images": images, "width": width} if "width" in self.inputs else {"images": images}


def export(
    checkpoint: Path | Task,
    format: Format = "onnx",
    out: Path | None = None,
    *,
    maps: bool = False,
    normalised: bool = False,
    trust: Collection[str] = (),
) -> Exported:
    """Writes a trained network in another format, after comparing the outputs of the file with the network's.

    The file also holds the configuration, class names, normalisation, format number and code
    version: ONNX and safetensors in their metadata, torch.export in the extra file ``cv_attention.json``. Paths of this
    machine are in it only if the configuration contains some.

    Args:
        checkpoint: A checkpoint or a ``.safetensors`` file, or what `open_pretrained` returned.
        format: ``onnx``, ``torch-export`` or ``safetensors``.
        out: The file to write; None writes next to the checkpoint, or here under the name of the backbone.
        maps: Adds attention maps as outputs of the graph, each named after its module.
        normalised: Leave normalisation to the caller; by default the graph takes uint8 images.
        trust: Modules and classes that the checkpoint may name, such as ``my_block``; see `load`.

    Raises:
        ValueError: if the format is unknown or cannot hold the requested outputs, `out` is the checkpoint, a package is
            missing, the network cannot be exported, or the outputs differ from the network's; an existing file
            is unharmed.
    """
    if format not in get_args(Format):
        raise ValueError(f"unknown format {format}; expected one of {', '.join(get_args(Format))}")
    if format == "safetensors" and (maps or normalised):
        raise ValueError(
            "safetensors holds only weights, not a graph with inputs and outputs; use onnx or torch-export for that"
        )
    if format == "onnx":
        require("onnx", "format onnx")
    out = out or _beside(checkpoint).with_suffix(SUFFIXES[format])
    _check_is_no_source(out, checkpoint)
    task = require_finite(load(checkpoint, trust, task=None), checkpoint)
    deployed = Deployed(task, maps=maps, normalised=normalised).eval()
    unchecked = out.with_name(f"{out.name}.unchecked{SUFFIXES[format]}")
    try:
        _write(unchecked, format, task, deployed)
        differences = _compare(deployed, unchecked, format, out)
        unchecked.replace(out)
    finally:
        unchecked.unlink(missing_ok=True)
    return Exported(out, _input(deployed), differences)


def _check_is_no_source(out: Path, checkpoint: Path | Task) -> None:
    """Raises ValueError if the file to write is the one being read, even under another name."""
    source = checkpoint if isinstance(checkpoint, Path) else checkpoint.experiment.model.weights
    if source and out.exists() and Path(source).exists() and out.samefile(source):
        raise ValueError(f"{out} is the file that the network is read from; give another file to write (-o)")


def _write(path: Path, format: Format, task: Task, deployed: Deployed) -> None:
    if format == "safetensors":
        weights.write(path, task)
        return
    about = {**described(task.name, task.experiment, task.facts), "input": _input(deployed)}
    if (words := task.output_words()) is not None:
        about["output"] = words
    about["cv_attention_format"] = FORMAT
    program = _trace(deployed)
    content = _onnx(program, deployed, about) if format == "onnx" else _torch_export(program, about)
    write_bytes(path, content, durable=True)


def _beside(checkpoint: Path | Task) -> Path:
    if isinstance(checkpoint, Path):
        return checkpoint
    name = checkpoint.experiment.model.backbone.replace("/", "-")
    return Path(f"{name}.weights")  # this suffix will be replaced; timm names contain dots


def _input(deployed: Deployed) -> str:
    images = "".join(f", {side}" for side in deployed.shape)
    bag = " of one bag" if isinstance(deployed.network, BagNetwork) else ""
    kind = "float32, normalised by the mean and std given" if deployed.normalised else "uint8 RGB, normalised inside"
    widths = "; width (batch,), int64: columns of each image that are not padding" if "width" in deployed.inputs else ""
    labels = "; labels (batch, images), int64: -1 where unknown, each arrives one step after its image"
    return f"images (batch{images}){bag}, {kind}{widths}{labels if 'labels' in deployed.inputs else ''}"


def _trace(deployed: Deployed) -> torch.export.ExportedProgram:
    batch = torch.export.Dim("batch", min=1)
    shapes = tuple({0: batch} for _ in deployed.inputs)
    try:
        with torch.no_grad():  # a no_grad region inside the graph cannot be saved
            program = torch.export.export(
                deployed, tuple(deployed.example(2).values()), dynamic_shapes=shapes, strict=False
            )
    except Exception as error:  # whatever torch.export raises for modules that it cannot trace
        reason = (str(error) or type(error).__name__).strip().splitlines()[0]
        raise ValueError(f"torch.export cannot trace the network: {reason}") from error
    strip_program(program)
    return program


def _torch_export(program: torch.export.ExportedProgram, about: dict[str, Any]) -> memoryview:
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files={"cv_attention.json": json.dumps(about)})
    return buffer.getbuffer()


def _onnx(program: torch.export.ExportedProgram, deployed: Deployed, about: dict[str, Any]) -> bytes:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporter uses deprecated torch functions
        converted = torch.onnx.export(
            program, input_names=deployed.inputs, output_names=deployed.outputs, dynamo=True, verbose=False
        )
    assert converted is not None
    model = converted.model_proto
    strip_model(model)
    for name, value in about.items():
        model.metadata_props.add(key=name, value=json.dumps(value))
    return model.SerializeToString()


def _compare(deployed: Deployed, path: Path, format: Format, out: Path) -> dict[str, float]:
    """Runs the file with another batch size than it was traced with; raises ValueError if the results differ."""
    given = deployed.example(3, seed=1)
    with torch.no_grad():
        expected = deployed(*given.values())
        results = _run(path, format, given, deployed)
    differences = {}
    for name, ours, theirs in zip(deployed.outputs, expected, results, strict=True):
        scale = float(ours.abs().max()) or 1.0
        differences[name] = float((ours - theirs).abs().max()) / scale if ours.shape == theirs.shape else float("inf")
        if not differences[name] <= _TOLERANCE:
            raise ValueError(
                f"the exported {name} differs from the network's by {differences[name]:.2g} of its largest value; "
                f"{out} is not written"
            )
    return differences


def _run(path: Path, format: Format, given: dict[str, Tensor], deployed: Deployed) -> Sequence[Tensor]:
    if format == "safetensors":
        return Deployed(load(path, trust=None, task=None)).eval()(*given.values())
    if format == "torch-export":
        return torch.export.load(path).module()(*given.values())
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return [
        torch.from_numpy(values)
        for values in session.run(deployed.outputs, {name: values.numpy() for name, values in given.items()})
    ]
