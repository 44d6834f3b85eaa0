"""Entries on disk: `<zoo>/<dataset>/<target>/<name>/` with card.json, build.json and the files that the card lists.

An entry is written beside its place and swapped in, so that a folder with a card is always whole. Names beginning with a dot
are ours while we write; a build that was killed leaves at most those, and the next one clears them.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from microzoo.catalog.card import SCHEMA_VERSION, BuildRecord, Card
from microzoo.catalog.files import writing
from microzoo.errors import CatalogError, harmless

CARD, BUILD = "card.json", "build.json"
_RESTORE = "restore the file, or delete the folder and build again"
_SHOWN = 60
"""Characters of a wrong value that an error shows."""


@dataclass(frozen=True)
class Entry:
    """One published model as it lies on disk."""

    folder: Path
    card: Card
    build: BuildRecord | None


def sha256(content: bytes) -> str:
    """Hex digest."""
    return hashlib.sha256(content).hexdigest()


def entries(zoo: Path) -> list[Entry]:
    """All entries of a zoo by ID. Raises CatalogError naming entry and field of each that is damaged."""
    sound, damaged = survey(zoo)
    refuse(damaged)
    return sound


def survey(zoo: Path, wanted: str | None = None) -> tuple[list[Entry], dict[str, CatalogError]]:
    """The sound entries by ID, and by ID what is wrong with the damaged ones: one of these hides no other.

    wanted: an ID, or its first parts ("digits/cortex-m4-64k"); None for all. What it does not name is not read. Raises
    CatalogError naming the nearest where there is no such one.
    """
    folders = {path.relative_to(zoo).as_posix(): path for path in sorted(zoo.glob("*/*/*")) if path.is_dir()}
    folders = {entry_id: path for entry_id, path in folders.items() if not _is_ours(entry_id)}
    chosen = [each for each in folders if wanted is None or each == wanted or each.startswith(f"{wanted}/")]
    if wanted is not None and not chosen:
        close = difflib.get_close_matches(wanted, folders, n=1, cutoff=0.3)
        hint = f"did you mean {close[0]}?" if close else f"{zoo} holds {len(folders)} entries: see zoo list"
        raise CatalogError(f"{wanted}: no such entry in {zoo}", hint)
    sound: list[Entry] = []
    damaged: dict[str, CatalogError] = {}
    for entry_id in chosen:
        try:
            sound.append(read_entry(folders[entry_id]))
        except CatalogError as error:
            damaged[entry_id] = error
    return sound, damaged


def refuse(damaged: Mapping[str, CatalogError]) -> None:
    """Raises what `survey` found wrong, a line an entry; nothing where that is nothing."""
    errors = list(damaged.values())
    if errors:
        raise errors[0] if len(errors) == 1 else CatalogError("\n".join(str(error) for error in errors))


def read_entry(folder: Path) -> Entry:
    """One entry. Checks the card and its ID against the folder; not the files: see `damage`.

    Raises CatalogError naming file, field and value where the card or the build record is missing, damaged or newer than this.
    """
    path = folder / CARD
    card = _card(path, _read(path))
    expected = "/".join(folder.parts[-3:])
    if card.id != expected:
        problem = f'{path}: id = "{harmless(card.id)}" but the folder says "{expected}"'
        raise CatalogError(problem, "move the folder to where its id says")
    build_path = folder / BUILD
    build = None
    if build_path.is_file():
        try:
            build = BuildRecord.model_validate_json(_read(build_path))
        except ValidationError as error:
            raise CatalogError(f"{build_path}: {_first(error)}", "restore the file or delete it") from error
    return Entry(folder, card, build)


def damage(entry: Entry) -> list[str]:
    """What is wrong with the files of an entry: missing, other size, other SHA-256, not listed. Empty: nothing."""
    problems = []
    listed = {file.path for file in entry.card.files}
    for file in entry.card.files:
        path = entry.folder / file.path
        if not path.is_file():
            problems.append(f"{path}: missing")
            continue
        try:
            content = path.read_bytes()
        except OSError as error:
            problems.append(f"{path}: cannot be read: {error.strerror}")
            continue
        if len(content) != file.bytes:
            problems.append(f"{path}: has {len(content)} bytes, the card says {file.bytes}")
        elif sha256(content) != file.sha256:
            problems.append(f"{path}: SHA-256 is {sha256(content)}, the card says {file.sha256}")
    for path in sorted(entry.folder.rglob("*")):
        name = path.relative_to(entry.folder).as_posix()
        if path.is_file() and name not in listed and name not in (CARD, BUILD):
            problems.append(f"{path}: not listed in the card")
    return problems


def write_entry(zoo: Path, card: Card, build: BuildRecord, files: Mapping[str, bytes]) -> Path:
    """Writes an entry beside its place and swaps it in; gives its folder. `files`: path -> bytes, those that the card lists."""
    assert {file.path for file in card.files} == set(files)
    place = zoo / card.id
    staging, old = _staging(place), _old(place)
    with writing(place):
        try:
            shutil.rmtree(staging, ignore_errors=True)
            for name, content in files.items():
                _write(staging / PurePosixPath(name), content)
            _write(staging / BUILD, _json(build.model_dump_json()))
            _write(staging / CARD, _json(card.model_dump_json()))
            shutil.rmtree(old, ignore_errors=True)
            if place.exists():
                place.rename(old)
            staging.rename(place)
        finally:
            _tidy(place)
    return place


def clear_leftovers(zoo: Path) -> None:
    """Undoes what a killed build left: staging folders go, an entry that was moved aside comes back."""
    with writing(zoo):
        for left in sorted([*zoo.glob("*/*/.old-*"), *zoo.glob("*/*/.new-*")]):
            _tidy(left.with_name(left.name[len(".old-") :]))


def _staging(place: Path) -> Path:
    return place.with_name(f".new-{place.name}")


def _old(place: Path) -> Path:
    return place.with_name(f".old-{place.name}")


def _tidy(place: Path) -> None:
    """After writing that ended anywhere: an entry that was just moved aside comes back, and nothing of ours stays beside it."""
    if not place.exists() and _old(place).exists():
        _old(place).rename(place)
    for left in (_old(place), _staging(place)):
        if left.exists():
            shutil.rmtree(left)


def remove_others(zoo: Path, place: str, keep: Sequence[str]) -> list[str]:
    """Deletes the entries of a dataset/target that are not named in `keep`; gives their IDs."""
    gone = []
    for folder in sorted((zoo / place).glob("*")):
        if folder.is_dir() and not folder.name.startswith(".") and folder.name not in keep:
            with writing(folder):  # renamed first: whole or gone, wherever this ends
                staging = _staging(folder)
                shutil.rmtree(staging, ignore_errors=True)
                folder.rename(staging)
                shutil.rmtree(staging)
            gone.append(f"{place}/{folder.name}")
    return gone


def _is_ours(entry_id: str) -> bool:
    return any(part.startswith(".") for part in entry_id.split("/"))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise CatalogError(
            f"{path.parent}: has no {path.name}, so it is half-written", "delete the folder and build again"
        ) from error
    except OSError as error:
        raise CatalogError(f"{path}: cannot be read: {error.strerror}", _RESTORE) from error
    except UnicodeDecodeError as error:
        raise CatalogError(f"{path}: cannot be read: {error}", _RESTORE) from error


def _card(path: Path, text: str) -> Card:
    try:
        raw = json.loads(text)
    except json.JSONDecodeError as error:
        raise CatalogError(f"{path}:{error.lineno}: is not JSON: {error.msg}", _RESTORE) from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, brackets thousands deep
        raise CatalogError(f"{path}: cannot be read: {error}", _RESTORE) from error
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise CatalogError(f"{path}: schema_version = {version}, this microzoo reads up to {SCHEMA_VERSION}", "update microzoo")
    try:
        return Card.model_validate_json(text)
    except ValidationError as error:
        raise CatalogError(f"{path}: {_first(error)}", _RESTORE) from error


def _first(error: ValidationError) -> str:
    """Field, rule and value of the first mistake, and how many more there are."""
    details = error.errors(include_url=False)
    first, value = details[0], details[0]["input"]
    place = ".".join(str(part) for part in first["loc"])
    found = ""
    if place and first["type"] != "missing" and isinstance(value, str | int | float | None):
        shown = json.dumps(value, ensure_ascii=False)
        found = f", found {shown if len(shown) <= _SHOWN else f'{shown[:_SHOWN]}...'}"
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    return harmless(f"{f'{place}: ' if place else ''}{first['msg']}{found}{more}")


def _json(text: str) -> bytes:
    return (json.dumps(json.loads(text), indent=1, ensure_ascii=False) + "\n").encode()


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
