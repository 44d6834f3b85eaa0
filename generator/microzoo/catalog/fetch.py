"""A published entry onto this disk: its ID and a source in, a folder as in the zoo out, whole and verified or not there at all.

Everything comes into a folder beside the destination. Only when all of it has the sizes and SHA-256 of the index, the card says
the same, and the card's own SHA-256 begins with the version, is that folder renamed to its place. An interrupted fetch leaves the
folder beside, and the next one goes on from it.
"""

from __future__ import annotations

import difflib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from microzoo.catalog.download import download, is_whole, read_all
from microzoo.catalog.files import writing
from microzoo.catalog.index import INDEX, MOST_INDEX_BYTES, Index, Version, read_index, read_versions
from microzoo.catalog.lock import locked
from microzoo.catalog.names import is_id
from microzoo.catalog.source import Patience, Source
from microzoo.catalog.store import BUILD, CARD
from microzoo.errors import FetchError

SOURCE_VARIABLE = "MICROZOO_ZOO_URL"
LEAST_DIGITS = 6
"""Of a version that is asked for."""


@dataclass(frozen=True)
class Fetched:
    """What lies in `folder` now. already: it did before, byte for byte."""

    id: str
    version: str
    folder: Path
    files: int
    bytes: int
    already: bool


def fetch(
    wanted: str,
    source: Source,
    to: Path,
    *,
    force: bool = False,
    patience: Patience | None = None,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> Fetched:
    """Fetches `ID` or `ID@VERSION` into `to`/ID. progress: called with the bytes that are there, and of how many.

    A version may be cut to six digits or more; with all 64 of the card's SHA-256 the host need not be trusted at all. What lies
    at the place already is left if it is the same, replaced with `force` if it is another version, and never touched if it holds
    files of somebody else. Raises FetchError, StorageError, LockedError.
    """
    patience = patience or Patience()
    entry_id, digits = parse(wanted)
    index = read_index(read_all(source, INDEX, MOST_INDEX_BYTES, patience), f"{source.name}: {INDEX}")
    version = choose(source, index, entry_id, digits, patience)
    place = to / entry_id
    if _is_there(place, version):
        return Fetched(entry_id, version.version, place, len(version.files), version.bytes, already=True)
    _check_place(place, force=force)
    beside = to / f".fetch-{entry_id.replace('/', '-')}-{version.version}"
    if beside.is_symlink():
        raise FetchError(f"{beside}: is a link", "delete it")
    with locked(beside):
        staging = beside / "files"
        done = 0

        def count(more: int) -> None:
            nonlocal done
            done += more
            progress(done, version.bytes)

        for file in version.files:
            _refuse_links(staging, file.path)
            download(source, file, staging / file.path, patience, count)
        _verify(staging, version, entry_id)
        with writing(place):
            _put(staging, place, beside / "old")
            shutil.rmtree(beside, ignore_errors=True)
    return Fetched(entry_id, version.version, place, len(version.files), version.bytes, already=False)


def parse(wanted: str) -> tuple[str, str]:
    """(ID, digits of the version, "" where any will do). Raises FetchError where it is neither ID nor ID@VERSION."""
    entry_id, at, digits = wanted.partition("@")
    if not is_id(entry_id):
        raise FetchError(f"{wanted}: is no ID", "give dataset/target/name, or dataset/target/name@version")
    if at and not (LEAST_DIGITS <= len(digits) <= 64 and set(digits) <= set("0123456789abcdef")):
        raise FetchError(f"{wanted}: the version is not {LEAST_DIGITS} to 64 hexadecimal digits", "see the model's page")
    return entry_id, digits


def choose(source: Source, index: Index, entry_id: str, digits: str, patience: Patience) -> Version:
    """The record of the version that is asked for. Raises FetchError naming what there is where there is no such one."""
    entry = next((each for each in index.entries if each.id == entry_id), None)
    if entry is not None and _matches(entry.current, digits):
        return entry.current
    address = entry.versions if entry else next((each.versions for each in index.withdrawn if each.id == entry_id), None)
    if address is None:
        ids = [*(each.id for each in index.entries), *(each.id for each in index.withdrawn)]
        close = difflib.get_close_matches(entry_id, ids, n=1, cutoff=0.3)
        hint = f"did you mean {close[0]}?" if close else f"it has {len(ids)} entries"
        raise FetchError(f"{entry_id}: no such entry in {source.name}", hint)
    listed = read_versions(read_all(source, address, MOST_INDEX_BYTES, patience), f"{source.name}: {address}")
    if listed.id != entry_id:
        raise FetchError(f"{source.name}: {address} lists the versions of {listed.id}, not of {entry_id}", "try another host")
    there = _names(listed.versions)
    if not digits:
        raise FetchError(f"{entry_id}: was withdrawn from {source.name}", f"ask for a version: {entry_id}@{there}")
    found = [each for each in listed.versions if _matches(each, digits)]
    if len(found) != 1:
        wrong = "no such version" if not found else f"{len(found)} versions begin so"
        raise FetchError(f"{entry_id}@{digits}: {wrong} in {source.name}", f"it has {there}")
    return found[0]


def default_source(given: str | None, environment: Mapping[str, str]) -> str:
    """The source that was given, or the one that the environment names. Raises FetchError where there is neither."""
    chosen = given or environment.get(SOURCE_VARIABLE)
    if not chosen:
        remedy = f"give --from with the address of a site or the folder of one, or set {SOURCE_VARIABLE} to it"
        raise FetchError("there is no source to fetch from", remedy)
    return chosen


def _matches(version: Version, digits: str) -> bool:
    return version.card_sha256.startswith(digits)


def _names(versions: Sequence[Version]) -> str:
    shown = ", ".join(each.version for each in versions[:5])
    return f"{shown} and {len(versions) - 5} more" if len(versions) > 5 else shown or "none"


def _is_there(place: Path, version: Version) -> bool:
    """Whether the very version lies at its place, with nothing else beside it."""
    listed = {file.path for file in version.files}
    return place.is_dir() and all(is_whole(place / file.path, file) for file in version.files) and not _others(place, listed)


def _check_place(place: Path, *, force: bool) -> None:
    """What lies at the place may be replaced only if it is an entry and nothing else, and only if that was asked for."""
    if place.is_symlink() or (place.exists() and not place.is_dir()):
        raise FetchError(f"{place}: is no folder", "choose another folder with --to")
    if not place.is_dir() or not any(place.iterdir()):
        return
    if not (place / CARD).is_file():
        raise FetchError(f"{place}: holds something that is no entry", "choose another folder with --to")
    card = _card(place, f"move {place} away or delete it, or choose another --to")
    listed = {CARD, BUILD} | {file["path"] for file in card["files"]}
    if others := _others(place, listed):
        raise FetchError(f"{place}: holds {others[0]}, which is not part of the entry", "move it away, or choose another --to")
    if not force:
        raise FetchError(f"{place}: holds another version, or changed files", "give --force to replace it, or another --to")


def _others(place: Path, listed: set[str]) -> list[str]:
    found = (path.relative_to(place).as_posix() for path in sorted(place.rglob("*")) if path.is_symlink() or not path.is_dir())
    return [path for path in found if path not in listed]


def _refuse_links(staging: Path, path: str) -> None:
    """Nothing is written through a link that somebody put into the folder beside."""
    for above in (staging, *((staging / path).parents[: path.count("/")])):
        if above.is_symlink():
            raise FetchError(f"{above}: is a link", "delete it")


def _verify(staging: Path, version: Version, entry_id: str) -> None:
    """All files as they lie on the disk, against the index and the card. Raises FetchError and deletes what is wrong."""
    for file in version.files:
        if not is_whole(staging / file.path, file):
            (staging / file.path).unlink(missing_ok=True)
            raise FetchError(f"{staging / file.path}: has changed while it was fetched", "run the same command again")
    for path in _others(staging, {file.path for file in version.files}):
        (staging / path).unlink()
    card = _card(staging, "see that the source is a zoo")
    if card.get("id") != entry_id:
        raise FetchError(f"{entry_id}@{version.version}: its card is that of {card.get('id')!r}", "try another host")
    said = {(file["path"], f"{file.get('bytes')} {file.get('sha256')}") for file in card["files"]}
    listed = {(file.path, f"{file.bytes} {file.sha256}") for file in version.files if file.path not in (CARD, BUILD)}
    if said != listed:
        path, _ = min(said ^ listed)
        problem = f"{entry_id}@{version.version}: card and index do not list the same files, see {path}"
        raise FetchError(problem, "try another host")


def _card(folder: Path, remedy: str) -> dict[str, Any]:
    """The card of a folder, as far as a fetch reads it: newer cards may have more. Raises FetchError with `remedy`."""
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        if isinstance(card, dict) and all(isinstance(file, dict) and isinstance(file["path"], str) for file in card["files"]):
            return card
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    raise FetchError(f"{folder / CARD}: is no card", remedy)


def _put(staging: Path, place: Path, old: Path) -> None:
    """Renames the folder to its place; what it replaces is moved aside first, and comes back where that fails."""
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(old, ignore_errors=True)
    if place.is_dir():
        place.rename(old)
    try:
        staging.rename(place)
    except BaseException:
        if old.is_dir():
            old.rename(place)
        raise
