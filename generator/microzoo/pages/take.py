"""What the section on downloads says beside the table of files: the bundle, the commands to fetch, the versions there are."""

from __future__ import annotations

import shlex
from typing import Any
from urllib.parse import quote

from microzoo.catalog.card import Card
from microzoo.catalog.index import File, Version, Versions
from microzoo.catalog.store import CARD
from microzoo.catalog.versions import list_address
from microzoo.pages.text import grouped, percent, quantity

PLACEHOLDER = "https://ADDRESS-OF-THIS-SITE/"
"""In commands, where nobody has said where the site will lie; a script puts in where it was loaded from."""


def take_context(card: Card, versions: Versions, root: str, address: str) -> dict[str, Any]:
    """What `model_downloads.html` is rendered with as `take`.

    root: relative address of the site's root from the page; address: absolute one where it is known, else "".
    """
    current, *earlier = versions.versions
    base = f"{quote(address.rstrip('/'), safe='/:%@[]')}/" if address else PLACEHOLDER
    tflite = next((file for file in current.files if file.format == "tflite" and file.role in (None, "model")), None)
    return {
        "base": base,
        "known": bool(address),
        "version": current.version,
        "date": _day(current),
        "bundle": _offered(current.bundle, root),
        "card": _offered(_card(current), root),
        "sources": [_lines(file) for file in (current.bundle, tflite) if file is not None],
        "fetch": f"zoo fetch {card.id}@{current.version} --from ",
        "list": root + list_address(card.id),
        "earlier": [_earlier(card, version, root) for version in earlier],
    }


def _lines(file: File) -> dict[str, str]:
    """A command that downloads a file and checks it: words before and after the absolute address of the site."""
    name = shlex.quote(file.path.rpartition("/")[2])
    return {
        "title": "Everything, as one zip" if file.role == "bundle" else f"{file.path} alone",
        "name": name,
        "address": quote(file.address),
        "sha256": file.sha256,
    }


def _offered(file: File, root: str) -> dict[str, str]:
    return {
        "href": root + quote(file.address),
        "name": file.path,
        "bytes": grouped(file.bytes),
        "size": quantity(file.bytes, "bytes"),
        "sha256": file.sha256,
    }


def _earlier(card: Card, version: Version, root: str) -> dict[str, str]:
    return {
        "version": version.version,
        "date": _day(version),
        "accuracy": percent(version.accuracy.value, version.accuracy.n),
        "card": root + quote(_card(version).address),
        "bundle": root + quote(version.bundle.address),
        "bundle_name": version.bundle.path,
        "size": quantity(version.bundle.bytes, "bytes"),
        "wanted": f"{card.id}@{version.version}",
    }


def _card(version: Version) -> File:
    return next(file for file in version.files if file.path == CARD)


def _day(version: Version) -> str:
    return version.date[:10] if version.date else "no date kept"
