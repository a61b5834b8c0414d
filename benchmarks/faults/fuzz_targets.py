"""What is fuzzed: each target has files to begin with, a reader, and the errors that the reader documents."""

import contextlib
import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cv_attention.data.decoding.decode import ImageError, decode_image


@dataclass(frozen=True)
class Target:
    """A reader of files from strangers.

    Attributes:
        corpus: Whole files.
        read: Reads one, given its content and a folder for what has to be a file.
        errors: What may be raised.
        words: Texts that mean something to the reader.
    """

    corpus: list[bytes]
    read: Callable[[bytes, Path], object]
    errors: tuple[type[Exception], ...]
    words: list[bytes] = field(default_factory=list)


def decoders() -> Target:
    """Decodes images of every format."""

    def read(data: bytes, _: Path) -> np.ndarray:
        return decode_image(data, "fuzzed", 12 if len(data) % 2 else None)

    return Target(_images(), read, (ImageError,))


def shards() -> Target:
    """Makes the index of a tar archive, and reads its images."""
    from cv_attention.data.sources.archives import members
    from cv_attention.data.sources.folder import EXTENSIONS
    from cv_attention.data.sources.shards import open_shards

    def read(data: bytes, folder: Path) -> None:
        path = folder / "fuzzed.tar"
        path.write_bytes(data)
        for number, member in zip(range(20), members(path, EXTENSIONS), strict=False):
            with contextlib.suppress(ImageError):
                member.read(12 if number % 2 else None)
        found = open_shards(folder / "index", [path])
        for stale in (folder / "index").iterdir():
            stale.unlink()
        for row in range(min(len(found.labels), 20)):
            with contextlib.suppress(ImageError):
                found.read(row)

    forms = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
    return Target(
        [_archive(form) for form in forms], read, (ValueError,), [b"16 size=-5120\n", b"22 GNU.sparse.size=9\n"]
    )


def configurations() -> Target:
    """Parses a file of options as ``cv-attention fit`` does, up to the check of its values."""
    from cv_attention.cli.commands.training.fit import _check_early, _parse
    from cv_attention.cli.errors import UserError

    def read(data: bytes, folder: Path) -> None:
        path = folder / "fuzzed.yaml"
        path.write_bytes(data)
        _check_early(_parse(["--config", str(path)])[0])

    words = [
        b"&a ",
        b"*a",
        b"<<: *a\n",
        b"!!python/name:os.system ",
        b"{",
        b"}",
        b"[",
        b"null",
        b"-1",
        b"1e999",
        b".nan",
    ]
    words += [
        b"\0",
        b"\xff\xfe",
        b"? ",
        b"---\n",
        b"\n  ",
        b"~",
        b"!!binary ",
        b"!!set ",
        b"0x",
        b"1_0",
        b"data: ",
        b": ",
        b"| \n",
    ]
    return Target(_configurations(), read, (UserError,), words)


def checkpoints() -> Target:
    """Opens checkpoints and weights of strangers as networks."""
    import torch

    from cv_attention.training.checkpoint.sealing import sealed
    from cv_attention.training.loading import load

    corpus, state = _checkpoints()

    def read(data: bytes, folder: Path) -> None:
        path = folder / ("fuzzed.safetensors" if data[8:9] == b"{" else "fuzzed.ckpt")
        if data.startswith(b"{"):  # what a file says of its network, sealed by somebody who knows how
            try:
                said = json.loads(data)
                torch.save(sealed({**said, "state_dict": state}), path)
            except Exception as error:
                raise ValueError("not even a checkpoint") from error
        else:
            path.write_bytes(data)
        load(path)

    return Target(corpus, read, (ValueError,), [b'"class_path": "os.system"', b"NaN", b"1e999", b"-1", b"null"])


def tables() -> Target:
    """Reads tables of images and classes, of the kind that their first bytes say."""
    from cv_attention.data.tables.sheets import read_table

    kinds = {b"P": ".parquet", b"[": ".json", b"{": ".jsonl"}

    def read(data: bytes, folder: Path) -> None:
        path = folder / f"fuzzed{kinds.get(data[:1], '.csv')}"
        path.write_bytes(data)
        read_table(path)

    return Target(
        _tables(), read, (ValueError,), [b"\xef\xbb\xbf", b'"', b"\r\n", b"NaN", b"[[", b"{", b"\0", b",,", b";"]
    )


def studies() -> Target:
    """Reads study files, up to the check of what needs no base."""
    from cv_attention.study import read_study

    def read(data: bytes, folder: Path) -> None:
        path = folder / "fuzzed.yaml"
        path.write_bytes(data)
        read_study(path)

    plain = "base: base.yaml\nnetworks: {plain: {}, se: {model.block: se}}\nseeds: 3\n"
    more = (
        "controls: {match: [parameters], also: [identity]}\ntune: {optimizer.lr: [0.1, 0.2], seeds: 2}\nmargin: 0.5\n"
    )
    corpus = [plain, plain + more, plain + "recipes: {short: {trainer.max_epochs: 1}, long: {}}\nreference: plain\n"]
    return Target(
        [text.encode() for text in corpus], read, (ValueError,), [b"&a ", b"*a", b"<<: *a\n", b".nan", b"null"]
    )


