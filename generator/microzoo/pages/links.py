"""Whether a rendered site holds together: links and anchors inside it lead somewhere, and nothing is loaded from elsewhere.

Reads the finished HTML, so it does not matter who wrote it. Links to other sites are left alone; they are not followed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from html import unescape
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

_TOKEN = re.compile(
    r"""<!--.*?-->|<(script|style|textarea|title)\b((?:"[^"]*"|'[^']*'|[^>"'])*)>.*?</\1\s*>|<([a-zA-Z][\w-]*)((?:"[^"]*"|'[^']*'|[^>"'])*)>""",
    re.DOTALL | re.IGNORECASE,
)
_ATTRIBUTE = re.compile(r"""([^\s=/"'>]+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+))?""")
_CSS_URL = re.compile(r"""url\(\s*["']?([^"')]+)|@import\s+["']([^"']+)""")

LOADING = {
    "script": ("src",), "img": ("src", "srcset"), "iframe": ("src",), "source": ("src", "srcset"), "video": ("src", "poster"),
    "audio": ("src",), "embed": ("src",), "object": ("data",), "use": ("href", "xlink:href"), "image": ("href", "xlink:href"),
}  # fmt: skip
"""Elements that load what an attribute names, without being asked."""
LOADING_RELATIONS = frozenset(
    {"stylesheet", "icon", "preload", "modulepreload", "prefetch", "preconnect", "dns-prefetch", "manifest"}
)


@dataclass(frozen=True)
class Reference:
    """One address in a page; `loads` where the browser fetches it by itself."""

    address: str
    loads: bool


@dataclass(frozen=True)
class Document:
    """Tags of one HTML file."""

    html: str

    @cached_property
    def tags(self) -> tuple[tuple[str, dict[str, str]], ...]:
        """(name, attributes) of each start tag, both in lower case; nothing of comments and the insides of scripts."""
        found = []
        for raw, raw_attributes, name, attributes in _TOKEN.findall(self.html):
            if raw or name:
                pairs = _ATTRIBUTE.findall(raw_attributes or attributes)
                found.append(((raw or name).lower(), {key.lower(): unescape(value.strip("\"'")) for key, value in pairs}))
        return tuple(found)

    @cached_property
    def anchors(self) -> frozenset[str]:
        """What a fragment may name."""
        ids = {attributes["id"] for _, attributes in self.tags if "id" in attributes}
        return frozenset(ids | {attributes["name"] for name, attributes in self.tags if name == "a" and "name" in attributes})

    @property
    def references(self) -> Iterator[Reference]:
        """All addresses in it."""
        for name, attributes in self.tags:
            if name == "link":
                relations = set(attributes.get("rel", "").lower().split())
                if "href" in attributes and "canonical" not in relations:
                    yield Reference(attributes["href"], bool(relations & LOADING_RELATIONS))
            elif name == "a" and "href" in attributes:
                yield Reference(attributes["href"], loads=False)
            for key in LOADING.get(name, ()):
                if key in attributes:
                    for part in attributes[key].split(",") if key == "srcset" else [attributes[key]]:
                        yield Reference(part.split()[0] if part.split() else "", loads=True)
            for match in _CSS_URL.finditer(attributes.get("style", "")):
                yield Reference(match[1] or match[2], loads=True)


def problems(site: Path) -> list[str]:
    """What is wrong with the site in a folder, a line each: page, address, and why. Empty: nothing."""
    pages = {
        path.relative_to(site).as_posix(): Document(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))
    }
    present = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    found: dict[str, None] = {}
    for page, document in pages.items():
        for reference in document.references:
            why = _wrong(page, reference, pages, present)
            if why:
                found[f'{page}: "{reference.address}": {why}'] = None
    for path in sorted(site.rglob("*.css")):
        for match in _CSS_URL.finditer(path.read_text(encoding="utf-8")):
            address = match[1] or match[2]
            if _is_remote(address):
                found[f'{path.relative_to(site).as_posix()}: "{address}": is loaded from another site'] = None
    return list(found)


def _wrong(page: str, reference: Reference, pages: dict[str, Document], present: set[str]) -> str | None:
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
    if parts.fragment and file in pages and unquote(parts.fragment) not in pages[file].anchors:
        return f"{file} has no such anchor"
    return None


def _resolve(page: str, path: str) -> str:
    """Path from the root of what a page's relative link names; a folder is its index.html."""
    if not path:
        return page
    start = PurePosixPath() if path.startswith("/") else PurePosixPath(page).parent
    steps: list[str] = []
    for step in (start / path.lstrip("/")).parts:
        if step == ".." and steps and steps[-1] != "..":
            steps.pop()
        else:
            steps.append(step)
    if path.endswith(("/", "/.", "..")) or path == ".":
        steps.append("index.html")
    return "/".join(steps)


def _is_remote(address: str) -> bool:
    return address.startswith("//") or urlsplit(address).scheme in ("http", "https", "ws", "wss", "ftp")
