"""Resolves the option ``--device``."""

_KINDS = ("auto", "cpu", "cuda", "cuda:1", "mps", "xpu")


def find_device(name: str) -> str:
    """The device asked for; ``auto`` is the first GPU where there is one, else the CPU.

    Raises:
        ValueError: if there is no such device.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:  # torch built without CUDA asserts
        first = str(error).splitlines()[0]  # a kind that torch does not know is answered by eighteen that it does
        reason = f"there are {', '.join(_KINDS)}, ..." if "device type" in first else first
        raise ValueError(f"there is no device {name!r}: {reason}") from error
    return name
