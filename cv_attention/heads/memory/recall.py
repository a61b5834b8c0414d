"""Implements the head that recalls: a controller with a memory, over a sequence of images."""

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cv_attention.blocks.base import AttentionMap, check_choice, check_number, check_whole, zero
from cv_attention.blocks.functional.half_precision import without_autocast
from cv_attention.heads.memory.addressing import EPSILON
from cv_attention.heads.memory.cell import Cell, Item
from cv_attention.heads.memory.controllers import Controller, ControllerKind
from cv_attention.heads.memory.dnc import DNC
from cv_attention.heads.memory.growing_list import GrowingList
from cv_attention.heads.memory.mann import MANN
from cv_attention.heads.memory.ntm import NTM
from cv_attention.heads.memory.rows import Rows

MemoryKind = Literal["ntm", "dnc", "mann", "list", "none"]
_TRUST = 10.0  # of a label whose image is the same
MEMORIES: tuple[MemoryKind, ...] = ("ntm", "dnc", "mann", "list", "none")


class RecallState(NamedTuple):
    """Holds the state of a `RecallHead` between two parts of an episode.

    Attributes:
        controller: That of the controller.
        memory: That of the memory, such as a `MANNState`; None without one.
        before: Normalised features of the last image, (B, C).
    """

    controller: tuple[Tensor, ...]
    memory: Any
    before: Tensor


