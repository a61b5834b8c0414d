"""Chooses a precision that the device computes fast."""

import torch

_CPU_BF16 = ("avx512_bf16", "amx_bf16", "bf16")  # x86 with and without tiles, ARM


def resolve(precision: str, accelerator: str) -> str:
    """Resolves ``auto`` to ``bf16-mixed`` if the device computes bfloat16 natively, else to ``32-true``.

    Devices that emulate bfloat16 are many times slower with it than without.

    Args:
        precision: ``auto``, or one of Lightning's precisions, which is returned unchanged.
        accelerator: Lightning's name of the accelerator; ``auto`` is a GPU if there is one.
    """
    if precision != "auto":
        return precision
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    if accelerator not in ("auto", "cpu") or torch.backends.mps.is_available():
        return "32-true"
    able = getattr(torch.cpu, "get_capabilities", dict)()
    return "bf16-mixed" if any(able.get(name) for name in _CPU_BF16) else "32-true"
