"""Resolves the option ``--device``."""

_KINDS = ("auto", "cpu", "cuda", "cuda:1", "mps", "xpu")


def find_device(name: str) -> str:
    """Returns the requested device; ``auto`` is the first GPU if there is one, otherwise the CPU.

    Raises:
        ValueError: if the device does not exist.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:  # torch built without CUDA asserts
        first = str(error).splitlines()[0]  # for an unknown type torch lists all eighteen that it knows
        reason = f"expected one of {', '.join(_KINDS)}, ..." if "device type" in first else first
        raise ValueError(f"unknown device {name!r}: {reason}") from error
    return name
