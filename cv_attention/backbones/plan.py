"""What an insertion does, as data and as a table."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Site:
    """One place where a block goes.

    Attributes:
        name: Name of the host, the module whose output the block attends.
        host: Type of the host.
        channels: Channels C of the host's output.
        height: Height of the host's output in the dry run.
        width: Width of the host's output in the dry run.
        block: Name of the block's module, a child of the host.
        parameters: Parameters that the block adds.
        flops: Floating-point operations that the block adds for one image (a multiply-add counts as two).
    """

    name: str
    host: str
    channels: int
    height: int
    width: int
    block: str
    parameters: int
    flops: int


@dataclass(frozen=True)
class Plan:
    """The sites of one insertion, and what it costs; ``print(plan)`` shows a table.

    Attributes:
        model: Type of the model.
        block: The block, as it was named.
        at: Positions and globs.
        init: ``plain`` or ``identity``.
        input_shape: (C, H, W) of the image in the dry run.
        sites: The sites in the order of the forward.
        parameters: Parameters of the model as it was.
        flops: Floating-point operations of the model as it was, for one image.
    """

    model: str
    block: str
    at: tuple[str, ...]
    init: str
    input_shape: tuple[int, int, int]
    sites: tuple[Site, ...]
    parameters: int
    flops: int

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
        totals = {"added_parameters": self.added_parameters, "added_flops": self.added_flops}
        plain = asdict(self)
        plain |= {"at": list(self.at), "input_shape": list(self.input_shape), "sites": list(plain["sites"])}
        return plain | totals

    def __str__(self) -> str:
        """The table: one line per site, the totals, and the plain model beside them."""
        head = ("site", "host", "channels", "size", "parameters", "FLOPs")
        rows = [
            (s.name, s.host, str(s.channels), f"{s.height}×{s.width}", f"{s.parameters:,}", f"{s.flops:,}")
            for s in self.sites
        ]
        sums = (
            f"added, {len(rows)} sites",
            "",
            "",
            "",
            f"{self.added_parameters:,}",
            f"{self.added_flops:,}",
        )
        model = (f"{self.model} without", "", "", "", f"{self.parameters:,}", f"{self.flops:,}")
        share = ("added / without", "", "", "", *self._shares())
        widths = [max(len(row[i]) for row in (head, *rows, sums, model, share)) for i in range(len(head))]
        rule = "  ".join("-" * width for width in widths)
        lines = [_line(row, widths) for row in (head, *rows, sums, model, share)]
        lines.insert(1, rule)
        lines.insert(2 + len(rows), rule)
        size = "×".join(map(str, self.input_shape))
        title = f"{self.block} at {', '.join(self.at)}, init {self.init}, image {size}"
        return "\n".join([title, *lines])

    def _shares(self) -> tuple[str, str]:
        pairs = ((self.added_parameters, self.parameters), (self.added_flops, self.flops))
        one, two = (f"{100 * added / plain:.2f} %" if plain else "-" for added, plain in pairs)
        return one, two


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    """Text to the left, numbers to the right."""
    cells = (cell.ljust(w) if i < 2 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True)))
    return "  ".join(cells).rstrip()
