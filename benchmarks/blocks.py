"""Measures time and memory of every block at the stages of a ResNet-50, alternating with timm's block in one process.

    python benchmarks/blocks.py [NAME ...] [--twins] [--batch 16] [--rounds 9] [--stages 1 2 3 4] [--threads 1]
                                [--device cpu|cuda] [--compile] [--dtype float32|bfloat16] [--channels-last]

Prints a Markdown table, one row per block and stage:

- ms: median of a forward in evaluation without gradients, and of a forward with backward in training. On one thread
  of a CPU it is the processor time of the process, which neighbours disturb less than the time on the wall.
- vs timm: median over the rounds of our time divided by timm's in the same round (below 1: ours is faster).
- × floor: our time divided by that of moving the bytes that any gate must move, at the speed of a copy: the feature map
  read and written in the forward (2 passes); the input and two gradients in addition in the backward (5 passes).
- saved MB: what autograd keeps for the backward; the input counts if it is kept, parameters do not; timm's in brackets.
  Measured eagerly, also with `--compile`.
- peak MB: the most memory that a forward with backward holds beyond parameters and input.

Where memory would not suffice for both sides, ours is measured alone; a block for which it does not suffice either is
left out and named at the end. The same table on a GPU: ``python benchmarks/blocks.py --device cuda [--compile]``.
"""

import argparse
import gc
from collections.abc import Callable
from statistics import median

import torch
from clock import Clock, keep_freed_memory
from timm_twins import TWINS
from torch import Tensor, nn

from cv_attention import blocks

STAGES = {1: (256, 56), 2: (512, 28), 3: (1024, 14), 4: (2048, 7)}
HEADER = ["block", "C×H×W", "forward ms", "vs timm", "× floor", "fwd+bwd ms", "vs timm", "× floor"]
HEADER += ["saved MB (timm)", "peak MB (timm)"]


def forward(block: nn.Module, x: Tensor) -> Callable[[], object]:
    def run() -> None:
        with torch.no_grad():
            block.eval()(x)

    return run


def forward_backward(block: nn.Module, x: Tensor) -> Callable[[], object]:
    leaf, gradient = x.clone(memory_format=torch.preserve_format).requires_grad_(), torch.ones_like(x)

    def run() -> None:
        leaf.grad = None
        block.zero_grad(set_to_none=True)
        block.train()(leaf).backward(gradient)

    return run


def saved_bytes(block: nn.Module, x: Tensor) -> int:
    """Returns the bytes of the distinct storages that a forward in training keeps for its backward."""
    own = {parameter.untyped_storage().data_ptr() for parameter in (*block.parameters(), *block.buffers())}
    found: dict[int, tuple[int, Tensor]] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            found[storage.data_ptr()] = (storage.nbytes(), tensor)  # held, so that no address is used twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        y = block.train()(x.clone(memory_format=torch.preserve_format).requires_grad_())
    del y
    return sum(size for size, _ in found.values())


def available_bytes(device: str) -> int:
    if device == "cuda":
        return torch.cuda.mem_get_info()[0]
    with open("/proc/meminfo") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))


