"""Which names a published zoo may use: IDs, paths of files and addresses, safe on any disk and in any address as they stand.

What a site lists and what `zoo fetch` takes are checked by the same rules, so a site never offers what cannot be fetched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, Field

LONGEST_PATH, DEEPEST = 240, 8
_PART = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_-])?")
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
_NAME = r"[a-z0-9][a-z0-9_-]*"
_ID = re.compile(rf"{_NAME}/{_NAME}/{_NAME}")
PATH_RULE = (
    rf"^(?!(.*/)?([cC][oO][nN]|[pP][rR][nN]|[aA][uU][xX]|[nN][uU][lL]|[cC][oO][mM][0-9]|[lL][pP][tT][0-9])(\.|/|$))"
    rf"{_PART.pattern}(/{_PART.pattern}){{0,{DEEPEST - 1}}}$"
)
"""The rule of `path_problem` as a pattern for a JSON Schema."""
ID_RULE = f"^{_ID.pattern}$"


def path_problem(path: str) -> str | None:
    """Why a relative path is refused, or None where it is fine. Parts are ASCII letters, digits, "_", "-" and "." within."""
    if len(path) > LONGEST_PATH:
        return f"is longer than {LONGEST_PATH} characters"
    parts = path.split("/")
    if len(parts) > DEEPEST:
        return f"is deeper than {DEEPEST} folders"
    if ".." in parts or path.startswith("/") or "\\" in path or ":" in path:
        return "leaves its folder"
    for part in parts:
        if _PART.fullmatch(part) is None:
            return f'has the part "{part}", where only letters, digits, _, - and . within are allowed'
        if _RESERVED.fullmatch(part):
            return f'has the part "{part}", which is no file name on every system'
    return None


def is_id(text: str) -> bool:
    """Whether it is dataset/target/name of lower-case letters, digits, - and _, and safe as a path."""
    return _ID.fullmatch(text) is not None and path_problem(text) is None


def clash(paths: Iterable[str]) -> str | None:
    """The first path that is there twice, differs from another by case only, or is a file where another wants a folder."""
    files: set[str] = set()
    folders: set[str] = set()
    for path in paths:
        folded = path.lower()
        above = {folded.rsplit("/", count)[0] for count in range(1, folded.count("/") + 1)}
        if folded in files or folded in folders or above & files:
            return path
        files.add(folded)
        folders |= above
    return None


def _checked_path(path: str) -> str:
    problem = path_problem(path)
    if problem:
        raise ValueError(f"{problem}: {path[:LONGEST_PATH]!r}")
    return path


def _checked_id(text: str) -> str:
    if not is_id(text):
        raise ValueError(f"is not dataset/target/name: {text[:LONGEST_PATH]!r}")
    return text


SafePath = Annotated[
    str, AfterValidator(_checked_path), Field(json_schema_extra={"pattern": PATH_RULE, "maxLength": LONGEST_PATH})
]
SafeId = Annotated[str, AfterValidator(_checked_id), Field(json_schema_extra={"pattern": ID_RULE, "maxLength": LONGEST_PATH})]
