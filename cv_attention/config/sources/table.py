"""Configures how a table of images and classes is read."""

from dataclasses import dataclass


@dataclass
class Table:
    """Configures the columns of the table that is read if ``data.name`` is ``table``.

    Attributes:
        image: Column with the path of each image; null takes the first of ``path``, ``file``, ``file_name``,
            ``filename``, ``filepath``, ``image``, ``image_path``, ``image_id`` and ``id`` that the table has.
        label: Column with the class of each image; null takes the first of ``label``, ``class``, ``class_name``,
            ``category``, ``target`` and ``species``, and with several classes per image ``labels``, ``classes`` and
            ``tags`` before these. With several classes or numbers per image also a list of columns, one for each class,
            with 1 where an image has it, else 0 or nothing; or one for each number.
        separator: What separates several classes in one column.
        split: Column with the split of each image: train, val or test; null takes ``split`` if the table has it.
        group: Column of groups, such as the patient or the video of each image: images of a group stay together when
            validation and test images are held out.
        folder: Folder in which all images lie; null takes that of the table.
        suffix: What the table leaves out at the end of each path, such as ``.jpg``.
        encoding: Encoding of the table, such as ``cp1252``; null takes UTF-8, or UTF-16 and others by their byte order
            mark.

    Examples:
        >>> from cv_attention.config import Data, Table
        >>> data = Data(name="table", root="ham10000/metadata.csv", test_fraction=0.2)
        >>> data.table = Table(image="image_id", label="dx", group="lesion_id", folder="ham10000/images", suffix=".jpg")
    """

    image: str | None = None
    label: str | list[str] | None = None
    separator: str = ";"
    split: str | None = None
    group: str | None = None
    folder: str | None = None
    suffix: str = ""
    encoding: str | None = None
