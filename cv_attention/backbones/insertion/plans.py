"""Describes an insertion, as data and as a table."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cv_attention.backbones.attachment.place import Place
from cv_attention.tables import html_output, html_table, text_table


@dataclass(frozen=True)
class Site:
    """Describes where one block goes, and what it costs.

    Attributes:
        name: Name of the host: the module whose output, input or shortcut the block attends, or which it replaces.
        host_type: Type of the host.
        channels: Channels C of what the block takes.
        height: Height of what the block takes in the dry run.
        width: Width of what the block takes in the dry run.
        block: Name of the block's module, a child of the host.
        parameters: Parameters that the block adds, less those of a convolution that it replaces.
        flops: Floating-point operations that the block adds for one image (a multiply-add counts as two), less those
            of a convolution that it replaces.
        place: ``after`` the host, ``before`` it, on the ``shortcut`` of the residual block that it is, or
            ``instead`` of it.
        label: The block, as it was named.

    Examples:
        >>> import cv_attention as cva
        >>> planned = cva.plan(cva.backbones.build("resnet20", num_classes=10), "se", at="stage:-1")
        >>> [site] = planned.sites
        >>> site.name, site.host_type, (site.channels, site.height, site.width), site.parameters
        ('layer3.2', 'BasicBlock', (64, 8, 8), 580)
    """

    name: str
    host_type: str
    channels: int
    height: int
    width: int
    block: str
    parameters: int
    flops: int
    place: Place = "after"
    label: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Returns plain scalars; the host's type is called ``host``, as in the summaries of all runs."""
        return {"host" if key == "host_type" else key: value for key, value in asdict(self).items()}


@dataclass(frozen=True)
class Plan:
    """Holds the sites of one insertion, and what it costs; ``print(plan)`` shows a table.

    Attributes:
        model: Type of the model.
        pairs: Each block as it was named, with its positions and globs.
        init: ``plain`` or ``identity``.
        input_shape: (C, H, W) of the image in the dry run: the first input (B, C, H, W), else what the first
            convolution takes.
        sites: The sites in the order of the forward.
        parameters: Parameters of the model as it was.
        flops: Floating-point operations of the model as it was, for one image.
        train: ``all``, or ``blocks`` or ``blocks+head`` where everything else is frozen.
        batch: Images in the dry run: the first axis of what `input_shape` is of. Operations are those of the forward
            divided by it.
        inputs: Places, shapes and types of the example inputs, if they were given.
        head: Names of the modules that make the model's outputs; empty where these are features.

    Examples:
        >>> import cv_attention as cva
        >>> planned = cva.plan(cva.backbones.build("resnet20", num_classes=10), "se", at="residual:-1")
        >>> planned.block, planned.at, len(planned.sites)
        ('se', ('residual:-1',), 3)
        >>> planned.added_parameters, planned.added_flops
        (1740, 3072)
        >>> planned.to_dict()["sites"][0]["name"]
        'layer3.0.bn2'
    """

    model: str
    pairs: tuple[tuple[str, tuple[str, ...]], ...]
    init: str
    input_shape: tuple[int, ...]
    sites: tuple[Site, ...]
    parameters: int
    flops: int
    train: str = "all"
    batch: int = 1
    inputs: str = ""
    head: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The insertion's name, by which `remove` takes its blocks out: what they are called below their hosts."""
        return insertion_of(self.sites[0].block.rpartition(".")[2])

    @property
    def block(self) -> str:
        """The block as it was named; several are joined by commas."""
        return ", ".join(dict.fromkeys(label for label, _ in self.pairs))

    @property
    def at(self) -> tuple[str, ...]:
        """Positions and globs of all blocks."""
        return tuple(dict.fromkeys(at for _, wanted in self.pairs for at in wanted))

    @property
    def added_parameters(self) -> int:
        """Parameters that all blocks add."""
        return sum(site.parameters for site in self.sites)

    @property
    def added_flops(self) -> int:
        """Floating-point operations that all blocks add for one image."""
        return sum(site.flops for site in self.sites)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain dicts, lists and scalars, with the totals."""
        plain = {"model": self.model, "block": self.block, "at": list(self.at)}
        plain |= {"pairs": [{"block": label, "at": list(at)} for label, at in self.pairs]}
        plain |= {"init": self.init, "train": self.train, "input_shape": list(self.input_shape)}
        plain |= {"batch": self.batch, "inputs": self.inputs, "head": list(self.head)}
        plain |= {"sites": [site.to_dict() for site in self.sites]}
        plain |= {"parameters": self.parameters, "flops": self.flops}
        return plain | {"added_parameters": self.added_parameters, "added_flops": self.added_flops}

    def __str__(self) -> str:
        """Formats the table: one line per site, the totals, and the plain model for comparison."""
        head, rows = self._rows()
        table = text_table(head, rows, left=len(head) - 4)
        return "\n".join([self._title(), table, *self._legend()])

    def _repr_html_(self) -> str:
        head, rows = self._rows()
        return html_output(self._title(), html_table(head, rows, left=len(head) - 4), *self._legend())

    def _rows(self) -> tuple[tuple[str, ...], list[Sequence[str] | None]]:
        """Returns the header and the rows of the table: sites, totals and shares; None is a rule."""
        head = ("site", "type", *self._extra("place", "block"), "channels", "size", "parameters", "FLOPs")
        rows = [
            (s.name, s.host_type, *self._extra(s.place, s.label), str(s.channels), f"{s.height}×{s.width}",
             f"{s.parameters:,}", f"{s.flops:,}")
            for s in self.sites
        ]  # fmt: skip
        gap = [""] * (len(head) - 3)
        added = f"added, {len(rows)} site{'s' * (len(rows) > 1)}"
        sums = (added, *gap, f"{self.added_parameters:,}", f"{self.added_flops:,}")
        model = (f"{self.model} without", *gap, f"{self.parameters:,}", f"{self.flops:,}")
        return head, [None, *rows, None, sums, model, ("added / without", *gap, *self._shares())]

    def _legend(self) -> list[str]:
        legend = "FLOPs: convolutions and matrix products for one image, a multiply-add as two"
        legend += f"; the forward's divided by its batch of {self.batch}" if self.batch > 1 else ""
        called = f"each block is called {self.name} below its site"
        return [legend, called, self._heads()]

    def _heads(self) -> str:
        heads = ", ".join(self.head) or "none, the outputs are features"
        trained = {"blocks": "frozen", "blocks+head": "trained"}.get(self.train)
        return f"head: {heads}" + (f" ({trained})" if trained and self.head else "")

    def _title(self) -> str:
        pairs = "; ".join(f"{label} at {', '.join(at)}" for label, at in self.pairs)
        trained = "" if self.train == "all" else f", only the {self.train.replace('+', ' and the ')} trained"
        given = f"inputs {self.inputs}" if self.inputs else f"image {'×'.join(map(str, self.input_shape))}"
        return f"{pairs}, init {self.init}{trained}, {given}"

    def _extra(self, place: str, label: str) -> tuple[str, ...]:
        """Returns the columns that only some plans have: other places than behind the host, and several blocks."""
        shown = (place,) if any(site.place != "after" for site in self.sites) else ()
        return (*shown, label) if len(self.pairs) > 1 else shown

    def _shares(self) -> tuple[str, str]:
        pairs = ((self.added_parameters, self.parameters), (self.added_flops, self.flops))
        one, two = (f"{100 * added / plain:.2f} %" if plain else "-" for added, plain in pairs)
        return one, two


def insertion_of(child: str) -> str:
    """Returns the name of the insertion that a block belongs to, by what it is called below its host."""
    return child.partition("_and_")[0]
