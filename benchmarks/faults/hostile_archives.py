"""Makes hostile tar archives, each with the labels that it must give, or None if it must be refused."""

import bz2
import gzip
import io
import lzma
import tarfile

import numpy as np

from benchmarks.faults.image_files import chunk, png

PLAIN = np.arange(16 * 16 * 3, dtype=np.uint8).reshape(16, 16, 3)
PLAIN_PNG = png(PLAIN, 2)
_IMAGE, _LABEL = ("1.png", PLAIN_PNG), ("1.cls", b"1")
_WRONG = (b"-1", b"1.0", b"true", b"null", b"", b"cat", b'{"label": 1}', b"1_0", b"+1", b"0x1", b"1 2", b"nan", b"1\0",
          "٣".encode(), "²".encode(), b"9" * 25, b"9" * 40, b"999999999", b"\0\0\0\1")  # fmt: skip
_RIGHT = (b"1", b" 1\n", b"007", b"2")

Archives = dict[str, tuple[bytes, list[int] | None]]


def archives() -> Archives:
    """Makes all archives: name -> the archive, and the labels that it must give; None if it must be refused."""
    return {**_labels(), **_members(), **_headers(), **_compressed()}


def _labels() -> Archives:
    wrong = {f"class {text!r}": (tar_of(_IMAGE, ("1.cls", text)), None) for text in _WRONG}
    right = {f"class {text!r} is right": (tar_of(_IMAGE, ("1.cls", text)), [int(text)]) for text in _RIGHT}
    return {**wrong, **right}


def _members() -> Archives:
    return {
        "an image twice": (tar_of(_IMAGE, _IMAGE, _LABEL), None),
        "a class twice": (tar_of(_IMAGE, _LABEL, ("1.cls", b"2")), None),
        "no class": (tar_of(_IMAGE), None),
        "class of another key": (tar_of(_IMAGE, ("2.cls", b"1")), None),
        "symbolic link out": (_linked(tarfile.SYMTYPE, "/etc/passwd"), [0]),
        "hard link out": (_linked(tarfile.LNKTYPE, "../../etc/passwd"), [0]),
        "hard link inside": (_linked(tarfile.LNKTYPE, "1.png"), [0]),
        "device": (_linked(tarfile.CHRTYPE, ""), [0]),
        "pipe": (_linked(tarfile.FIFOTYPE, ""), [0]),
        "absolute path": (tar_of(("/etc/1.png", PLAIN_PNG), ("/etc/1.cls", b"1")), [1]),
        "path up": (tar_of(("../../1.png", PLAIN_PNG), ("../../1.cls", b"1")), [1]),
        "line break in the name": (tar_of(("1\n2.png", PLAIN_PNG), ("1\n2.cls", b"1")), [1]),
        "long GNU name": (tar_of(("a" * 900 + "/1.png", PLAIN_PNG), ("a" * 900 + "/1.cls", b"1")), [1]),
        "long pax name": (
            tar_of(("ü" * 400 + ".png", PLAIN_PNG), ("ü" * 400 + ".cls", b"1"), form=tarfile.PAX_FORMAT),
            [1],
        ),
        "archive in an archive": (tar_of(_IMAGE, _LABEL, ("2.tar", tar_of(_IMAGE))), [1]),
    }


def _headers() -> Archives:
    return {
        "sparse member": (_sparse(), None),
        "cut in a header": (tar_of(_IMAGE, _LABEL)[:300], None),
        "cut in an image": (tar_of(_IMAGE, _LABEL)[:600], None),
        "cut between members": (tar_of(_IMAGE, _LABEL)[:1536], None),
        "random": (np.random.default_rng(0).bytes(9000), None),
        "empty": (b"", None),
        "zeros": (bytes(10240), None),
        "huge size": (_with_size(b"77777777777\0"), None),
        "negative size": (_with_size(b"\xff" * 12), None),
        "size of 2^80": (_with_size(b"\x80\0\1" + bytes(9)), None),
        "size is not a number": (_with_size(b"zebra\0\0\0\0\0\0\0"), None),
        "negative pax size": (_extended(b"size=-5120\n"), None),
        "huge pax size": (_extended(b"size=99999999999999999999\n"), None),
        "pax size of text": (_extended(b"size=zebra\n"), None),
        "pax sparse": (_extended(b"GNU.sparse.size=999999999\n"), None),
        "names in names": (_names_in_names(), None),
    }


def _compressed() -> Archives:
    return {
        "compressed": (gzip.compress(bytes(10_000_000)), None),
        "compressed by bzip2": (bz2.compress(bytes(1_000_000)), None),
        "compressed by xz": (lzma.compress(bytes(1_000_000)), None),
        "bomb inside": (tar_of(("1.png", png(PLAIN, 2, size=(60_000, 60_000))), _LABEL), [1]),
        "text bomb inside": (tar_of(("1.png", png(PLAIN, 2, chunk(b"tEXt", b"k\0" + bytes(99)))), _LABEL), [1]),
    }


def add(tar: tarfile.TarFile, name: str, content: bytes, **fields: object) -> None:
    """Adds a member, with fields of its header set."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    tar.addfile(info, io.BytesIO(content))


def tar_of(*parts: tuple[str, bytes], form: int = tarfile.GNU_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for name, content in parts:
            add(tar, name, content)
    return buffer.getvalue()


def _linked(kind: bytes, target: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        add(tar, "1.png", PLAIN_PNG)
        add(tar, "1.cls", b"0")
        add(tar, "2.png", b"", type=kind, linkname=target)
        add(tar, "2.cls", b"1")
    return buffer.getvalue()


def _with_size(size: bytes) -> bytes:
    data = bytearray(tar_of(("1.png", PLAIN_PNG), ("1.cls", b"0")))
    data[124:136] = size
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    return bytes(data)


def _extended(text: bytes) -> bytes:
    """An archive whose first member has a header of the pax form."""
    record = b"%d %s" % (len(text) + 3, text)
    head = bytearray(tar_of(("pax", record))[:1024])
    head[156:157] = b"x"
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head[:512])
    return bytes(head) + tar_of(("1.png", PLAIN_PNG), ("1.cls", b"0"))


def _sparse() -> bytes:
    data = bytearray(tar_of(("1.png", PLAIN_PNG), ("1.cls", b"0")))
    data[156:157] = b"S"
    data[386:410] = b"00000000000\0" + b"00000001000\0"
    data[483:495] = b"00000100000\0"
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    return bytes(data)


def _names_in_names() -> bytes:
    """Thousands of headers that each promise a long name for the next one."""
    one = bytearray(tar_of(("@", b"x"))[:1024])
    one[156:157] = b"L"
    one[148:156] = b" " * 8
    one[148:156] = b"%06o\0 " % sum(one[:512])
    return bytes(one) * 3000
