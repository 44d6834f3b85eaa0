"""What the model page says of an entry's files and of the archives made of them: names, formats, sizes, checksums."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from microzoo.catalog.archive import Archive
from microzoo.catalog.card import Card, PublishedFile, Role
from microzoo.errors import SiteError
from microzoo.pages.text import grouped, quantity

FORMATS = {
    "tflite": "TensorFlow Lite, int8",
    "onnx": "ONNX, int8 (QDQ)",
    "c": "C99 source",
    "header": "C header",
    "golden": "NumPy archive",
    "wasm": "WebAssembly",
    "other": "other",
}
ROLES: dict[Role, str] = {
    "model": "the model",
    "model with float ends": "the model, float in and out",
    "kernels": "kernel library",
    "preparation": "from raw values to the input",
    "features": "from sound to raw values",
    "golden vectors": "inputs with the outputs they must give",
    "self test": "runs these inputs and says PASS",
}
"""What a file is for, in words for people."""


def checked_path(card: Card, index: int) -> str:
    """The path of a file of the card. Raises SiteError where it leaves the entry's folder."""
    file = card.files[index]
    parts = file.path.split("/")
    if ".." in parts or file.path.startswith("/") or "\\" in file.path or "" in parts:
        raise SiteError(
            f'{card.id}/card.json: files[{index}].path = "{file.path}" leaves the entry\'s folder', "build the entry again"
        )
    return file.path


def download(card: Card, index: int) -> dict[str, Any]:
    """A row of the table: address from the page, name to save under, format, bytes, checksum."""
    file = card.files[index]
    path = checked_path(card, index)
    return {
        "path": path,
        "href": f"files/{quote(path)}",
        "name": path.rpartition("/")[2],
        "format": _format(file) + (f": {ROLES[file.role]}" if file.role else ""),
        "bytes": grouped(file.bytes),
        "size": quantity(file.bytes, "bytes"),
        "sha256": file.sha256,
    }


def _format(file: PublishedFile) -> str:
    """In words; a card has no word of its own for what make reads."""
    return "makefile" if file.path.rpartition("/")[2] == "Makefile" else FORMATS[file.format]


def archived(archive: Archive) -> dict[str, Any]:
    """The same for an archive."""
    return {
        "href": f"files/{quote(archive.name)}",
        "name": archive.name,
        "format": archive.title,
        "bytes": grouped(len(archive.content)),
        "sha256": archive.sha256,
    }
