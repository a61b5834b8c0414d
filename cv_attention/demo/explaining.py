"""Draws attention maps and saliency maps of one photograph."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from cv_attention import backbones
from cv_attention.data.augmentation.transforms import Pipeline
from cv_attention.data.decoding.bit_depth import found_bits
from cv_attention.data.decoding.decode import decode_image, read_bytes, shown
from cv_attention.demo.predictions import Predictions
from cv_attention.drawing import overlay
from cv_attention.exporting.batches import resized
from cv_attention.maps import record, to_heatmap
from cv_attention.picture_grid import picture_grid
from cv_attention.saliency.catalogue import resolve
from cv_attention.training import Task

_MAPS, _COLUMNS, _SIDE = 8, 4, 288  # attention maps that are shown; pictures in a row; pixels
_CLASSES = 5


@dataclass(frozen=True)
class Explanation:
    """Holds what is shown of one photograph.

    Attributes:
        figure: The photograph as the network sees it, and each map over it.
        classes: The likeliest classes with their probabilities; none where the network predicts numbers.
        notes: Predicted numbers, what is explained, what could not be drawn, and other remarks.

    Examples:
        >>> from PIL import Image
        >>> from cv_attention.demo import Explanation
        >>> Explanation(Image.new("RGB", (8, 8)), {"cat": 0.9}, []).classes
        {'cat': 0.9}
    """

    figure: Image.Image
    classes: dict[str, float]
    notes: list[str]


class Explainer:
    """Explains photographs with one of several networks, which are opened when they are first needed.

    Args:
        networks: Name of each network -> a function that opens it.

    Examples:
        >>> import numpy as np
        >>> from cv_attention import config, demo, training
        >>> facts = training.DataFacts(("cat", "dog"), (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), image_size=(32, 32))
        >>> experiment = config.Experiment(model=config.Model(options={"width": 4}))
        >>> explainer = demo.Explainer({"mine": lambda: training.Classifier(experiment, facts).eval()})
        >>> shown = explainer.explain(np.zeros((60, 80, 3), np.uint8), "mine", block="cbam", methods=["grad_cam"])
        >>> sorted(shown.classes), shown.figure.width
        (['cat', 'dog'], 1182)
    """

    def __init__(self, networks: Mapping[str, Callable[[], Task]]) -> None:
        self.networks = dict(networks)
        self._opened: dict[str, Task] = {}

    def explain(
        self,
        photograph: np.ndarray | Path,
        network: str,
        *,
        block: str | None = None,
        methods: Sequence[str] = ("grad_cam",),
        target: str | None = None,
    ) -> Explanation:
        """Draws the attention maps of a network, and saliency maps of one class.

        Args:
            photograph: uint8 (H, W, 3) RGB, or an image file of any kind, which is read as for training.
            network: Its name.
            block: Block of the catalogue that is inserted into a copy of the network, untrained; None inserts none.
            methods: Saliency methods.
            target: Class that they explain, or name of a number; None takes the likeliest class, or the first number.

        Raises:
            ValueError: if the file is not an intact image, or if the network cannot be opened or explained so, cannot
                take the block, or has no such class.
        """
        task = self._open(network)
        pixels = _prepared(_read(photograph, task.experiment.data.bits), task)
        inputs = task.normalise(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None])
        attended, notes = task.network, list[str]()
        if block is not None:
            attended = copy.deepcopy(attended)
            backbones.insert(attended, block, "residual", input_size=task.facts.image_size)
            attended.eval()
            notes.append(f"{block} is untrained: maps and predictions are those of its random initial weights.")
        heats, logits = _attention(attended, inputs, notes)
        said = Predictions(task, logits)
        explained = said.find(target)
        for method in methods:
            try:
                heats[method] = resolve(method)(attended, inputs, said.target(explained))[0, 0].detach().numpy()
            except (ValueError, RuntimeError) as error:  # a method that the network cannot have
                notes.append(f"{method}: {' '.join(str(error).split())[:200]}")
        if methods:
            notes.insert(0, f"The saliency maps explain {said.names[explained]}.")
        return Explanation(_figure(pixels, heats), said.classes(_CLASSES), [*said.notes(), *notes])

    def _open(self, network: str) -> Task:
        if network not in self.networks:
            raise ValueError(f"unknown network {network!r}; choose one of {', '.join(self.networks)}")
        if network not in self._opened:
            self._opened[network] = self.networks[network]()
        return self._opened[network]


def _read(photograph: np.ndarray | Path, bits: int | None) -> np.ndarray:
    """Returns a photograph as uint8 (H, W, 3); what is white in more than 8 bits, the network or its values say."""
    if isinstance(photograph, np.ndarray):
        return photograph
    content = read_bytes(photograph)
    return decode_image(content, shown(photograph.name), bits or found_bits(1, lambda _, most: content[:most]))


def _prepared(photograph: np.ndarray, task: Task) -> np.ndarray:
    """Returns the photograph as the network sees it, uint8 (H, W, 3)."""
    transforms = task.experiment.data.eval_transforms
    pixels = photograph
    if transforms:
        pixels, _ = Pipeline(transforms, "data.eval_transforms")(pixels, (0, 0, 0))
    return resized(np.ascontiguousarray(pixels), None, task.facts.image_size)[0]


def _attention(network: nn.Module, inputs: Tensor, notes: list[str]) -> tuple[dict[str, np.ndarray], Tensor]:
    """Returns the attention maps over positions, and the network's output."""
    try:
        with torch.no_grad(), record(network) as maps:
            outputs = network(inputs)
    except ValueError as error:
        if "no attention" not in str(error) and "nothing" not in str(error):
            raise
        with torch.no_grad():
            return {}, network(inputs)
    drawable = [name for name, each in maps.items() if each.kind not in ("channel", "alignment")]
    if len(drawable) < len(maps):
        notes.append(f"{len(maps) - len(drawable)} attention maps weight channels, not positions, and are not drawn.")
    places = np.linspace(0, len(drawable) - 1, min(_MAPS, len(drawable))).round().astype(int)
    shown = [drawable[place] for place in places]
    return {name: to_heatmap(maps[name])[0, 0].numpy() for name in shown}, outputs


def _figure(pixels: np.ndarray, heats: Mapping[str, np.ndarray]) -> Image.Image:
    pictures = {"image": pixels, **{name: overlay(pixels, heat) for name, heat in heats.items()}}
    names = list(pictures)
    rows = [names[start : start + _COLUMNS] for start in range(0, len(names), _COLUMNS)]
    strips = [picture_grid(row, [[Image.fromarray(pictures[name]) for name in row]], _SIDE) for row in rows]
    figure = Image.new("RGB", (max(strip.width for strip in strips), sum(strip.height for strip in strips)), "white")
    top = 0
    for strip in strips:
        figure.paste(strip, (0, top))
        top += strip.height
    return figure
