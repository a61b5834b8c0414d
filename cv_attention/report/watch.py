"""Serves the report of runs that go on, on this machine alone, and builds it again when they have changed."""

import contextlib
import http.server
import secrets
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

from cv_attention.report.read.opening import open_run
from cv_attention.report.write.build import build

_HOST = "127.0.0.1"
_EVERY = 2.0  # seconds between two looks at the files
_SHARE = 0.2  # of the time, at most, goes into building
_SHOWN = ("*.yaml", "*.json", "*.csv", "*.npz", "metrics/*/*.csv", "confusion/*.json", "maps/*.*", "shards/*.jsonl")
_SCRIPT = b'<script src="/watch.js"></script>\n</body>'
# The page's policy allows scripts of its own address, and no other requests.
_WATCH_JS = """"use strict";
const built = "$";
window.cvAttentionBuilt = (now) => {
  const writing = document.activeElement?.matches("input, textarea, select");
  if (now !== built && !writing && !document.querySelector("dialog[open]")) location.reload();
};
setInterval(() => {
  const script = document.createElement("script");
  script.src = `/built.js?${Date.now()}`;
  script.onload = script.onerror = () => script.remove();
  document.head.append(script);
}, 2000);
"""


class Watch:
    """Serves the report of one run or of several at an address of this machine, and keeps it up to date.

    The pages are built in a temporary folder: nothing is written into the runs. The page reloads itself once there is a
    newer one, where its address keeps what is shown, unless somebody is writing in one of its fields.

    Args:
        runs: Directories of runs or of saliency exports.
        port: Port at 127.0.0.1; 0 takes a free one.

    Attributes:
        address: The page's address.

    Raises:
        FileNotFoundError: if a directory does not exist.
        ValueError: if a directory is neither run nor export.
        OSError: if the port is taken.

    Examples:
        >>> import torch
        >>> from urllib.request import urlopen
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=2, width=4)
        >>> with cva.report.Recorder("runs/mine", torch.rand(2, 3, 16, 16)) as recorder:
        ...     recorder.log(model, epoch=0)
        ...     with cva.report.Watch(["runs/mine"]) as watch:
        ...         page = urlopen(watch.address).read()
        >>> b"mine" in page
        True
    """

    def __init__(self, runs: Sequence[Path | str], port: int = 0) -> None:
        self.runs = [Path(run) for run in runs]
        for run in self.runs:
            open_run(run)
        self._folder = Path(tempfile.mkdtemp(prefix="cv-attention-"))
        self._builds: list[Path] = []
        self._ended = threading.Event()
        try:
            self._seen = self._state()
            self._build()
            self._server = _Server((_HOST, port), self)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        self.address = f"http://{_HOST}:{self._server.server_address[1]}/"

    def __enter__(self) -> Self:
        """Starts serving and watching, in threads of their own."""
        for work in (self._server.serve_forever, self._follow):
            threading.Thread(target=work, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Stops both, and removes the pages."""
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def built(self) -> str:
        """Names the page that is served; another one has another name."""
        return self._builds[-1].name

    def file(self, name: str) -> Path | None:
        """Returns a file of the page or, for those who still look at it, of the page before; None if there is none.

        Args:
            name: Its path below the page's folder.
        """
        for folder in reversed(self._builds):
            with contextlib.suppress(OSError, ValueError):  # a nul in the name
                path = (folder / name).resolve()
                if path.is_relative_to(folder.resolve()) and path.is_file():
                    return path
        return None

    def _build(self) -> None:
        folder = self._folder / secrets.token_hex(4)
        build(self.runs, folder)
        self._builds.append(folder)
        for old in self._builds[:-2]:
            shutil.rmtree(old, ignore_errors=True)
        self._builds = self._builds[-2:]

    def _follow(self) -> None:
        """Builds the page whenever a file that it shows has changed."""
        wait = _EVERY
        while not self._ended.wait(wait):
            state = self._state()
            if state == self._seen:
                continue
            start = time.perf_counter()
            try:
                self._build()
                self._seen = state
            except Exception as error:  # a run that is being replaced, or a full disk: the page before stays
                print(f"report: {' '.join(str(error).split())}; the page is not updated", file=sys.stderr, flush=True)
            wait = max(_EVERY, (time.perf_counter() - start) / _SHARE)

    def _state(self) -> list[tuple[str, int, int]]:
        return [facts for run in self.runs for facts in _files(run)]


def _files(run: Path) -> Iterator[tuple[str, int, int]]:
    for pattern in _SHOWN:
        for path in sorted(run.glob(pattern)):
            with contextlib.suppress(OSError):  # removed meanwhile
                about = path.stat()
                yield str(path), about.st_size, about.st_mtime_ns


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], watch: Watch) -> None:
        self.watch = watch
        super().__init__(address, _Handler)


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers with files of the page, and only requests that were made to this machine by its own name."""

    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        watch, port = self.server.watch, self.server.server_address[1]
        if self.headers.get("Host") not in (f"{_HOST}:{port}", f"localhost:{port}"):  # a name that somebody points here
            self.send_error(403)
            return
        name = unquote(urlsplit(self.path).path).lstrip("/") or "index.html"
        if name == "watch.js":
            self._send(_WATCH_JS.replace("$", watch.built, 1).encode(), "text/javascript")
        elif name == "built.js":
            self._send(f'window.cvAttentionBuilt?.("{watch.built}");\n'.encode(), "text/javascript")
        elif (path := watch.file(name)) is not None:
            content = path.read_bytes()
            if name == "index.html":
                content = content.replace(b"</body>", _SCRIPT, 1)
            kinds = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
            self._send(content, kinds.get(path.suffix, "application/octet-stream"))
        else:
            self.send_error(404)

    def _send(self, content: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # the page was closed
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Prints nothing for each request."""
