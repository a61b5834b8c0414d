"""Optional dependencies: fails early and names the extra to install. Imports none of them."""

from importlib.util import find_spec

# Extras of pyproject.toml -> the packages that they install, by the name under which they are imported.
EXTRAS = {
    "train": (
        "torchvision", "timm", "lightning", "torchmetrics", "albumentations", "cv2", "scipy", "sklearn", "jsonargparse",
        "yaml", "rich", "filelock", "wandb", "safetensors",
    ),
    "flow": ("scipy",),
    "captum": ("captum",),
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "parquet": ("pyarrow",),
    "hub": ("huggingface_hub",),
    "figures": ("matplotlib", "fontTools"),
    "datasets": ("datasets",),
    "demo": ("gradio",),
    "svhn": ("h5py",),
    "lmdb": ("lmdb",),
    "graphemes": ("regex",),
    "ray": ("ray",),
    "slurm": ("submitit",),
}  # fmt: skip
_OF_METHODS = {"lime": "captum", "attention_flow": "flow"}  # saliency methods


class MissingPackage(ModuleNotFoundError, ValueError):
    """A package of an extra is not installed."""


def require(extra: str, feature: str) -> None:
    """Checks that the packages of an extra are installed.

    Args:
        extra: Name in `EXTRAS`.
        feature: What needs it, for the message.

    Raises:
        MissingPackage: if one is not installed.
    """
    for package in EXTRAS[extra]:
        if find_spec(package) is None:
            raise MissingPackage(f"{feature} needs {package}: pip (or uv pip) install 'cv_attention[{extra}]'")


def require_for(method: str) -> None:
    """Checks that a saliency method has the packages that it needs.

    Raises:
        MissingPackage: if one is not installed.
    """
    if method in _OF_METHODS:
        require(_OF_METHODS[method], method)
