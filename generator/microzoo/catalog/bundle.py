"""Everything of an entry in one zip: its files, the layouts for build systems, licences, and a list of checksums.

Made where it is offered, as the archives of one layout are: the same entry gives the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from microzoo.catalog.archive import Archive, zipped
from microzoo.catalog.card import Card
from microzoo.catalog.layouts import TITLES, laid_out

TITLE = "Bundle"
SUMS, LICENCE, DATA_LICENCE = "SHA256SUMS", "LICENSE", "DATA-LICENSE.txt"
_MEANINGS = {
    "tflite": "for TensorFlow Lite Micro and LiteRT",
    "onnx": "for ONNX Runtime",
    "c": "C99",
    "header": "its header",
    "golden": "inputs with the outputs they must give, for NumPy",
    "wasm": "that C for the browser",
    "other": "",
}


def bundle(card: Card, version: str, files: Mapping[str, bytes], licence: str) -> Archive:
    """One zip with one folder in it, named after the entry and its version.

    files: path -> bytes of all files of the entry, card.json included; licence: the text under which code and model are given, ""
    where there is none.
    Raises CatalogError where a file for a layout is not in `files`.
    """
    top = f"{card.id.replace('/', '_')}-{version}"
    layouts = laid_out(card, files)
    content: dict[str, bytes] = dict(files)
    content |= {f"{layout}/{path}": text.encode() for layout, texts in layouts.items() for path, text in texts.items()}
    content["README.md"] = _readme(card, version, tuple(layouts), licence).encode()
    if licence:
        content[LICENCE] = licence.encode()
    content[DATA_LICENCE] = _data_licence(card).encode()
    content[SUMS] = "".join(f"{hashlib.sha256(content[path]).hexdigest()}  {path}\n" for path in sorted(content)).encode()
    return Archive(f"{top}.zip", TITLE, zipped({f"{top}/{path}": text for path, text in content.items()}))


def _readme(card: Card, version: str, layouts: tuple[str, ...], licence: str) -> str:
    head, limits = card.headline, {limit.name: limit for limit in card.limits}
    rows = [f"| `{file.path}` | {file.bytes:,} | {_meaning(file.format, file.role)} |" for file in card.files]
    needs = [
        f"- {words}: {limits[name].need:,.0f} of {limits[name].have:,.0f} {limits[name].unit} ({limits[name].kind})"
        for name, words in (("ram", "RAM"), ("flash", "Flash"))
        if name in limits
    ]
    selftest = next((file.path for file in card.files if file.format == "c" and file.role == "self test"), None)
    parts = [
        f"# {card.id}",
        f"Version {version}: an int8 network that classifies {_plain(card.dataset.title)}, for {_plain(card.target.title)}.",
        "\n".join([f"- Test accuracy: {head.correct:,} of {head.n:,}, {card.headline_file} in {_plain(head.runtime)}", *needs]),
        "card.json has every figure with its kind and its method.",
        "## Files",
        "\n".join(["| File | Bytes | What it is |", "|---|---|---|", *rows]),
    ]
    if layouts:
        parts += ["\n".join(f"- `{layout}/`: the C as {_article(TITLES[layout])}" for layout in layouts)]
    check = ["`sha256sum -c SHA256SUMS` in this folder compares every file (macOS: `shasum -a 256 -c SHA256SUMS`)."]
    if selftest:
        check += [f"`make` in `{selftest.rpartition('/')[0]}` runs the model on its golden inputs and says PASS."]
    parts += ["## Check it", "\n".join(check)]
    data = f"The data that it was trained on: {_plain(card.dataset.licence)}, see `{DATA_LICENCE}`."
    parts += ["## Licence", f"Code and model: see `{LICENCE}`. {data}" if licence else data]
    return "\n\n".join(parts) + "\n"


def _data_licence(card: Card) -> str:
    data = card.dataset
    return (
        f"The model was trained on {_plain(data.title)}.\n\nLicence: {_plain(data.licence)}\n{_plain(data.licence_url)}\n\n"
        f"Cite: {_plain(data.citation)}\n"
    )


def _meaning(format_: str, role: str | None) -> str:
    return "; ".join(words for words in (role, _MEANINGS[format_]) if words)


def _article(title: str) -> str:
    return f"{'an' if title[0] in 'AEIO' else 'a'} {title}"


def _plain(text: str) -> str:
    """One line without control characters."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())