class Row:
    """One block, and timm's if it has one, at one stage."""

    def __init__(self, name: str, stage: int, options: argparse.Namespace) -> None:
        self.name, self.options, self.clock = name, options, Clock(options.device, options.threads)
        self.channels, self.side = STAGES[stage]
        torch.manual_seed(0)
        twin = TWINS.get(name)
        self.models = [
            blocks.create(
                name.partition("/")[0], self.channels, **(twin.options(self.channels, self.side) if twin else {})
            )
        ]
        if twin:
            self.models.append(twin.make(self.channels, self.side))
        for model in self.models:
            model.to(options.device, getattr(torch, options.dtype))
            if options.channels_last:
                model.to(memory_format=torch.channels_last)

    def images(self, batch: int) -> Tensor:
        dtype = getattr(torch, self.options.dtype)
        x = torch.randn(batch, self.channels, self.side, self.side, device=self.options.device, dtype=dtype)
        return x.to(memory_format=torch.channels_last) if self.options.channels_last else x

    def peaks(self, models: list[nn.Module], x: Tensor) -> list[int]:
        for model in models:
            model.zero_grad(set_to_none=True)  # gradients of another call would count as memory given back
        return [self.clock.peak(forward_backward(model, x)) for model in models]

    def drop_what_does_not_fit(self) -> None:
        """Leaves timm's side out where memory does not suffice for it.

        Raises:
            MemoryError: if it does not suffice for ours.
        """
        # An upper bound: the gradients of parameters do not grow with the batch.
        needed = [peak * self.options.batch / 2 for peak in self.peaks(self.models, self.images(2))]
        # Freed memory that the process keeps lies in pieces, so that far more is taken than is used.
        fit = [peak < 0.3 * available_bytes(self.options.device) for peak in needed]
        if not fit[0]:
            raise MemoryError
        self.models = [model for model, fits in zip(self.models, fit, strict=True) if fits]

    def measure(self) -> list[str]:
        """Returns the row's cells.

        Raises:
            MemoryError: if timing would take more memory than there is.
        """
        self.drop_what_does_not_fit()
        x = self.images(self.options.batch)
        saved = [saved_bytes(model, x) for model in self.models]
        target = torch.empty_like(x)
        cells = [self.name, f"{self.channels}×{self.side}×{self.side}"]
        models = [torch.compile(model) for model in self.models] if self.options.compile else self.models
        if self.options.compile:
            for model in models:  # compilation does not count towards the peak
                forward_backward(model, x)()
        peaks = self.peaks(models, x)
        for prepare, passes in ((forward, 2), (forward_backward, 5)):
            functions = [prepare(model, x) for model in models]
            times = self.clock.in_turns([*functions, lambda: target.copy_(x)], self.options.rounds)
            ours = median(times[0])
            ratio = f"{median(a / b for a, b in zip(times[0], times[1], strict=True)):.2f}" if len(models) > 1 else ""
            floor = median(times[-1]) * passes / 2
            cells += [f"{ours * 1e3:.2f}", ratio, f"{ours / floor:.1f}"]
        for values in (saved, peaks):
            ours, *timms = (f"{value / 1e6:.1f}" for value in values)
            cells.append(" ".join([ours, *(f"({value})" for value in timms)]))
        return cells


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="blocks; all of the catalogue unless given")
    parser.add_argument("--twins", action="store_true", help="only blocks that timm has too")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--stages", type=int, nargs="+", default=list(STAGES), choices=list(STAGES))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--compile", action="store_true", help="both sides under torch.compile")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--fresh-pages", action="store_true", help="leave the C library's allocator as it is")
    return parser.parse_args()


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    if not options.fresh_pages:
        keep_freed_memory()
    names = options.names or (list(TWINS) if options.twins else list(dict.fromkeys([*blocks.CATALOGUE, *TWINS])))
    print("\n".join(f"| {' | '.join(cells)} |" for cells in (HEADER, ["---"] * 2 + ["---:"] * 8)), flush=True)
    left_out = []
    for name in names:
        for stage in options.stages:
            gc.collect()
            torch.compiler.reset()
            try:
                print(f"| {' | '.join(Row(name, stage, options).measure())} |", flush=True)
            except (MemoryError, torch.OutOfMemoryError):
                left_out.append(f"{name} at {'×'.join(map(str, (*STAGES[stage], STAGES[stage][1])))}")
    if left_out:
        print(f"\nLeft out, as memory does not suffice for a batch of {options.batch}: {', '.join(left_out)}.")
    place = torch.cuda.get_device_name() if options.device == "cuda" else f"CPU, {options.threads} thread(s)"
    print(f"\n{place}; batch {options.batch}; {options.rounds} rounds; {options.dtype}; torch {torch.__version__}")


if __name__ == "__main__":
    main()
