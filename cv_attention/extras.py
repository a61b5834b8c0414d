"""Packages that only some features need: what is missing, told before anything is done. Imports none of them."""

from importlib.util import find_spec

# Extras of pyproject.toml -> the packages that they install.
EXTRAS = {"captum": ("captum",), "onnx": ("onnx", "onnxscript", "onnxruntime"), "parquet": ("pyarrow",)}
_OF_METHODS = {"lime": "captum"}  # saliency methods


class MissingPackage(ModuleNotFoundError, ValueError):
    """A package of an extra is not installed."""


def require(extra: str, feature: str) -> None:
    """Raises MissingPackage unless the packages of an extra are installed.

    Args:
        extra: Name in `EXTRAS`.
        feature: What needs it, for the message.
    """
    for package in EXTRAS[extra]:
        if find_spec(package) is None:
            raise MissingPackage(f"{feature} needs {package}: pip (or uv pip) install 'cv_attention[{extra}]'")


def require_for(method: str) -> None:
    """Raises MissingPackage unless a saliency method has what it needs."""
    if method in _OF_METHODS:
        require(_OF_METHODS[method], method)
