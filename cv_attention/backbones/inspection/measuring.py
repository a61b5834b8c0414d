"""Measures parameters, FLOPs, memory and time of a model with and without its blocks."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import quantiles
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from cv_attention.backbones.tracing.dry_run import InputSize, dry_run, untouched
from cv_attention.backbones.tracing.flops import CountFlops
from cv_attention.backbones.tracing.inputs import Inputs
from cv_attention.tables import text_table


@dataclass(frozen=True)
class Costs:
    """What one model costs.

    Attributes:
        parameters: Its parameters.
        flops: Floating-point operations of a forward, for one image (a multiply-add counts as two).
        activation_bytes: Bytes that autograd keeps of a forward until the backward pass, for one image.
        latency: Seconds of one forward of the whole batch: first quartile, median and third quartile; None if not
            timed.
    """

    parameters: int
    flops: int
    activation_bytes: int
    latency: tuple[float, float, float] | None


@dataclass(frozen=True)
class Comparison:
    """A model without and with its blocks, measured in turns; ``print(comparison)`` shows a table.

    Attributes:
        device: Where it was measured.
        threads: Threads of torch on the CPU.
        rounds: Forwards of each model that were timed.
        plain: The model without.
        attended: The model with.
        batch: Images in a forward.
    """

    device: str
    threads: int
    rounds: int
    plain: Costs
    attended: Costs
    batch: int = 1

    def to_dict(self) -> dict[str, Any]:
        """Returns plain dicts, lists and scalars."""
        return asdict(self)

    def __str__(self) -> str:
        """Returns one line per cost: without, with, and their ratio."""
        rows = []
        for name, label in (("parameters", "parameters"), ("flops", "FLOPs")):
            one, two = getattr(self.plain, name), getattr(self.attended, name)
            rows.append((label, f"{one:,}", f"{two:,}", _ratio(one, two)))
        one, two = self.plain.activation_bytes, self.attended.activation_bytes
        rows.append(("activation memory", f"{one / 1e6:,.2f} MB", f"{two / 1e6:,.2f} MB", _ratio(one, two)))
        if self.plain.latency and self.attended.latency:
            one, two = self.plain.latency, self.attended.latency
            rows.append(("latency", _milliseconds(one), _milliseconds(two), _ratio(one[1], two[1])))
        table = text_table(("", "without", "with", "ratio"), rows, left=1)
        where = f"{self.device}, {self.threads} threads" if self.device == "cpu" else self.device
        timed = f"; latency: median (quartiles) of {self.rounds} forwards in turns" if self.plain.latency else ""
        what = "one image" if self.batch == 1 else f"{self.batch} images, FLOPs and memory divided by that,"
        return "\n".join([table, f"{what} in eval mode on {where}{timed}"])


def measure(
    plain: nn.Module,
    attended: nn.Module,
    example_inputs: Any = None,
    *,
    input_size: InputSize | None = None,
    rounds: int = 20,
) -> Comparison:
    """Measures two models on the same inputs, in eval mode, and leaves models and inputs as they were.

    Args:
        plain: The model without blocks.
        attended: The model with blocks, on the same device.
        example_inputs: What both models take, for models that take anything but one image: a tensor, a tuple of
            positional arguments, a mapping of keyword arguments, or a tuple of both; see `insert`. The default is an
            image of zeros. The images of a batch are counted along the first axis of the first input (B, C, H, W), else
            of what the first convolution takes, else of the first input.
        input_size: Side, (H, W) or (C, H, W) of the default image in pixels; by default the model's own.
        rounds: Number of timed forwards of each model, in turns; 0 times nothing.

    Returns:
        The costs of both models; it prints as a table.

    Raises:
        ValueError: if `rounds` is neither 0 nor at least 2, `plain` fails, or `input_size` and `example_inputs` are
            both given.

    Examples:
        >>> import copy
        >>> import cv_attention as cva
        >>> plain = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> attended = copy.deepcopy(plain)
        >>> planned = cva.insert(attended, "se")
        >>> found = cva.backbones.measure(plain, attended, rounds=0)  # without timing
        >>> found.plain.parameters, found.attended.parameters
        (17326, 17587)
        >>> found.attended.flops - found.plain.flops == planned.added_flops
        True
    """
    if rounds < 0 or rounds == 1:
        raise ValueError(f"rounds must be 0 or at least 2, got rounds={rounds}")
    run = dry_run(plain, input_size, example_inputs)
    inputs, batch = run.inputs, run.trace.batch
    latencies: list[tuple[float, float, float] | None] = [None, None]
    if rounds:
        with untouched(plain), untouched(attended):
            latencies = list(_latencies((plain, attended), inputs, rounds))
    one = _costs(plain, inputs, batch, latencies[0])
    two = _costs(attended, inputs, batch, latencies[1])
    device = inputs.tensors[0].device
    return Comparison(_device_name(device), torch.get_num_threads(), rounds, one, two, batch)


def _costs(model: nn.Module, inputs: Inputs, batch: int, latency: tuple[float, float, float] | None) -> Costs:
    args, kwargs = inputs.arguments()
    with untouched(model):
        with CountFlops() as counter:
            model(*args, **kwargs)
        activations = _kept_for_backward(model, inputs)
    parameters = sum(p.numel() for p in model.parameters())
    return Costs(parameters, round(counter.flops / batch), round(activations / batch), latency)


def _kept_for_backward(model: nn.Module, inputs: Inputs) -> int:
    """Bytes of the tensors that autograd saves, each storage once, the model's own weights not counted."""
    own = {t.untyped_storage()._cdata for t in (*model.parameters(), *model.buffers())}
    kept: dict[int, Any] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage  # held, so that no other storage gets its address
        return tensor

    args, kwargs = inputs.arguments()
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = model(*args, **kwargs)
    del output
    return sum(storage.nbytes() for storage in kept.values())


def _latencies(models: tuple[nn.Module, nn.Module], inputs: Inputs, rounds: int) -> list[tuple[float, float, float]]:
    """Quartiles of the seconds of one forward of each model; they take turns, so that a busy machine slows both."""
    on_gpu = any(tensor.device.type == "cuda" for tensor in inputs.tensors)
    wait: Callable[[], None] = torch.cuda.synchronize if on_gpu else lambda: None
    seconds: list[list[float]] = [[], []]
    for turn in range(rounds + 2):
        for number in (0, 1) if turn % 2 else (1, 0):
            args, kwargs = inputs.arguments()
            wait()
            start = perf_counter()
            models[number](*args, **kwargs)
            wait()
            if turn >= 2:  # the first two warm up
                seconds[number].append(perf_counter() - start)
    found = [quantiles(times, n=4, method="inclusive") for times in seconds]
    return [(low, median, high) for low, median, high in found]


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _milliseconds(latency: tuple[float, float, float]) -> str:
    low, median, high = (f"{1e3 * seconds:.2f}" for seconds in latency)
    return f"{median} ms ({low}–{high})"


def _ratio(one: float, two: float) -> str:
    return f"{two / one:.3f}" if one else "-"