class RecallHead(nn.Module):
    """Names images of a sequence from what it remembers of those before: a controller that writes and reads.

    Papers: NTM (Graves et al., 2014), https://arxiv.org/abs/1410.5401; DNC (Graves et al., 2016),
    https://doi.org/10.1038/nature20101; MANN (Santoro et al., 2016), https://arxiv.org/abs/1605.06065; matching
    networks (Vinyals et al., 2016), https://arxiv.org/abs/1606.04080.

    In each step the controller gets the image's features (zeros without an image), a label if one arrives, whether an
    answer is asked for, and what was read in the step before. All weights are computed in float32.

    Maps: ``read`` and ``write``, `alignment`, (B, heads, steps, slots), over all steps of a call.

    Args:
        channels: Length C of the features of an image.
        ways: Number of labels.
        memory: ``ntm``, ``dnc``, ``mann``; ``list``, which appends and forgets nothing; or ``none``, for the controller
            alone.
        controller: ``lstm``, or ``linear``, a layer without a state of its own.
        controller_width: Length of what the controller says.
        slots: Number of slots; the list has none.
        width: Length of the vector in each slot, or of its key.
        read_heads: Number of read heads.
        shifts: Number of shifts of the NTM, odd.
        write: What ``mann`` and ``list`` write: ``bound``, the image of the step before with its label, which has just
            arrived; or ``paper``, what the controller says.
        address: What ``mann`` and ``list`` compare: ``key``, next to which the label lies; or ``paper``, whole rows.
        strength: Whether the controller of ``mann`` and ``list`` says how sharply rows are compared; the paper has no
            such number.
        features: What is known of an image: ``grid``, all positions of the feature map; or their ``mean``.
        naming: Weight in [0, 1) of a second loss in training, in which images that are not asked for at once are named
            as they are shown; what is seen is then learned before what is to be remembered.

    Attributes:
        cell: The memory; None for ``none``.
        read: `AttentionMap` of the read weights; None without a memory.
        write: `AttentionMap` of the write weights; None without a memory.

    Raises:
        ValueError: if a number is not positive, a choice unknown, or the numbers do not fit together.

    Examples:
        >>> import torch
        >>> from cv_attention import record
        >>> from cv_attention.heads import RecallHead
        >>> head = RecallHead(16, ways=5, memory="mann", slots=8, width=4)
        >>> told = torch.tensor([[-1, 3, 0], [-1, 1, 1]])  # the label of each image arrives one step later
        >>> with record(head) as maps:
        ...     logits = head(torch.randn(2, 3, 16), told)
        >>> logits.shape, maps["read"].values.shape
        (torch.Size([2, 3, 5]), torch.Size([2, 1, 3, 8]))
    """

    def __init__(
        self,
        channels: int,
        ways: int,
        *,
        memory: MemoryKind = "mann",
        controller: ControllerKind = "lstm",
        controller_width: int = 64,
        slots: int = 32,
        width: int = 32,
        read_heads: int = 1,
        shifts: int = 3,
        write: Literal["bound", "paper"] = "bound",
        address: Literal["key", "paper"] = "key",
        strength: bool = True,
        features: Literal["grid", "mean"] = "grid",
        naming: float = 0.0,
    ) -> None:
        super().__init__()
        check_whole(channels=channels, ways=ways, controller_width=controller_width)
        check_whole(slots=slots, width=width, read_heads=read_heads)
        check_choice("memory", memory, MEMORIES)
        check_choice("features", features, ("grid", "mean"))
        check_number(naming=naming)
        if not 0 <= naming < 1:
            raise ValueError(f"naming must be in [0, 1), got naming={naming!r}")
        self.channels, self.ways, self.features, self.naming = channels, ways, features, naming
        sizes: dict[str, Any] = {"width": width, "read_heads": read_heads}
        rows = {"channels": channels, "ways": ways, "write": write, "address": address, "strength": strength}
        if memory == "ntm":
            cell: Cell | None = NTM(controller_width, slots=slots, shifts=shifts, **sizes)
        elif memory == "dnc":
            cell = DNC(controller_width, slots=slots, **sizes)
        elif memory == "mann":
            cell = MANN(controller_width, slots=slots, **rows, **sizes)
        else:
            cell = GrowingList(controller_width, **rows, **sizes) if memory == "list" else None
        self.cell = cell
        reads = 0 if cell is None else cell.read_heads * cell.length
        self.norm = nn.LayerNorm(channels, elementwise_affine=False)
        self.controller = Controller(controller, channels + ways + 1 + reads, controller_width)
        self.output = nn.Linear(controller_width + reads, ways)
        named = isinstance(cell, Rows) and cell.bound and cell.keyed  # labels are read as they are
        self.trust = nn.Linear(controller_width + read_heads, 1) if named else None
        if self.trust is not None:  # at first, the label that is read is the answer, as far as its image is alike
            zero(self.trust, self.output)
            nn.init.constant_(self.trust.weight[:, controller_width:], _TRUST / read_heads)
        self.read = None if cell is None else AttentionMap("alignment")
        self.write = None if cell is None else AttentionMap("alignment")

    def start(self, batch: int) -> RecallState:
        """Returns the state before the first step of `batch` episodes."""
        weight = self.output.weight
        place: Any = {"device": weight.device, "dtype": weight.dtype}
        memory = None if self.cell is None else self.cell.start(batch, **place)
        return RecallState(self.controller.start(batch, **place), memory, torch.zeros(batch, self.channels, **place))

    def forward(
        self, features: Tensor, told: Tensor, shown: Tensor | None = None, asked: Tensor | None = None
    ) -> Tensor:
        """Computes the logits of every step.

        Args:
            features: Features of each step's image, (B, T, C).
            told: The label that arrives at each step, int64 (B, T); -1 where none does.
            shown: Whether a step has an image, bool (B, T); None for all.
            asked: Whether an answer is asked for, bool (B, T); None for no step.

        Returns:
            (B, T, ways).
        """
        return self.steps(features, told, shown, asked)[0]

    def steps(
        self,
        features: Tensor,
        told: Tensor,
        shown: Tensor | None = None,
        asked: Tensor | None = None,
        state: RecallState | None = None,
    ) -> tuple[Tensor, RecallState]:
        """Runs an episode, or a part of it, step by step.

        Args:
            features: Features of each step's image, (B, T, C).
            told: The label that arrives at each step, int64 (B, T); -1 where none does.
            shown: Whether a step has an image, bool (B, T); None for all.
            asked: Whether an answer is asked for, bool (B, T); None for no step.
            state: What an earlier part returned; None starts an episode.

        Returns:
            Logits (B, T, ways), and the state behind the last step.

        Raises:
            ValueError: if shapes do not fit, there is no step, or a label is not among the `ways`.
        """
        self._check(features, told)
        shown = torch.ones_like(told, dtype=torch.bool) if shown is None else shown
        asked = torch.zeros_like(shown) if asked is None else asked
        state = self.start(features.shape[0]) if state is None else state
        with without_autocast(features):
            known = self.norm(features.to(self.output.weight.dtype)) * shown[..., None]
            labels = F.one_hot(told.clamp(min=0), self.ways) * (told >= 0)[..., None]
            inputs = zip(
                known.unbind(1), labels.to(known.dtype).unbind(1), asked.to(known.dtype).unbind(1), strict=True
            )
            logits, read, write = [], [], []
            for image, label, ask in inputs:
                found, state = self._step(image, label, ask, state)
                logits.append(found)
                if state.memory is not None:
                    read.append(state.memory.read)
                    write.append(state.memory.write)
        for place, weights in ((self.read, read), (self.write, write)):
            if place is not None and place.observed:
                place(_stacked(weights))
        return torch.stack(logits, 1), state

    def _step(self, image: Tensor, label: Tensor, ask: Tensor, state: RecallState) -> tuple[Tensor, RecallState]:
        """Returns the logits (B, ways) of one step, and the next state."""
        heard = [image, label, ask[:, None]]
        if self.cell is None:
            said, controller = self.controller(torch.cat(heard, 1), state.controller)
            return self.output(said), RecallState(controller, None, image)
        heard.append(state.memory.reads.flatten(1))
        said, controller = self.controller(torch.cat(heard, 1), state.controller)
        item = Item(image, state.before, label)
        reads, memory = self.cell(said, state.memory, item)
        logits = self.output(torch.cat([said, reads.flatten(1)], 1))
        if self.trust is not None and isinstance(self.cell, Rows):
            keys, names = reads.split([self.cell.width, self.cell.values], 2)
            alike = F.cosine_similarity(self.cell.keys(said, item), keys, dim=2, eps=EPSILON)
            logits = logits + F.softplus(self.trust(torch.cat([said, alike], 1))) * names.mean(1)
        return logits, RecallState(controller, memory, image)

    def _check(self, features: Tensor, told: Tensor) -> None:
        if features.ndim != 3 or features.shape[2] != self.channels or told.shape != features.shape[:2]:
            raise ValueError(
                f"features must be (B, T, {self.channels}) and told (B, T), got {tuple(features.shape)} and "
                f"{tuple(told.shape)}"
            )
        if features.shape[1] == 0:
            raise ValueError("an episode needs at least one step, got none")
        if (
            not torch.compiler.is_compiling()
            and told.numel()
            and not -1 <= int(told.min()) <= int(told.max()) < self.ways
        ):
            raise ValueError(
                f"told must be -1 or a label below {self.ways}, got {int(told.min())} to {int(told.max())}"
            )


def _stacked(weights: list[Tensor]) -> Tensor:
    """Stacks weights (B, heads, N) of all steps to (B, heads, T, N); a list that grows gets zeros behind its end."""
    slots = max(each.shape[2] for each in weights)
    return torch.stack([F.pad(each, (0, slots - each.shape[2])) for each in weights], 2)
