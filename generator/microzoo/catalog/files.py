"""File system errors as ours: a full disk and a read-only folder are the user's to mend."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from microzoo.errors import StorageError


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """Turns an OSError while writing at `place` into a StorageError that says what to do."""
    try:
        yield
    except OSError as error:
        where, why = error.filename or place, error.strerror or str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageError(f"{where}: the disk is full", "make room and run the same command again") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise StorageError(f"{where}: cannot be written: {why}", "choose another folder") from error
        raise StorageError(f"{where}: cannot be written: {why}", "mend it and run the same command again") from error
