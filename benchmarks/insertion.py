"""What insertion costs: ResNet-50 with SE inserted against timm's own seresnet50, in turns in one process.

    python benchmarks/insertion.py [--batch 8] [--size 224] [--rounds 10] [--threads 1] [--device cpu]

Both have 28.1 million parameters and the same gates. Prints the seconds of a forward and of a training step, the median
of the rounds' ratios (1.03 at most is the target), and how long `insert` takes in plain forwards of one image (two at
most is the target). On one thread of a CPU seconds are the processor time of the process.
"""

import argparse
from statistics import median

import timm
import torch
from clock import Call, Clock, keep_freed_memory
from torch import nn

import cv_attention as cva


def report(what: str, sides: dict[str, Call], clock: Clock, rounds: int) -> None:
    """Times the two sides in turns and prints their medians and the median of the rounds' ratios."""
    one, two = times = clock.in_turns(list(sides.values()), rounds, warm_up=2)
    ratios = sorted(a / b for a, b in zip(one, two, strict=True))
    medians = ", ".join(f"{name} {1e3 * median(seconds):.1f} ms" for name, seconds in zip(sides, times, strict=True))
    quartiles = f"{ratios[len(ratios) // 4]:.3f}–{ratios[-1 - len(ratios) // 4]:.3f}"
    print(f"{what:<16} {medians}; ratio {median(ratios):.3f} (quartiles {quartiles})")


def forward(model: nn.Module, images: torch.Tensor) -> Call:
    @torch.no_grad()
    def run() -> None:
        model.eval()(images)

    return run


def step(model: nn.Module, images: torch.Tensor) -> Call:
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    labels = torch.zeros(len(images), dtype=torch.long, device=images.device)

    def run() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model.train()(images), labels).backward()
        optimizer.step()

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--channels-last", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    clock = Clock(options.device, options.threads)
    torch.manual_seed(0)
    layout = torch.channels_last if options.channels_last else torch.contiguous_format

    plain = timm.create_model("resnet50").to(options.device, memory_format=layout)
    models = {name: timm.create_model(net) for name, net in (("inserted", "resnet50"), ("timm", "seresnet50"))}
    cva.insert(models["inserted"], {"name": "se", "reduction": 16}, input_size=options.size)
    sizes = {name: sum(p.numel() for p in model.parameters()) for name, model in models.items()}
    assert sizes["inserted"] == sizes["timm"], sizes
    for model in models.values():
        model.to(options.device, memory_format=layout)
    images = torch.randn(options.batch, 3, options.size, options.size, device=options.device)
    images = images.to(memory_format=layout)

    for what, make in (("forward", forward), ("training step", step)):
        sides = {name: make(model, images) for name, model in models.items()}
        report(what, sides, clock, options.rounds)

    def insert() -> None:
        cva.insert(plain, "se", input_size=options.size)
        cva.remove(plain)

    report("inserting", {"insert": insert, "plain forward": forward(plain, images[:1])}, clock, options.rounds)
    device = torch.cuda.get_device_name() if options.device == "cuda" else f"{options.threads} CPU threads"
    print(f"batch {options.batch}, {options.size} px, {options.rounds} rounds, {device}, torch {torch.__version__}")


if __name__ == "__main__":
    main()
