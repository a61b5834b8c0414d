"""Lists the formats of label files, and finds the label files of a data set."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

from cv_attention.data.guessing import not_found
from cv_attention.data.sources import folder as image_folder
from cv_attention.data.sources.images import Storage
from cv_attention.data.tables.entries import Entry
from cv_attention.data.texts.label_files import (
    captions,
    doctr,
    easyocr,
    file_names,
    huggingface,
    iiit5k,
    lmdb_images,
    svhn,
    tab_separated,
    webdataset,
)

SPLITS = ("train", "val", "test")


class Archive(Storage, Protocol):
    """A storage of files in archives."""

    @property
    def bits(self) -> int | None:
        """Range of files of more than 8 bits; it can be set."""
        ...

    @bits.setter
    def bits(self, value: int | None) -> None: ...

    def content(self, row: int, most: int = ...) -> bytes:
        """Returns the file of one image, or its first `most` bytes."""
        ...


class Format(NamedTuple):
    """A format of label files.

    Attributes:
        name: Its name, for messages.
        files: Names of its files, as patterns, in the folder of a split or of everything.
        of_split: Patterns of the files of one split in the folder of the data set, with ``{split}``.
        read: Reads a file; None for archives.
        folders: Folders next to the file in which the images may lie; next to the file they may always.
        repeated: Whether an image may have several texts.
        open: Opens archives, which hold images and texts, of one split; the second argument is a folder for an index.
    """

    name: str
    files: tuple[str, ...]
    of_split: tuple[str, ...]
    read: Callable[[Path], Iterator[Entry]] | None = None
    folders: tuple[str, ...] = ()
    repeated: bool = False
    open: Callable[[Sequence[Path], Path], tuple[list[Entry], Archive]] | None = None


FORMATS = (  # the first that is found wins
    Format("docTR", doctr.NAMES, (), doctr.read, ("images",)),
    Format("Hugging Face", huggingface.NAMES, (), huggingface.read),
    Format("EasyOCR", easyocr.NAMES, (), easyocr.read),
    Format("PaddleOCR, clovaai, TRDG", tab_separated.NAMES, ("rec_gt_{split}.txt",), tab_separated.read, ("images",)),
    Format("Flickr8k", captions.NAMES, (), captions.read, ("Images", "images"), repeated=True),
    Format("WebDataset", webdataset.NAMES, ("{split}-*.tar",), open=webdataset.open_archives),
    Format("IIIT5K", iiit5k.NAMES, ("{split}data.mat",), iiit5k.read),
    Format("SVHN", svhn.NAMES, (), svhn.read),
    Format("LMDB", lmdb_images.NAMES, (), open=lmdb_images.open_database),
)


class Found(NamedTuple):
    """The label files of one split, of one format, and the folder of the data set."""

    format: Format
    files: list[Path]
    root: Path

    def describe(self) -> str:
        """Returns the names of files and format."""
        names = ", ".join(str(file.relative_to(self.root)) for file in self.files[:3])
        more = f" and {len(self.files) - 3} more" if len(self.files) > 3 else ""
        return f"{names}{more} ({self.format.name})"


def find(root: str, from_name: str | None = None) -> dict[str, Found]:
    """Finds the label files of a data set.

    They lie in the folders of its splits, or carry the name of a split, or there is one for everything.

    Args:
        root: Folder of the data set.
        from_name: Regular expression that finds the texts in the names of the images instead.

    Returns:
        The label files of ``train``, ``val`` and ``test``, as far as there are any; of ``all`` where images are not
        divided.

    Raises:
        FileNotFoundError: if the folder does not exist.
        ValueError: if there are no label files, or some splits have one and others do not.
    """
    base = Path(root).expanduser()
    if not base.is_dir():
        raise not_found(root, "text")
    folders = split_folders(base)
    if from_name is not None:
        names = Format("names of the images", (), (), partial(file_names.read, pattern=from_name))
        if "train" in folders:
            return _tested({split: Found(names, [folder], base) for split, folder in folders.items()})
        return {"all": Found(names, [base], base)}
    by_folder = {split: found for split, folder in folders.items() if (found := _in_folder(base, folder))}
    if "train" in by_folder:
        for split in folders:
            if split not in by_folder:
                raise ValueError(f"'{folders[split]}' has no label file; expected {expected()}")
        return _tested(by_folder)
    by_name = {split: found for split in SPLITS if (found := _of_split(base, split))}
    if "train" in by_name:
        return _tested(by_name)
    if everything := _in_folder(base, base):
        return {"all": everything}
    present = ", ".join(sorted(path.name for path in base.iterdir())[:8]) or "nothing"
    raise ValueError(f"'{root}' has no label file, nor has its folder train; expected {expected()}; got {present}")


def find_in(folder: Path) -> Found | None:
    """Finds the label file of one folder of images, whatever split it is; None where there is none.

    Args:
        folder: The folder.
    """
    return _in_folder(folder, folder)


def split_folders(base: Path) -> dict[str, Path]:
    """Returns the folders of the splits that a data set has.

    Raises:
        ValueError: if a split has several.
    """
    folders = {}
    for split, present in image_folder.split_folders(base).items():
        if len(present) > 1:
            raise ValueError(f"'{base}' has several {split} folders: {', '.join(p.name for p in present)}; keep one")
        if present:
            folders[split] = present[0]
    return folders


def expected() -> str:
    """Lists the names of label files, for messages."""
    return ", ".join(pattern for each in FORMATS for pattern in each.files) + ", or data.text.from_name"


def _in_folder(base: Path, folder: Path) -> Found | None:
    for each in FORMATS:
        for pattern in each.files:
            if files := sorted(path for path in folder.glob(pattern) if path.is_file() or path.is_symlink()):
                return Found(each, files, base)
    return None


def _of_split(base: Path, split: str) -> Found | None:
    for each in FORMATS:
        for pattern in each.of_split:
            if files := sorted(base.glob(pattern.format(split=split))):
                return Found(each, files, base)
    return None


def _tested(found: dict[str, Found]) -> dict[str, Found]:
    """Makes the only split besides train the test split, as for folders of classes."""
    if "test" not in found and "val" in found:
        found["test"] = found.pop("val")
    return found