TARGETS = {
    "decoders": decoders, "shards": shards, "configurations": configurations, "checkpoints": checkpoints,
    "tables": tables, "studies": studies,
}  # fmt: skip


def _images() -> list[bytes]:
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, (24, 32, 3), np.uint8)
    grey, deep = colour[..., 0], rng.integers(0, 4096, (24, 32), np.uint16)
    clear = Image.fromarray(np.dstack([colour, grey]))
    exif = Image.Exif()
    exif[0x0112] = 6
    files = [
        (colour, name, {})
        for name in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "TGA", "ICO", "AVIF")
    ]
    files += [(grey, name, {}) for name in ("JPEG", "PNG", "TIFF", "PPM")] + [
        (deep, name, {}) for name in ("PNG", "TIFF", "JPEG2000")
    ]
    files += [(clear, name, {}) for name in ("PNG", "WEBP", "TIFF", "TGA")]
    files += [
        (colour, "JPEG", {"exif": exif}),
        (colour, "PNG", {"exif": exif}),
        (colour, "JPEG", {"progressive": True}),
    ]
    files += [
        (colour, "TIFF", {"compression": name}) for name in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")
    ]
    files += [
        (Image.fromarray(colour).convert(mode), name, {})
        for mode, name in (("CMYK", "JPEG"), ("P", "PNG"), ("1", "TIFF"), ("P", "GIF"), ("1", "PPM"))
    ]
    files += [
        (Image.fromarray(colour), name, {"save_all": True, "append_images": [Image.fromarray(255 - colour)]})
        for name in ("GIF", "WEBP", "PNG", "TIFF")
    ]
    found = []
    for pixels, name, options in files:
        image = Image.fromarray(pixels) if isinstance(pixels, np.ndarray) else pixels
        buffer = io.BytesIO()
        image.save(buffer, name, **options)
        found.append(buffer.getvalue())
    return found


def _archive(form: int) -> bytes:
    buffer, picture = io.BytesIO(), io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(picture, "PNG")
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for number in range(3):
            folder = "a" * 90 + "/" + "b" * 60 + "/" if number == 1 else ""
            for suffix, content in ((".png", picture.getvalue()), (".cls", b"%d" % number)):
                info = tarfile.TarInfo(f"{folder}{number:06d}{suffix}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    return buffer.getvalue()


def _tables() -> list[bytes]:
    import pyarrow
    from pyarrow import parquet

    rows = [{"path": f"images/{number}.png", "label": "ab"[number % 2], "split": "train"} for number in range(12)]
    head, lines = ",".join(rows[0]), [",".join(row.values()) for row in rows]
    texts = ["\n".join([head, *lines]), "\n".join([head, *lines]).replace(",", ";"), json.dumps(rows)]
    texts.append("\n".join(map(json.dumps, rows)))
    buffer = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows), buffer)
    return [*(text.encode() for text in texts), buffer.getvalue()]


def _configurations() -> list[bytes]:
    import yaml

    from cv_attention.config import Experiment

    whole = yaml.safe_dump(Experiment().to_dict(), sort_keys=False)
    aliases = "data: &d {name: folder, root: .}\nmodel: {block: {name: cbam, reduction: 8}}\nseed: 3\n"
    steps = "data:\n  train_transforms:\n  - HorizontalFlip\n  - RandomCrop: {height: 32, width: 32}\n"
    parts = (
        "optimizer: {lr: 1e-3, options: {momentum: 0.9}}\ntrainer:\n  devices: 1\n  extra: {max_time: 00:01:00:00}\n"
    )
    shards = "data: {name: webdataset, progressive: {0: 32}, subset: {classes: [a, b]}}\nlog: {saliency: [grad_cam]}\n"
    return [text.encode() for text in (whole, aliases, steps, parts, shards)]


def _checkpoints() -> tuple[list[bytes], dict[str, Any]]:
    """Files, and the weights that belong to those of JSON alone."""
    import tempfile

    import torch

    from cv_attention.config import Data, Experiment, Model
    from cv_attention.training import Classifier, DataFacts
    from cv_attention.training.checkpoint import weights
    from cv_attention.training.checkpoint.sealing import sealed

    experiment = Experiment(data=Data(), model=Model(options={"width": 2}, block="se"))
    facts = DataFacts(tuple("0123456789"), (0.1, 0.1, 0.1), (0.3, 0.3, 0.3), (32, 32))
    classifier = Classifier(experiment, facts)
    state = {"experiment": experiment.to_dict(), "facts": asdict(facts), "state_dict": classifier.state_dict()}
    with tempfile.TemporaryDirectory() as folder:
        whole, plain, light = (Path(folder, name) for name in ("whole.ckpt", "plain.ckpt", "light.safetensors"))
        torch.save(sealed(state), whole)
        torch.save(state, plain)
        weights.write(light, classifier)
        files = [path.read_bytes() for path in (whole, plain, light)]
    said = json.dumps({"experiment": state["experiment"], "facts": state["facts"]}).encode()
    return [*files, said, said, said], state["state_dict"]
