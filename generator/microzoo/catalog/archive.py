"""Zip archives whose bytes depend on nothing but what is in them: no clock, no compression library, no system."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from microzoo.catalog.golden import UNIX

_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Archive:
    """One archive to offer. name: of the file; title: for people."""

    name: str
    title: str
    content: bytes

    @cached_property
    def sha256(self) -> str:
        """Hex digest of the archive."""
        return hashlib.sha256(self.content).hexdigest()


def zipped(files: Mapping[str, bytes | str]) -> bytes:
    """A zip of path -> content, by path, nothing compressed: compressed bytes depend on the library that compresses."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(files):
            place = zipfile.ZipInfo(path, _DATE)
            place.create_system = UNIX
            place.external_attr = 0o644 << 16
            content = files[path]
            archive.writestr(place, content.encode("utf-8") if isinstance(content, str) else content)
    return packed.getvalue()
