"""Names the errors of connections to the Hub, whichever library carries them."""

from importlib import import_module
from importlib.util import find_spec


def transport_errors() -> tuple[type[Exception], ...]:
    """Returns what `huggingface_hub` lets through where it cannot connect: version 1 uses httpx, version 2 httpx2."""
    return tuple(import_module(name).HTTPError for name in ("httpx", "httpx2") if find_spec(name))
