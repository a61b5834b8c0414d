"""What recording costs: a vision transformer with all its maps kept, against the same with plain unfused attention.

    python benchmarks/record.py [--model vit_base_patch16_224] [--batch 32] [--size 224] [--rounds 5] [--threads 1]
                                [--device cpu]

Prints the seconds of a plain forward with unfused attention (which has the maps, but keeps none) and of one that is
recorded, in turns in one process, and the median of the rounds' ratios (1.2 at most is the target). With --fused also
those of a plain forward with fused kernels. On one thread of a CPU seconds are the processor time of the process.
"""

import argparse
from statistics import median

import timm
import torch
from clock import Call, Clock, keep_freed_memory
from torch import nn

import cv_attention as cva


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="vit_base_patch16_224")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--dtype", default="float32", help="of the model")
    parser.add_argument("--keep", default=None, help="dtype in which maps are kept, such as float16")
    parser.add_argument("--keep-on", default=None, help="device on which maps are kept, such as cpu")
    parser.add_argument("--fused", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    torch.manual_seed(0)
    dtype = getattr(torch, options.dtype)
    model = timm.create_model(options.model, img_size=options.size).eval().to(options.device, dtype)
    images = torch.randn(options.batch, 3, options.size, options.size, device=options.device, dtype=dtype)

    def forward(fused: bool) -> Call:
        @torch.no_grad()
        def run() -> None:
            set_fused(model, fused)
            model(images)

        return run

    @torch.no_grad()
    def recorded() -> None:
        set_fused(model, True)
        kept = getattr(torch, options.keep) if options.keep else None
        with cva.record(model, dtype=kept, device=options.keep_on):
            model(images)

    sides = {"recorded": recorded, "unfused": forward(False)}
    if options.fused:
        sides["fused"] = forward(True)
    times = Clock(options.device, options.threads).in_turns(list(sides.values()), options.rounds)
    found = dict(zip(sides, times, strict=True))
    for name, seconds in found.items():
        print(f"{name:<9} {1e3 * median(seconds):.1f} ms")
    ratios = sorted(a / b for a, b in zip(found["recorded"], found["unfused"], strict=True))
    print(f"recorded / unfused: {median(ratios):.3f} ({ratios[0]:.3f}–{ratios[-1]:.3f})")
    device = torch.cuda.get_device_name() if options.device == "cuda" else f"{options.threads} CPU threads"
    print(
        f"{options.model}, batch {options.batch}, {options.size} px, {options.rounds} rounds, {device}, {options.dtype}"
    )


def set_fused(model: nn.Module, fused: bool) -> None:
    for module in model.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = fused  # pyright: ignore[reportAttributeAccessIssue]


if __name__ == "__main__":
    main()
