"""A stand-in for the Hub's HTTP API: what `huggingface_hub` uses to make a model, upload to it and download from it."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Model:
    private: bool
    files: dict[str, bytes] = field(default_factory=dict)
    commit: str = "0" * 40
    messages: list[str] = field(default_factory=list)


@dataclass
class Hub:
    """What the Hub holds, and the requests that it got."""

    url: str
    models: dict[str, Model] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)


@contextmanager
def serving() -> Iterator[Hub]:
    """Serves on a free port of 127.0.0.1 while it is entered."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub = Hub(f"http://127.0.0.1:{server.server_address[1]}")
    server.hub = hub  # pyright: ignore[reportAttributeAccessIssue]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def hub(self) -> Hub:
        return self.server.hub  # pyright: ignore[reportAttributeAccessIssue]

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        path, body = self.path.partition("?")[0], self._body()
        self.hub.requests.append(f"POST {path}")
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        if path.endswith("/info/lfs/objects/batch"):
            return self._json(
                {"transfer": "basic", "objects": [self._lfs(each) for each in json.loads(body)["objects"]]}
            )
        name, _, action = path.removeprefix("/api/models/").rpartition("/main")[0].rpartition("/")
        model = self.hub.models[name]
        if action == "" or name == "":
            return self._json({"error": "no such action"}, 404)
        if action == "preupload":
            files = json.loads(body)["files"]
            modes = [
                {"path": each["path"], "shouldIgnore": False,
                 "uploadMode": "lfs" if each["path"].endswith((".safetensors", ".webp")) else "regular"}
                for each in files
            ]  # fmt: skip
            return self._json({"files": modes})
        return self._commit(name, model, body)

    def do_PUT(self) -> None:
        self.hub.requests.append(f"PUT {self.path}")
        content = self._body()
        assert hashlib.sha256(content).hexdigest() == self.path.rpartition("/")[2]
        self.hub.blobs[self.path.rpartition("/")[2]] = content
        self._json({})

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.hub.requests.append(f"{self.command} {path}")
        if path.startswith("/api/models/"):
            name = path.removeprefix("/api/models/").partition("/revision/")[0]
            if name not in self.hub.models:
                return self._missing("RepoNotFound", 401)
            model = self.hub.models[name]
            return self._json(
                {"id": name, "modelId": name, "private": model.private, "sha": model.commit, "siblings": []}
            )
        name, _, rest = path.strip("/").partition("/resolve/")
        revision, _, file = rest.partition("/")
        if name not in self.hub.models:
            return self._missing("RepoNotFound", 401)  # as the Hub, which does not tell private models from absent ones
        model = self.hub.models[name]
        if revision not in ("main", model.commit):
            return self._missing("RevisionNotFound")
        if file not in model.files:
            return self._missing("EntryNotFound")
        content = model.files[file]
        headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": model.commit}
        self._send(200, content, headers, "application/octet-stream")

    do_HEAD = do_GET

    def _create(self, asked: dict[str, Any]) -> None:
        name = f"{asked['organization']}/{asked['name']}"
        url = {"url": f"{self.hub.url}/{name}"}
        if name in self.hub.models:
            return self._json({**url, "error": "You already created this model repo"}, 409)
        private = asked.get("private") or asked.get("visibility") == "private"
        self.hub.models[name] = Model(bool(private))
        return self._json(url)

    def _lfs(self, asked: dict[str, Any]) -> dict[str, Any]:
        upload = {"href": f"{self.hub.url}/blobs/{asked['oid']}"}
        return {**asked, "actions": {"upload": upload}}

    def _commit(self, name: str, model: Model, body: bytes) -> None:
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "header":
                model.messages.append(value["summary"])
            elif line["key"] == "file":
                model.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                model.files[value["path"]] = self.hub.blobs[value["oid"]]
        model.commit = hashlib.sha1(repr(sorted(model.files.items())).encode()).hexdigest()
        self._json(
            {"success": True, "commitOid": model.commit, "commitUrl": f"{self.hub.url}/{name}/commit/{model.commit}"}
        )

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _missing(self, code: str, status: int = 404) -> None:
        self._send(status, b"{}", {"X-Error-Code": code}, "application/json")

    def _json(self, content: Any, status: int = 200) -> None:
        self._send(status, json.dumps(content).encode(), {}, "application/json")

    def _send(self, status: int, content: bytes, headers: dict[str, str], kind: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Type": kind, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
