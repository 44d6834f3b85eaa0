"""One build at a time on one zoo."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from microzoo.catalog.files import writing
from microzoo.errors import LockedError, StorageError

LOCK = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds the lock of a folder, which is created where missing. Raises LockedError, saying who holds it.

    The kernel drops the lock with the process, however that ends; the file that stays behind means nothing by itself.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("a+", encoding="utf-8")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise LockedError(f"{folder}: in use by {_holder(file.read())}", "wait for it, or choose another folder") from error
        except OSError as error:
            raise StorageError(f"{folder}: cannot be locked: {error.strerror}", "choose a folder on a local disk") from error
        file.seek(0)
        file.truncate()
        with writing(folder):
            started = datetime.now(UTC).isoformat(timespec="seconds")
            json.dump({"pid": os.getpid(), "host": socket.gethostname(), "since": started}, file)
            file.flush()
        yield


def _holder(text: str) -> str:
    try:
        who = json.loads(text)
        return f"process {who['pid']} on {who['host']} since {who['since']}"
    except (ValueError, KeyError, TypeError):
        return "another process"
