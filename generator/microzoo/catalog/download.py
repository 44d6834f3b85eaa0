"""One file of a source onto the disk: begun downloads go on, and what is there in the end has size and SHA-256 of the index."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import IO

from microzoo.catalog.files import writing
from microzoo.catalog.index import File
from microzoo.catalog.source import PassingError, Patience, Source, persistently
from microzoo.errors import FetchError

Progress = Callable[[int], None]
"""Called with the number of bytes that came, now and then; negative where some have to come again."""


def read_all(source: Source, address: str, most: int, patience: Patience) -> bytes:
    """A small file into memory. Raises FetchError where it is longer than `most` bytes."""
    content = bytearray()

    def attempt() -> None:
        content.clear()
        with source.open(address) as answer:
            if answer.total is not None and answer.total > most:
                raise _too_long(source, address, f"{answer.total:,}", most)
            for chunk in answer.chunks:
                content.extend(chunk)
                if len(content) > most:
                    raise _too_long(source, address, "more", most)
            _check_end(source, address, len(content), answer.total)

    persistently(patience, attempt)
    return bytes(content)


def download(source: Source, file: File, to: Path, patience: Patience, progress: Progress) -> None:
    """Puts a file at `to`; what lies there from an interrupted download is gone on from.

    Raises FetchError where the source gives other bytes than the index says, and then leaves nothing at `to`.
    """
    with writing(to):
        to.parent.mkdir(parents=True, exist_ok=True)
        begun = _size(to)
        progress(min(begun, file.bytes))
        if begun == file.bytes and is_whole(to, file):
            return
        if begun >= file.bytes:
            to.unlink(missing_ok=True)
            progress(-min(begun, file.bytes))
            begun = 0
        persistently(patience, lambda: _append(source, file, to, progress))
        if begun and not is_whole(to, file):  # what was begun may have been damaged, or of another file
            to.unlink()
            progress(-file.bytes)
            persistently(patience, lambda: _append(source, file, to, progress))
        if not is_whole(to, file):
            to.unlink()
            problem = f"{source.name}: {file.address} has another SHA-256 than the index says, {file.sha256}"
            raise FetchError(problem, "the host's copy is damaged or being renewed: try later, or another host")


def is_whole(path: Path, file: File) -> bool:
    """Whether a plain file with the size and SHA-256 of the index lies there."""
    if not _is_plain(path):
        return False
    with _open(path, os.O_RDONLY) as opened:
        if os.fstat(opened.fileno()).st_size != file.bytes:
            return False
        return hashlib.sha256(opened.read(file.bytes + 1)).hexdigest() == file.sha256


def _append(source: Source, file: File, to: Path, progress: Progress) -> None:
    """What is missing at the end of `to`, or all of it where the source knows no offsets."""
    begun = _size(to)
    if begun == file.bytes and begun:
        return
    with source.open(file.address, begun) as answer:
        if answer.total is not None and answer.total != file.bytes:
            raise _other_length(source, file, f"{answer.total:,}")
        with _open(to, os.O_WRONLY | os.O_CREAT) as opened:
            opened.truncate(answer.start)
            opened.seek(answer.start)
            if answer.start != begun:
                progress(answer.start - begun)
            came = answer.start
            for chunk in answer.chunks:
                came += len(chunk)
                if came > file.bytes:
                    opened.truncate(0)
                    raise _other_length(source, file, "more")
                opened.write(chunk)
                progress(len(chunk))
            opened.flush()
            os.fsync(opened.fileno())
    if came < file.bytes:
        problem = f"{source.name}: {file.address} ended after {came:,} of {file.bytes:,} bytes"
        raise PassingError(problem, "run the same command again: it goes on from what has come")


def _open(path: Path, flags: int) -> IO[bytes]:
    """A plain file, never through a link that somebody put there."""
    return os.fdopen(os.open(path, flags | os.O_NOFOLLOW, 0o644), "rb" if flags == os.O_RDONLY else "r+b")


def _is_plain(path: Path) -> bool:
    """Whether a plain file lies there: no folder, no link, and no pipe, which would be waited for."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _size(path: Path) -> int:
    """Bytes of a plain file; 0 where there is none."""
    return path.lstat().st_size if _is_plain(path) else 0


def _check_end(source: Source, address: str, came: int, total: int | None) -> None:
    if total is not None and came < total:
        raise PassingError(f"{source.name}: {address} ended after {came:,} of {total:,} bytes", "run the same command again")


def _too_long(source: Source, address: str, found: str, most: int) -> FetchError:
    return FetchError(f"{source.name}: {address} has {found} bytes, at most {most:,} are taken", "give the address of a site")


def _other_length(source: Source, file: File, found: str) -> FetchError:
    problem = f"{source.name}: {file.address} has {found} bytes, the index says {file.bytes:,}"
    return FetchError(problem, "the host's copy is damaged or being renewed: try later, or another host")
