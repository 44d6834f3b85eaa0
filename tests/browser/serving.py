"""A static host as anybody rents one: files over http, text compressed, on a free port of this machine. Counts what it sends."""

from __future__ import annotations

import functools
import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMPRESSED = (".html", ".css", ".js", ".mjs", ".json", ".svg", ".xml", ".txt", ".wasm", ".csv")
"""What GitHub Pages and its like compress on the way."""


@dataclass
class Host:
    """A site that is being served. sent: (path with query, status, bytes of the body as transferred), in order."""

    address: str
    sent: list[tuple[str, int, int]] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        """Of all bodies so far."""
        return sum(size for _, _, size in self.sent)


@functools.cache
def _compressed(path: Path, stamp: int) -> bytes:  # noqa: ARG001  # the stamp tells a changed file
    return gzip.compress(path.read_bytes(), 6)


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, *arguments: object, host: Host, **options: object) -> None:
        self.host = host
        super().__init__(*arguments, **options)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        path = path / "index.html" if path.is_dir() else path
        status = HTTPStatus.OK if path.is_file() else HTTPStatus.NOT_FOUND
        body, packed = b"", False
        if path.is_file():
            packed = path.suffix in COMPRESSED and "gzip" in self.headers.get("Accept-Encoding", "")
            body = _compressed(path, path.stat().st_mtime_ns) if packed else path.read_bytes()
        self.host.sent.append((self.path, int(status), len(body)))
        self.send_response(status)
        self.send_header("Content-Type", self.guess_type(path))
        self.send_header("Content-Length", str(len(body)))
        if packed:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  # the base class names it so
        """Silent: `sent` has it all."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that closes a connection early is no fault of the host."""


@contextmanager
def serving(folder: Path) -> Iterator[Host]:
    """Serves a folder until the block ends."""
    host = Host("")
    with _Server(("127.0.0.1", 0), functools.partial(_Handler, directory=str(folder), host=host)) as server:
        host.address = f"http://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield host
        finally:
            server.shutdown()
            thread.join()
