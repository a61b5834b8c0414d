"""Computes the maps of one batch: those of methods, the attention blocks' own, and the logits."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cv_attention.config import SaliencyExport
from cv_attention.maps import RecordedMap, record
from cv_attention.maps.adapters import adapter_of
from cv_attention.recording.snapshots.columns import drawable
from cv_attention.saliency import resolve
from cv_attention.saliency.core.layers import find_layers
from cv_attention.saliency.core.state import undisturbed
from cv_attention.saliency.core.targets import Target
from cv_attention.saliency.targets import multi_label
from cv_attention.suggest import suggest
from cv_attention.training.tasks.bags import BagClassifier
from cv_attention.training.tasks.classifier import Classifier

Explained = Classifier | BagClassifier


@dataclass(frozen=True, slots=True)
class Column:
    """Describes one kind of map.

    Attributes:
        key: Its name in the shards: that of the method or of the block's map.
        source: ``saliency`` or ``attention``.
        method: Name of the method, or ``attention``.
        layer: The layers that the method uses, or the block's map; None for a method without layers.
        kind: Kind of a block's map: ``channel``, ``spatial``, ...
    """

    key: str
    source: str
    method: str
    layer: str | None = None
    kind: str | None = None

    @property
    def drawn(self) -> bool:
        """Returns whether the map is an image rather than bars."""
        return self.kind not in ("channel", "alignment")


class Explainer:
    """Explains batches as configured by a `SaliencyExport`.

    Args:
        classifier: The network.
        config: The methods, their options and the target.

    Attributes:
        columns: The kinds of maps, those of methods first.

    Raises:
        ValueError: if the method, an option, a layer or the target is unknown, or there is no attention to show.
    """

    def __init__(self, classifier: Explained, config: SaliencyExport) -> None:
        self.classifier, self.config, self.network = classifier, config, self.network_of(classifier)
        check_methods(config)
        self.methods = {name: resolve(name) for name in config.methods}
        self.options = _options(config, self.methods)
        self.target = _target(config.target, classifier.facts.class_names)
        if self.target == "true" and classifier.targets == "multi":
            raise ValueError("target is true, but an image may have several classes; name one of them, or predicted")
        self.columns = self._columns()

    def network_of(self, classifier: Any) -> nn.Module:
        """Returns what is explained, (B, 3, H, W) -> (B, classes)."""
        return classifier.network

    def shows(self, name: str, recorded: RecordedMap) -> bool:
        """Returns whether a map of the attention blocks is one of the columns."""
        return recorded.kind != "places"

    def explain(
        self, images: Tensor, labels: list[int | None], numbers: Sequence[int]
    ) -> tuple[dict[str, np.ndarray], np.ndarray, list[int], list[dict[str, Any]]]:
        """Explains uint8 images (B, 3, H, W) on the network's device, those of `numbers`.

        Returns:
            Maps by column key, float32 (B, h, w) or (B, bars); logits (B, classes); the explained classes; further
            fields of each image's row.
        """
        network, inputs = self.network, self.classifier.normalise(images)
        maps, logits = {}, None
        if self.config.attention:
            with torch.no_grad(), record(network) as maps:
                logits = network(inputs)
        targets = self._targets(labels, logits, inputs)
        computed: dict[str, Tensor] = {}
        for name, method in self.methods.items():
            with _CleanLogits(network, inputs) as seen:
                computed[name] = method(network, inputs, self._scores(targets), **self.options[name])[:, 0].detach()
                if logits is None:
                    logits = seen.logits if seen.logits is not None else network(inputs)
                    targets = self._targets(labels, logits, inputs)
        assert logits is not None
        computed |= {name: drawable(map) for name, map in maps.items() if self.shows(name, map)}
        classes = logits.argmax(1) if targets is None else targets
        return (
            {key: values.detach().float().cpu().numpy() for key, values in computed.items()},
            logits.detach().float().cpu().numpy(),
            classes.tolist(),
            [{} for _ in images],
        )

    def _scores(self, classes: Tensor | None) -> Target:
        """Returns the target of the method: where an image may have several classes, perturbations follow a sigmoid."""
        return classes if classes is None or self.classifier.targets == "single" else multi_label(classes)

    def _targets(self, labels: list[int | None], logits: Tensor | None, inputs: Tensor) -> Tensor | None:
        if self.target == "true":
            return torch.tensor(labels, device=self.classifier.device)
        if isinstance(self.target, int):
            return torch.full((len(labels),), self.target, device=self.classifier.device)
        if logits is None and self.classifier.targets == "multi":
            with torch.no_grad():
                logits = self.network(inputs)
        return None if logits is None else logits.argmax(1)

    def _columns(self) -> list[Column]:
        """Determines the columns with one forward pass of an empty image."""
        network, size = self.network, self.classifier.facts.image_size
        image = torch.zeros(1, 3, *size, dtype=torch.uint8, device=self.classifier.device)
        inputs, columns = self.classifier.normalise(image), []
        for name, method in self.methods.items():
            layer = None
            if "layers" in inspect.signature(method).parameters:
                with undisturbed(network, image.device.type):
                    layer = ", ".join(find_layers(network, inputs, self.options[name].get("layers")))
            columns.append(Column(name, "saliency", name, layer))
        if self.config.attention:
            if not any(adapter_of(module) for module in network.modules()):
                raise ValueError(f"{self.classifier.experiment.model.backbone} has no attention blocks to show")
            with undisturbed(network, image.device.type), record(network) as maps:
                network(inputs)
            columns += [
                Column(name, "attention", "attention", name, m.kind) for name, m in maps.items() if self.shows(name, m)
            ]
        return columns


class _CleanLogits:
    """Keeps the logits of the unchanged images if the method computes them, which saves a forward pass."""

    def __init__(self, network: nn.Module, inputs: Tensor) -> None:
        self.network, self.inputs = network, inputs
        self.logits: Tensor | None = None

    def __enter__(self) -> "_CleanLogits":
        self._hook = self.network.register_forward_hook(self._look)
        return self

    def __exit__(self, *_: object) -> None:
        self._hook.remove()

    def _look(self, module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        same = inputs[0].data_ptr() == self.inputs.data_ptr() and inputs[0].shape == self.inputs.shape
        if same and self.logits is None:
            self.logits = output.detach()


def check_methods(config: SaliencyExport) -> None:
    """Checks that there is a method, and each only once.

    Raises:
        ValueError: if there is none, or one comes twice.
    """
    if not config.methods:
        raise ValueError("method must be at least one saliency method, got none")
    for name in config.methods:
        if config.methods.count(name) > 1:
            raise ValueError(f"method has {name} more than once")


def _options(config: SaliencyExport, methods: Mapping[str, Callable[..., Tensor]]) -> dict[str, dict[str, Any]]:
    """Returns each method's arguments: options, layers, and the maps' native resolution if supported."""
    several = not isinstance(config.method, str)
    for name, given in config.options.items() if several else ():
        if name not in methods:
            raise ValueError(
                f"options of several methods are given for each of them, such as {{{config.methods[0]}: "
                f"{{...}}}}, got {name}{suggest(name, list(methods))}"
            )
        if not isinstance(given, dict):
            raise ValueError(f"options of {name} must be a mapping of its arguments, got {given!r}")
    looked = [name for name, method in methods.items() if "layers" in _keywords(method)]
    found = {}
    for name, method in methods.items():
        known, given = _keywords(method), dict(config.options.get(name, {}) if several else config.options)
        if config.layers is not None and (name in looked or not looked):
            given = {"layers": config.layers, **given} if several else {**given, "layers": config.layers}
        for option in given:
            if option not in known:
                raise ValueError(f"unknown option {option} of {name}{suggest(option, known)}")
        found[name] = {**({"upsample": False} if "upsample" in known else {}), **given}
    return found


def _keywords(method: Callable[..., Tensor]) -> list[str]:
    parameters = inspect.signature(method).parameters
    return [name for name, p in parameters.items() if p.kind is p.KEYWORD_ONLY]


def _target(target: str | int, class_names: tuple[str, ...]) -> int | str:
    """Parses the target: a class index, ``predicted`` or ``true``."""
    if target in ("predicted", "true"):
        return target
    if str(target) in class_names:
        return class_names.index(str(target))
    if str(target).isdecimal() and int(target) < len(class_names):
        return int(target)
    known = ["predicted", "true", *class_names]
    raise ValueError(
        f"target must be a class of the network, predicted or true, got {target}{suggest(str(target), known)}"
    )
