"""card.json and build.json of an entry as a page with numbered lines and an anchor a line, so that figures can point at them.

The page stands by itself, outside MkDocs: 200 of them cost a second, not minutes. An anchor is the path of a value, with dots:
`figures.macs.value`, `files.0.sha256`, `build.seconds`. Numbers in a list have that of the list.
"""

from __future__ import annotations

import json
import re
from html import escape

from microzoo.catalog.store import BUILD, CARD, Entry
from microzoo.errors import SiteError

NAME = "card.html"
"""Beside the page of the model."""
_BARE = "search.points."
_TEXT = r'"(?:[^"\\\n]|\\.)*"'
_LAID_OUT = re.compile(rf"\{{\n(?: +(?:{_TEXT}: )?(?:[{{\[]|[}}\]],?|(?:{_TEXT}|[-+.\w]+|\{{\}}|\[\]),?)\n)*\}}\s*")
"""An object in JSON with one value, one opening or one closing bracket a line."""


def card_page(entry: Entry, root: str, title: str) -> str:
    """The whole document. root: relative address of the site's root; title: of the model's page.

    Raises SiteError where a file is missing or is no JSON.
    """
    parts = [f'<h2>{CARD}</h2>\n<p><a href="files/{CARD}">The file itself</a></p>\n{listing(_read(entry, CARD), "")}']
    if entry.build is not None:
        parts.append(
            f'<h2>{BUILD}</h2>\n<p><a href="files/{BUILD}">The file itself</a></p>\n{listing(_read(entry, BUILD), "build.")}'
        )
    shown = escape(title)
    return f"""<!doctype html>
<html lang="en" data-root="{escape(root)}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>The card of {shown} - Microzoo</title>
<link rel="icon" href="{root}assets/icon.svg">
<link rel="stylesheet" href="{root}assets/microzoo.css">
<link rel="stylesheet" href="{root}assets/trust.css">
</head>
<body class="mz-card-page" data-md-color-scheme="system">
<script src="{root}assets/scheme.js"></script>
<main>
<p><a href="index.html">{shown}</a></p>
<h1>The card, line by line</h1>
<p>All figures of the model's page stand here, and each links to its line. <a href="{root}cards.html">How to read a card</a>.</p>
{"".join(parts)}
</main>
</body>
</html>
"""


def is_plain(key: str) -> bool:
    """Whether a key may be part of an anchor: ASCII letters, digits, - and _."""
    return key.isascii() and key.replace("_", "").replace("-", "").isalnum()


def listing(text: str, prefix: str) -> str:
    """JSON as an ordered list of lines. text: an object, laid out anew if it is not; prefix: goes before every anchor.

    Lines that begin with a key have an anchor, and those that begin an object in a list. A key that is no plain name gives none,
    nor does anything inside it; nor do the fields of a search's points, which are most of a card.
    """
    if not _LAID_OUT.fullmatch(text):
        text = json.dumps(json.loads(text), indent=1, ensure_ascii=False)
    written = []
    # What is open, outermost first: the anchor that its members continue (None: they get none), and the number of the member
    # that was read last in a list; None in an object.
    anchors: list[str | None] = []
    numbers: list[int | None] = []
    for line in escape(text.strip(), quote=False).split("\n"):
        content = line.lstrip(" ")
        if content[0] in "}]":
            anchors.pop()
            numbers.pop()
            written.append(f"<li>{line}")
            continue
        # No text ends in a bracket: it ends in its quotation mark.
        opens = content[-1] in "{["
        anchor = None
        if anchors and (within := anchors[-1]) is not None:
            number = numbers[-1]
            if number is None:
                key = content[1 : content.index('"', 1)]
                if is_plain(key):
                    anchor = within + key
            elif opens:
                anchor = f"{within}{number}"
                numbers[-1] = number + 1
        written.append(f"<li>{line}" if anchor is None else f'<li id="{anchor}">{line}')
        if opens:
            bare = anchor is None or anchor.startswith(_BARE)
            anchors.append(None if bare and anchors else prefix if anchor is None else f"{anchor}.")
            numbers.append(None if content[-1] == "{" else 0)
    return '<ol class="mz-lines">\n' + "\n".join(written) + "\n</ol>"


def _read(entry: Entry, name: str) -> str:
    try:
        text = (entry.folder / name).read_text(encoding="utf-8")
        if not isinstance(json.loads(text), dict):
            raise ValueError("holds no object")
    except (OSError, ValueError) as error:
        raise SiteError(f"{entry.card.id}: {name}: {error}", "restore it or build the entry again") from error
    return text
