"""Published zoos for the tests of fetching: written without MkDocs, and served by a host that can be told to misbehave."""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import patch

from microzoo.catalog.fetch import Fetched, fetch
from microzoo.catalog.former import move_versions
from microzoo.catalog.index import INDEX, Versions
from microzoo.catalog.source import Patience, WebSource
from microzoo.catalog.store import entries
from microzoo.catalog.versions import Published, publish
from microzoo.pages.table import page_of

PATIENT = Patience(timeout=20, tries=3, pause=0.01)
HASTY = Patience(timeout=0.3, tries=2, pause=0.01)
"""For hosts that say nothing; on a busy machine an honest one may take longer."""
LICENCE = "may be used\n"
ID = "digits/cortex-m0plus-8k/brisk-wren"
MODEL = "model.tflite"

Odd = Callable[["Answering"], None]
"""Answers one request in place of the host."""


def write_site(
    zoo: Path, site: Path, former: dict[str, Versions] | None = None, kept: Path | None = None, most: int | None = None
) -> Published:
    """What `zoo site` puts beside the pages."""
    made = publish(entries(zoo), former or {}, generator="microzoo test", licence=LICENCE, page=page_of, most=most)
    for address, content in (made.made | {address: path.read_bytes() for address, path in made.files.items()}).items():
        (site / address).parent.mkdir(parents=True, exist_ok=True)
        (site / address).write_bytes(content)
    if kept is not None:
        move_versions(kept, site)
    return made


class Answering(BaseHTTPRequestHandler):
    """Files of a folder with ranges, and what `Host.odd` has for an address first."""

    def __init__(self, host: Host, *arguments: object) -> None:
        self.host = host
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        address = self.path.lstrip("/")
        self.host.asked.append((address, self.headers.get("Range")))
        waiting = self.host.odd.get(address)
        odd = waiting.pop(0) if isinstance(waiting, list) and waiting else None if isinstance(waiting, list) else waiting
        with suppress(BrokenPipeError, ConnectionResetError):
            (odd or Answering.as_it_should)(self)

    def as_it_should(self) -> None:
        content = self.content()
        if content is None:
            return self.head(404)
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if match and self.host.knows_ranges:
            start = int(match[1])
            if start >= len(content):
                return self.head(416, {"Content-Range": f"bytes */{len(content)}"})
            headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
            self.head(206, headers | {"Content-Length": str(len(content) - start)})
            self.wfile.write(content[start:])
            return None
        self.head(200, {"Content-Length": str(len(content))})
        self.wfile.write(content)
        return None

    def content(self) -> bytes | None:
        place = self.host.folder / self.path.lstrip("/")
        return place.read_bytes() if place.is_file() else None

    def head(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        pass


class Host:
    """asked: (address, Range) of each request so far; odd: address -> an Odd for always, or a list of them, one a request."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[tuple[str, str | None]] = []
        self.odd: dict[str, Odd | list[Odd]] = {}
        self.knows_ranges = True
        self.url = ""
        self.stop = threading.Event()
        """Set when the test is over: what sends without end ends."""
        self.hangs = threading.Event()
        """Set by `hang` once it does."""


@contextmanager
def serving(folder: Path, certificate: tuple[Path, Path] | None = None) -> Iterator[Host]:
    """certificate: with its key, for https."""
    host = Host(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Answering, host))
    server.daemon_threads = False
    server.handle_error = lambda *_arguments: None  # type: ignore[method-assign]  # a client that hangs up is no news
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    host.url = f"http{'s' if certificate else ''}://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=partial(server.serve_forever, 0.01))
    thread.start()
    try:
        with patch.dict(os.environ, no_proxy="127.0.0.1"):
            yield host
    finally:
        host.stop.set()
        server.shutdown()
        server.server_close()
        thread.join()


def status(code: int, **headers: str) -> Odd:
    return lambda answering: answering.head(code, {name.replace("_", "-"): value for name, value in headers.items()})


def cut(most: int) -> Odd:
    """Promises all, sends `most` bytes and hangs up."""

    def odd(answering: Answering) -> None:
        content = answering.content() or b""
        answering.head(200, {"Content-Length": str(len(content))})
        answering.wfile.write(content[:most])

    return odd


def body(content: bytes, **headers: str) -> Odd:
    """Another body, without a length where none is given."""

    def odd(answering: Answering) -> None:
        answering.head(200, {name.replace("_", "-"): value for name, value in headers.items()})
        answering.wfile.write(content)

    return odd


def endless(answering: Answering) -> None:
    answering.head(200)
    while not answering.host.stop.is_set():
        answering.wfile.write(bytes(1 << 16))


def drip(answering: Answering) -> None:
    """A byte now and then, for ever."""
    answering.head(200, {"Content-Length": str(len(answering.content() or b""))})
    while not answering.host.stop.wait(0.02):
        answering.wfile.write(b" ")


def hang(answering: Answering) -> None:
    """Half of what was asked for, and then nothing."""
    content = answering.content() or b""
    answering.head(200, {"Content-Length": str(len(content))})
    answering.wfile.write(content[: len(content) // 2])
    answering.host.hangs.set()
    answering.host.stop.wait(60)


def header_drip(answering: Answering) -> None:
    """A header that never ends, a byte now and then."""
    answering.wfile.write(b"HTTP/1.1 200 OK\r\nA: ")
    while not answering.host.stop.wait(0.02):
        answering.wfile.write(b"b")


def patience_asked(answering: Answering) -> None:
    """100 Continue, for ever."""
    while not answering.host.stop.wait(0.01):
        answering.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def silence(answering: Answering) -> None:
    answering.host.stop.wait(5)


def reset(answering: Answering) -> None:
    """Hangs up without a word, or in the middle of the headers."""
    answering.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Le")
    answering.wfile.flush()
    answering.connection.shutdown(socket.SHUT_RDWR)


def get(host: Host, home: Path, wanted: str = ID, patience: Patience = PATIENT, **options: Any) -> Fetched:
    return fetch(wanted, WebSource(host.url, patience), home, patience=patience, **options)


def current(site: Path) -> dict[str, Any]:
    return json.loads((site / INDEX).read_text())["entries"][0]["current"]


def address_of(site: Path, path: str = MODEL) -> str:
    return next(file["address"] for file in current(site)["files"] if file["path"] == path)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def nothing_is_in_place(home: Path) -> bool:
    return not (home / ID).exists() and [path for path in home.glob("*") if not path.name.startswith(".fetch-")] == []


def change_index(site: Path, change: Callable[[dict[str, Any]], object]) -> None:
    index = json.loads((site / INDEX).read_text())
    change(index["entries"][0]["current"])
    (site / INDEX).write_text(json.dumps(index))
