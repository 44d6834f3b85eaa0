"""Where a published zoo is read from: a folder, or any static host over http or https. An address in, bytes from an offset out.

Nothing that a host says is believed: redirects stay on http and https, answers stop at the length that the caller allows, and a
host that sends next to nothing is left.
"""

from __future__ import annotations

import http.client
import os
import re
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO, Protocol
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

import microzoo
from microzoo.catalog.index import INDEX
from microzoo.errors import FetchError

MOST_REDIRECTS = 5
CHUNK = 1 << 16
AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers of a host that may be another in a moment."""
_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")


class PassingError(FetchError):
    """A failure that may be gone in a moment: worth another try."""


@dataclass(frozen=True)
class Patience:
    """How long a host is waited for. timeout: seconds without an answer; least_rate: bytes a second, counted over `timeout`."""

    timeout: float = 30.0
    tries: int = 4
    pause: float = 0.5
    """Seconds before the second try; twice as long before each further one."""
    least_rate: float = 256.0


@dataclass(frozen=True)
class Answer:
    """What a source gives for one address. start: the offset of the first byte, 0 where the source knows no offsets."""

    start: int
    total: int | None
    """Bytes of the whole, as the source says."""
    chunks: Iterator[bytes]


class Source(Protocol):
    """One published zoo. `name` is what people gave, without the address of a file."""

    name: str

    def open(self, address: str, start: int = 0) -> AbstractContextManager[Answer]:
        """What lies at an address that `names.path_problem` finds fine. Raises FetchError, or PassingError where to try again."""
        ...


def source_of(given: str, patience: Patience | None = None) -> Source:
    """A source by what people give: an http(s) address, a file:// address or a folder; its index.json may be named instead.

    Raises FetchError where it is none of these.
    """
    if given.lower().startswith("file:"):
        parts = _split(given, given)
        if parts.netloc not in ("", "localhost"):
            raise FetchError(f"{given}: names another machine", "give a folder of this one")
        return FolderSource(Path(unquote(parts.path)))
    if "://" in given:
        return WebSource(given, patience or Patience())
    return FolderSource(Path(given).expanduser())


class FolderSource:
    """A site in a folder."""

    def __init__(self, folder: Path) -> None:
        """folder: of index.json, or that file itself."""
        self._folder = folder.parent if folder.name == INDEX else folder
        self.name = str(self._folder)

    @contextmanager
    def open(self, address: str, start: int = 0) -> Iterator[Answer]:
        """As `Source.open`."""
        path = self._folder / address
        if not path.is_file():
            raise FetchError(f"{path}: no such file", f"give the folder of a site, which has {INDEX}")
        with _reading(path):
            file = path.open("rb")
        with file:
            file.seek(start)
            yield Answer(start, os.fstat(file.fileno()).st_size, self._chunks(file, path))

    def _chunks(self, file: IO[bytes], path: Path) -> Iterator[bytes]:
        while True:
            with _reading(path):
                chunk = file.read(CHUNK)
            if not chunk:
                return
            yield chunk


class WebSource:
    """A site on a static host. A host that knows no ranges is read from the start; proxies are taken from the environment."""

    def __init__(self, address: str, patience: Patience) -> None:
        """address: of the folder of index.json, or of that file. Raises FetchError where it is no plain http(s) address."""
        parts = _split(address, address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise FetchError(f"{address}: only http and https addresses are fetched", "give one of these, or a folder")
        if parts.username or parts.query or parts.fragment or not re.fullmatch(r"[!-~]+", address):
            raise FetchError(
                f"{parts.scheme}://{parts.hostname}...: has a user, a query or odd characters", "give a plain address"
            )
        folder = re.sub(r"(^|/)index\.(json|html)$", r"\1", parts.path)
        self.name = f"{parts.scheme}://{parts.netloc}{quote(folder, safe='/%')}".rstrip("/") + "/"
        self._patience = patience
        self._opener = urllib.request.OpenerDirector()
        # None for redirects and errors, which are looked at here, and none for files and FTP.
        for handler in (urllib.request.ProxyHandler(), _Http(), _Https()):
            self._opener.add_handler(handler)

    @contextmanager
    def open(self, address: str, start: int = 0) -> Iterator[Answer]:
        """As `Source.open`."""
        where = urljoin(self.name, quote(address))
        answer = self._get(where, start)
        if start and not _continues(answer, start):
            answer.close()  # the host has other bytes than were begun, or does not say which these are
            start, answer = 0, self._get(where, 0)
        with answer:
            begins = start if answer.status == http.client.PARTIAL_CONTENT else 0
            yield Answer(begins, _total(answer, begins), self._chunks(answer, where))

    def _get(self, where: str, start: int) -> http.client.HTTPResponse:
        """The answer after redirects: 200 or, where a start was asked for, 206 or 416."""
        asked = where
        for _ in range(MOST_REDIRECTS + 1):
            answer = self._once(asked, start)
            encoding = answer.headers.get("Content-Encoding", "identity").lower()
            if answer.status in (301, 302, 303, 307, 308):
                asked = _redirected(where, asked, answer.headers)
                answer.close()
                continue
            if answer.status == http.client.OK or (start and answer.status in (206, 416)):
                if encoding != "identity":
                    answer.close()
                    raise FetchError(f"{where}: is sent as {encoding}, though unchanged bytes were asked for", "use another host")
                return answer
            answer.close()
            kind = PassingError if answer.status in AGAIN else FetchError
            remedy = "run the same command again later" if kind is PassingError else "see that the address is that of a site"
            raise kind(f"{where}: the host answers {answer.status} {_said(answer.reason)}", remedy)
        raise FetchError(f"{where}: is redirected more than {MOST_REDIRECTS} times", "give the final address")

    def _once(self, where: str, start: int) -> http.client.HTTPResponse:
        headers = {"User-Agent": f"microzoo/{microzoo.__version__}", "Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        request = urllib.request.Request(where, headers=headers)  # noqa: S310  the scheme was checked
        try:
            answer = self._opener.open(request, timeout=self._patience.timeout)
        except urllib.error.URLError as error:
            if isinstance(error.reason, ssl.SSLCertVerificationError):
                raise FetchError(
                    f"{where}: {error.reason.verify_message}", "the host's certificate is not to be trusted"
                ) from error
            raise _passing(where, str(error.reason)) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _passing(where, str(error) or repr(error)) from error
        assert isinstance(answer, http.client.HTTPResponse)
        return answer

    def _chunks(self, answer: http.client.HTTPResponse, where: str) -> Iterator[bytes]:
        window_began, received = time.monotonic(), 0
        while True:
            try:
                chunk = answer.read1(CHUNK)
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise _passing(where, str(error) or repr(error)) from error
            if not chunk:
                return
            received += len(chunk)
            elapsed = time.monotonic() - window_began
            if elapsed >= self._patience.timeout:
                if received < self._patience.least_rate * elapsed:
                    raise _passing(where, f"only {received} bytes came in {elapsed:.0f} s")
                window_began, received = time.monotonic(), 0
            yield chunk


class _PromptHttp(http.client.HTTPConnection):
    """Its timeout holds for the whole head of an answer, not for each part of it."""

    def getresponse(self) -> http.client.HTTPResponse:
        return _promptly(self, super().getresponse)


class _PromptHttps(http.client.HTTPSConnection):
    """The same over TLS, with the certificates that the system trusts."""

    def getresponse(self) -> http.client.HTTPResponse:
        return _promptly(self, super().getresponse)


class _Http(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_PromptHttp, req)


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_PromptHttps, req)


def _promptly(
    connection: http.client.HTTPConnection, respond: Callable[[], http.client.HTTPResponse]
) -> http.client.HTTPResponse:
    """What `respond` gives, or TimeoutError once the connection's timeout has passed, however many bytes came until then."""
    late = threading.Event()

    def hang_up() -> None:
        late.set()
        if connection.sock is not None:
            with suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(connection.timeout or 0.0, hang_up)
    timer.start()
    try:
        answer = respond()
    except (OSError, http.client.HTTPException):
        if late.is_set():
            raise TimeoutError("timed out") from None
        raise
    finally:
        timer.cancel()
    if late.is_set():
        answer.close()
        raise TimeoutError("timed out")
    return answer


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turns an OSError of reading into a FetchError; one of writing what was read is not to pass through here."""
    try:
        yield
    except OSError as error:
        raise FetchError(f"{path}: cannot be read: {error.strerror}", "see that the folder can be read") from error


def persistently(patience: Patience, attempt: Callable[[], None]) -> None:
    """Runs `attempt` until it does not raise PassingError, at most `patience.tries` times; raises the last one."""
    for left in range(patience.tries - 1, -1, -1):
        try:
            return attempt()
        except PassingError:
            if not left:
                raise
            time.sleep(patience.pause * 2 ** (patience.tries - 1 - left))
    return None


def _continues(answer: http.client.HTTPResponse, start: int) -> bool:
    """Whether an answer to a request with a range can be used: all of it, or from there on."""
    if answer.status == http.client.OK:
        return True
    found = _RANGE.fullmatch(answer.headers.get("Content-Range", "").strip())
    return answer.status == http.client.PARTIAL_CONTENT and found is not None and int(found[1]) == start


def _total(answer: http.client.HTTPResponse, begins: int) -> int | None:
    found = _RANGE.fullmatch(answer.headers.get("Content-Range", "").strip()) if begins else None
    if found is not None and found[3] != "*":
        return int(found[3])
    return None if answer.length is None else begins + answer.length


def _redirected(first: str, asked: str, headers: Message) -> str:
    try:
        location = urljoin(asked, headers.get("Location", ""))
    except ValueError:
        location = headers.get("Location", "")
    parts = _split(location, f"{first}: is redirected to {location[:200]!r}")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or not location.isascii():
        raise FetchError(f"{first}: is redirected to {location[:200]!r}", "only http and https addresses are followed")
    if parts.scheme == "http" and urlsplit(asked).scheme == "https":
        raise FetchError(f"{first}: is redirected from https to {location[:200]!r}", "give an address that stays on https")
    return quote(location, safe="%/:?=&+,;@!$'()*~[]-._")


def _split(address: str, words: str) -> SplitResult:
    """Its parts. words: what the error begins with. Raises FetchError where brackets in it are no IPv6 address."""
    try:
        return urlsplit(address)
    except ValueError as error:
        raise FetchError(f"{words}: is no address: {error}", "only http and https addresses are fetched") from error


def _said(words: str) -> str:
    """What a host says, on one line and without what a terminal would obey."""
    return "".join(character if character.isprintable() else " " for character in words[:200]).strip()


def _passing(where: str, why: str) -> PassingError:
    return PassingError(f"{where}: {_said(why)}", "run the same command again: it goes on from what has come")
