"""Loads CIFAR-10 and CIFAR-100 through torchvision, which downloads them and verifies their checksums."""

from pathlib import Path
from typing import Any

from cv_attention.data.sources.images import Images
from cv_attention.data.sources.memory import in_memory


def download(name: str, root: str) -> None:
    """Downloads `cifar10` or `cifar100` (170 MB) to `root` unless it already exists.

    Raises:
        FileNotFoundError: if the download fails; the message explains where to put the files.
    """
    _open(name, root, train=False, download=True)


def load(name: str, root: str) -> tuple[list[str], dict[str, Images]]:
    """Reads the 50,000 training and 10,000 test images: class names, and the splits `train` and `test`.

    Raises:
        FileNotFoundError: if the files do not exist; the message explains where to put them.
    """
    datasets = {split: _open(name, root, train=split == "train", download=False) for split in ("train", "test")}
    # The copy is in C order.
    images = {split: in_memory(dataset.data.copy(), dataset.targets) for split, dataset in datasets.items()}
    return list(datasets["train"].classes), images


def _open(name: str, root: str, *, train: bool, download: bool) -> Any:
    from torchvision import datasets

    kind = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[name]
    try:
        return kind(root, train=train, download=download)
    except (OSError, RuntimeError) as error:  # no network, or files that torchvision rejects as damaged
        problem = "could not be downloaded" if download else "was not found"
        reason = " ".join(str(error).split())
        example = Path(root, kind.base_folder, kind.train_list[0][0])
        raise FileNotFoundError(
            f"{name} {problem} ({reason}); get {kind.url} and unpack it in '{root}', so that '{example}' exists"
        ) from error
