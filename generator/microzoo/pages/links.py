"""Whether a rendered site holds together: links and anchors inside it lead somewhere, and nothing is loaded from elsewhere.

Reads the finished HTML and CSS, so it does not matter who wrote them. Links to other sites are left alone; they are not followed.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html import unescape
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from microzoo.pages.forked import begin

_TOKEN = re.compile(
    r"""<!--.*?-->|<(script|style|textarea|title)\b((?:"[^"]*"|'[^']*'|[^>"']++)*+)>(.*?)</\1\s*>|<([a-zA-Z][\w-]*+)([\s/](?:"[^"]*"|'[^']*'|[^>"']++)*+)>""",
    re.DOTALL | re.IGNORECASE,
)
_ATTRIBUTE = re.compile(r"""([^\s=/"'>]+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+))?""")
_ID = re.compile(r"""(?:^|\s)id\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)
_CSS_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_CSS_URL = re.compile(r"""url\(\s*(?:"([^"]+)"|'([^']+)'|([^"')\s]+))|@import\s+(?:"([^"]+)"|'([^']+)')""")

LOADING = {
    "script": ("src",), "img": ("src", "srcset"), "iframe": ("src",), "source": ("src", "srcset"), "video": ("src", "poster"),
    "audio": ("src",), "track": ("src",), "embed": ("src",), "object": ("data",), "input": ("src",),
    "use": ("href", "xlink:href"), "image": ("href", "xlink:href"), "feimage": ("href", "xlink:href"),
}  # fmt: skip
"""Elements that load what an attribute names, without being asked."""
LEADING = {
    "a": ("href", "xlink:href"), "area": ("href",), "form": ("action",), "button": ("formaction",),
    "blockquote": ("cite",), "q": ("cite",),
}  # fmt: skip
"""Elements that lead somewhere when asked."""
LOADING_RELATIONS = frozenset(
    {"stylesheet", "icon", "preload", "modulepreload", "prefetch", "preconnect", "dns-prefetch", "manifest"}
)
_PICTURES = frozenset({"og:image", "og:url", "twitter:image"})
_ADDRESSING = frozenset({*LOADING, *LEADING, "link", "meta"})


class Reference(NamedTuple):
    """One address in a page or style sheet; `loads` where the browser fetches it by itself."""

    address: str
    loads: bool


@dataclass(frozen=True)
class Document:
    """Tags of one HTML file."""

    html: str

    @cached_property
    def _raw(self) -> tuple[tuple[str, str, str], ...]:
        """(name in lower case, text of its attributes, style sheet inside) of each start tag; nothing of comments and scripts."""
        return tuple(
            ((raw or name).lower(), first or last, inside if raw.lower() == "style" else "")
            for raw, first, inside, name, last in _TOKEN.findall(self.html)
            if raw or name
        )

    @cached_property
    def anchors(self) -> frozenset[str]:
        """What a fragment may name."""
        found = set()
        first = ' id="'
        for name, text, _ in self._raw:
            # Nearly all of them come first in their tag: no search for those.
            if text.startswith(first):
                found.add(text[len(first) : text.index('"', len(first))])
            elif "id" in text.lower():
                found.update(match[1] or match[2] or match[3] for match in _ID.finditer(text))
            if name == "a" and "name" in text:
                found.add(_attributes(text).get("name", ""))
        return frozenset(map(unescape, found - {""}))

    @property
    def references(self) -> Iterator[Reference]:
        """All addresses in it."""
        for name, text, css in self._raw:
            if css:
                yield from references_of_css(css)
            if name in _ADDRESSING or "style" in text:
                yield from _references(name, _attributes(text))


def _references(name: str, attributes: dict[str, str]) -> Iterator[Reference]:
    for key in LEADING.get(name, ()):
        if key in attributes:
            yield Reference(attributes[key], loads=False)
    for key in LOADING.get(name, ()):
        if key in attributes:
            for part in attributes[key].split(",") if key == "srcset" else [attributes[key]]:
                yield Reference(part.split()[0] if part.split() else "", loads=True)
    if name == "link":
        relations = set(attributes.get("rel", "").lower().split())
        if "href" in attributes and "canonical" not in relations:
            yield Reference(attributes["href"], bool(relations & LOADING_RELATIONS))
    if name == "meta":
        content = attributes.get("content", "")
        if {attributes.get("property"), attributes.get("name")} & _PICTURES:
            yield Reference(content, loads=False)
        if attributes.get("http-equiv", "").lower() == "refresh" and "=" in content:
            yield Reference(content.split("=", 1)[1].strip("\"' "), loads=True)
    if "style" in attributes:
        yield from references_of_css(attributes["style"])


def references_of_css(css: str) -> Iterator[Reference]:
    """All addresses in a style sheet; each is loaded."""
    if "url(" in css or "@import" in css:
        for groups in _CSS_URL.findall(_CSS_COMMENT.sub("", css)):
            yield Reference("".join(groups), loads=True)


def _attributes(text: str) -> dict[str, str]:
    return {key.lower(): unescape(value.strip("\"'")) for key, value in _ATTRIBUTE.findall(text)}


def problems(site: Path) -> list[str]:
    """What is wrong with the site in a folder, a line each: page or style sheet, address, and why. Empty: nothing."""
    html = sorted(site.rglob("*.html"))
    pages = _Pages({path.relative_to(site).as_posix(): path for path in html})
    present = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    names, half = list(pages.paths), _half([path.stat().st_size for path in html])
    rest = begin(lambda: _problems_of(names[half:], pages, present))
    found = dict.fromkeys([*_problems_of(names[:half], pages, present), *rest()])
    for path in sorted(site.rglob("*.css")):
        name = path.relative_to(site).as_posix()
        for reference in references_of_css(path.read_text(encoding="utf-8")):
            if why := _wrong(name, reference, pages, present):
                found[f'{name}: "{reference.address}": {why}'] = None
    return list(found)


def problems_apart(site: Path) -> list[str]:
    """The same from a process of its own, which may use two cores, as one that has threads must not."""
    command = [sys.executable, "-m", "microzoo.pages.links", str(site)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
    found: list[str] = json.loads(done.stdout)
    return found


@dataclass(frozen=True)
class _Pages:
    """The HTML files of a site by their path from its root, read when they are asked for."""

    paths: dict[str, Path]
    read: dict[str, Document] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return name in self.paths

    def __getitem__(self, name: str) -> Document:
        if name not in self.read:
            self.read[name] = Document(self.paths[name].read_text(encoding="utf-8"))
        return self.read[name]


def _half(sizes: Sequence[int]) -> int:
    """How many of the first take half of all."""
    sums = list(accumulate(sizes))
    return bisect_left(sums, sums[-1] / 2) if sums else 0


def _problems_of(names: Sequence[str], pages: _Pages, present: set[str]) -> list[str]:
    """What is wrong with these pages."""
    found: dict[str, None] = {}
    judged: dict[tuple[str, Reference], str | None] = {}
    for page in names:
        # Pages of one folder share most of their links; one within the page, or from the page for a missing address, is its own.
        folder = page if page == "404.html" else page.rpartition("/")[0] + "/"
        for reference in pages[page].references:
            key = (page if reference.address.strip()[:1] in ("", "#") else folder, reference)
            if key not in judged:
                judged[key] = _wrong(page, reference, pages, present)
            if why := judged[key]:
                found[f'{page}: "{reference.address}": {why}'] = None
    return list(found)


def _wrong(page: str, reference: Reference, pages: _Pages, present: set[str]) -> str | None:
    address = reference.address.strip()
    if _is_remote(address):
        return "is loaded from another site" if reference.loads else None
    parts = urlsplit(address)
    if parts.scheme:
        return None if parts.scheme in ("mailto", "tel", "data") else f'the scheme "{parts.scheme}" has no place here'
    # The page for a missing address may be shown at any depth, so its links start at the root.
    if parts.path.startswith("/") and page != "404.html":
        return "starts with a slash, which leads nowhere from a file"
    file = _resolve(page, unquote(parts.path))
    if file not in present:
        return "no such file"
    if parts.fragment and file in pages and not _leads(unquote(parts.fragment), pages[file]):
        return f"{file} has no such anchor"
    return None


def _leads(fragment: str, document: Document) -> bool:
    """Whether a fragment names an anchor, or holds the state of a page ("?dataset=digits") that a script of it reads."""
    return fragment in document.anchors or (fragment.startswith("?") and "<script" in document.html)


def _resolve(page: str, path: str) -> str:
    """Path from the root of what a page's relative link names; a folder is its index.html."""
    if not path:
        return page
    start = "" if path.startswith("/") else page.rpartition("/")[0]
    steps: list[str] = []
    for step in f"{start}/{path}".split("/"):
        if step in ("", "."):
            continue
        if step == ".." and steps and steps[-1] != "..":
            steps.pop()
        else:
            steps.append(step)
    if path.endswith(("/", "/.", "..")) or path == ".":
        steps.append("index.html")
    return "/".join(steps)


def _is_remote(address: str) -> bool:
    return address.startswith("//") or urlsplit(address).scheme in ("http", "https", "ws", "wss", "ftp")


if __name__ == "__main__":
    print(json.dumps(problems(Path(sys.argv[1]))))
