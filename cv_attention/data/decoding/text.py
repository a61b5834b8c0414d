"""Decodes text files, whose encoding a byte order mark says, or an option."""

import codecs

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before that of UTF-16, with which it begins
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),  # what Excel calls Unicode text
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_KINDS = {
    b"PK\x03\x04": "an Excel workbook or a ZIP archive; save it as CSV",
    b"\xd0\xcf\x11\xe0": "an Excel workbook; save it as CSV",
    b"\x1f\x8b": "packed by gzip; unpack it first",
    b"PAR1": "a Parquet file; call it .parquet",
    b"SQLite": "a database; export its table as CSV",
}
_LOOKED_AT = 400  # bytes


def decode_text(content: bytes, place: str, encoding: str | None = None, option: str = "") -> str:
    """Decodes the content of a text file, without its byte order mark.

    Args:
        content: The content.
        place: Names the file in a message.
        encoding: Its encoding, as Python calls it. None takes what a byte order mark says; UTF-16, if every other byte
            of the beginning is zero; or else UTF-8.
        option: Option that sets `encoding`, for messages; empty if there is none.

    Raises:
        ValueError: if the content is not text of this encoding, or there is no such encoding; names the line.

    Examples:
        >>> from cv_attention.data.decoding.text import decode_text
        >>> decode_text("path;größe".encode("utf-16"), "'a.csv'")
        'path;größe'
    """
    name = encoding or encoding_of(content)
    try:
        return content.decode(name).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        kind = next((kind for magic, kind in _KINDS.items() if content.startswith(magic)), None)
        if kind is not None:
            raise ValueError(f"{place} is not text, but {kind}") from None
        line = content[: error.start].decode(name, "ignore").count("\n") + 1
        hint = f", or set {option}, such as cp1252 for Excel's CSV on Windows" if option and name == "utf-8" else ""
        called = encoding or name.removesuffix("-sig").removesuffix("-le").removesuffix("-be").upper()
        raise ValueError(f"{place}, line {line} is not {called} (byte {error.start}); save it as UTF-8{hint}") from None
    except (LookupError, ValueError) as error:
        reason = " ".join(str(error).split())[:100]
        raise ValueError(
            f"{option or 'encoding'}: {reason}; expected a name such as cp1252, utf-16 or gb18030"
        ) from None


def encoding_of(content: bytes) -> str:
    """Returns the encoding of a text file, by its beginning: UTF-8, UTF-16 or UTF-32."""
    for mark, name in _MARKS:
        if content.startswith(mark):
            return name
    head = content[:_LOOKED_AT]
    first, second = head[::2].count(0), head[1::2].count(0)
    if max(first, second) > len(head) / 4 and not min(first, second):
        return "utf-16-le" if second else "utf-16-be"
    return "utf-8"
