"""Shows where blocks can go in a network: its positions, stages and heads."""

from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from cv_attention.backbones.attachment.attach import attached
from cv_attention.backbones.positions.hosts import Hosts
from cv_attention.backbones.positions.parameters import plan_heads
from cv_attention.backbones.positions.search import count_sites
from cv_attention.backbones.positions.stages import find_stages
from cv_attention.backbones.positions.traced_site import shape_of
from cv_attention.backbones.tracing.dry_run import InputSize, dry_run
from cv_attention.tables import text_table


@dataclass(frozen=True)
class Overview:
    """Describes where blocks can go in a network; ``print(overview)`` shows a table.

    Attributes:
        model: Type of the model.
        input_shape: (C, H, W) of the image in the dry run.
        stages: Host and (C, H, W) at the end of each stage on the way down from the image.
        decoder: Host and (C, H, W) at the end of each stage of a decoder, on the way up.
        positions: For each position the number of sites in all, in each stage, and in each stage of the decoder.
        head: Names of the modules that make the outputs; empty where these are features.

    Examples:
        >>> import cv_attention as cva
        >>> found = cva.backbones.overview(cva.backbones.build("resnet20", num_classes=10))
        >>> found.stages
        (('layer1.2', (16, 32, 32)), ('layer2.2', (32, 16, 16)), ('layer3.2', (64, 8, 8)))
        >>> found.positions["residual"]  # sites in all, in each stage, and in a decoder's
        (9, [3, 3, 3], [])
        >>> found.head
        ('fc',)
    """

    model: str
    input_shape: tuple[int, ...]
    stages: tuple[tuple[str, tuple[int, int, int]], ...]
    decoder: tuple[tuple[str, tuple[int, int, int]], ...]
    positions: dict[str, tuple[int, list[int], list[int]]]
    head: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Returns plain dicts, lists and scalars."""
        return asdict(self)

    def __str__(self) -> str:
        """Returns one line per stage, with the sites of each position in it, and the heads."""
        header = ("stage", "ends at", "channels", "size", *self.positions)
        rows = []
        for part, ends in enumerate((self.stages, self.decoder)):
            for number, (name, (channels, height, width)) in enumerate(ends):
                label = f"decoder:{number}" if part else str(number)
                counts = [str((up if part else down)[number]) for _, down, up in self.positions.values()]
                rows.append((label, name, str(channels), f"{height}×{width}", *counts))
        rows.append(("all", "", "", "", *(str(counts[0]) for counts in self.positions.values())))
        head = ", ".join(self.head) or "none, the outputs are features"
        title = f"{self.model}, image {'×'.join(map(str, self.input_shape))}: sites of each position"
        return "\n".join([title, text_table(header, rows, left=2), f"head: {head}"])


def overview(model: nn.Module, *, input_size: InputSize | None = None, example_inputs: Any = None) -> Overview:
    """Returns the positions, stages and heads of a network, and changes nothing.

    Args:
        model: Any network with feature maps (B, C, H, W), built already. Networks all of whose convolutions are 1-D or
            3-D are refused.
        input_size: Side, (H, W) or (C, H, W) of the image in the dry run, in pixels, for a model that takes one image
            (B, C, H, W); by default the model's own.
        example_inputs: What the model takes in the dry run, for a model that takes anything else, with any batch:

            - a tensor is the one positional argument: ``model(tensor)``;
            - a tuple holds the positional arguments: ``(left, right)`` is ``model(left, right)``;
            - a mapping, also Hugging Face's `BatchFeature`, holds the keyword arguments: ``{"pixel_values": images}``
              is ``model(pixel_values=images)``;
            - a tuple of a tuple and a mapping holds both: ``((images,), {"mask": mask})``;
            - anything else, such as a list, a data class or a named tuple, is the one positional argument. A tuple or
              mapping that is one argument stands in a tuple: ``({"image": images},)``.

            Tensors, found at any depth, must have the device and type that the model takes: nothing is moved or cast.
            They are copied, so the originals stay as they are.

    Returns:
        The positions, stages and heads; it prints as a table.

    Raises:
        ValueError: if the model fails in the dry run.

    Examples:
        >>> import cv_attention as cva
        >>> print(cva.backbones.overview(cva.backbones.build("resnet20", num_classes=10)))
        CifarResNet, image 3×32×32: sites of each position
        stage  ends at   channels   size  residual  pre  post  identity  stage  replace  pool
        0      layer1.2        16  32×32         3    3     3         3      1        6     0
        1      layer2.2        32  16×16         3    3     3         3      1        5     0
        2      layer3.2        64    8×8         3    3     3         3      1        5     1
        all                                      9    9     9         9      3       16     1
        head: fc
    """
    run = dry_run(model, input_size, example_inputs)
    inserted = {module for _, host, child, _ in attached(model) for module in host.get_submodule(child).modules()}
    own = {name for name, module in model.named_modules() if module in inserted}
    hosts = Hosts(model, run.once)
    stages = find_stages(model, run.once, hosts)
    down, up = (
        tuple((name, shape_of(value)) for name in names if (value := hosts.value(name)))
        for names in (stages.down, stages.up)
    )
    positions = count_sites(model, run.once, own)
    head = tuple(plan_heads(model, run, None, "all"))
    return Overview(type(model).__name__, run.trace.shape, down, up, positions, head)
