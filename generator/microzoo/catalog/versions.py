"""What a site publishes of every version: entries and the versions of a former site in, index.json and the files below it out.

`models/<id>/versions/<version>/` holds the files of one version and its bundle. What was published there is never written again:
a version that a former site had is taken over with the bytes and the record that it had there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from microzoo.catalog.bundle import bundle
from microzoo.catalog.card import Card
from microzoo.catalog.index import (
    INDEX,
    SCHEMAS,
    VERSION_DIGITS,
    File,
    HeadlineAccuracy,
    HeadlineFigure,
    Index,
    IndexEntry,
    Need,
    ValidationAccuracy,
    Version,
    Versions,
    Withdrawn,
    as_json,
    read_versions,
    schema,
)
from microzoo.catalog.store import BUILD, CARD, Entry
from microzoo.errors import CatalogError

_FIGURES = ("macs", "parameters", "instructions", "latency", "tflite_bytes", "onnx_bytes")


@dataclass(frozen=True)
class Published:
    """The versions of all entries as a site shows them. by_id: of each entry, also of withdrawn ones, by ID."""

    by_id: dict[str, Versions]
    files: dict[str, Path] = field(default_factory=dict)
    """Address -> the file to copy there."""
    made: dict[str, bytes] = field(default_factory=dict)
    """Address -> what is made for the site: index.json, lists of versions, bundles, schemas."""


def versions_folder(entry_id: str) -> str:
    """Where the versions of an entry lie, from the root of the site."""
    return f"models/{entry_id}/versions"


def list_address(entry_id: str) -> str:
    """Where the list of the versions of an entry lies, from the root of the site."""
    return f"{versions_folder(entry_id)}/{INDEX}"


def version_of(card_bytes: bytes) -> str:
    """The version of an entry with this card.json."""
    return hashlib.sha256(card_bytes).hexdigest()[:VERSION_DIGITS]


def former_versions(folder: Path) -> dict[str, Versions]:
    """The lists of versions below a folder that `carry_over` filled, by ID."""
    lists = sorted(folder.glob(f"{versions_folder('*/*/*')}/{INDEX}"))
    found = [read_versions(path.read_bytes(), str(path)) for path in lists]
    return {each.id: each for each in found}


def publish(
    entries: Sequence[Entry],
    former: Mapping[str, Versions],
    *,
    generator: str,
    licence: str,
    page: Callable[[Card], str],
    most: int | None = None,
) -> Published:
    """Index, lists and new versions. former: by ID, as `former_versions` gives them; their files are there already.

    licence: the text that bundles carry; page: address of an entry's page; most: how many earlier versions of an entry stay, None
    is all. Raises CatalogError naming entry and field where one cannot be published.
    """
    found = Published({})
    listed = []
    for entry in entries:
        contents = _contents(entry)
        version = version_of(contents[CARD])
        earlier = former[entry.card.id].versions if entry.card.id in former else ()
        current = next((each for each in earlier if each.version == version), None)
        if current is None:
            current = _new(entry, version, contents, licence, found)
        others = tuple(each for each in earlier if each.version != version)[:most]
        found.by_id[entry.card.id] = Versions(id=entry.card.id, current=version, versions=(current, *others))
        listed.append(_index_entry(entry.card, current, page(entry.card)))
    gone = [each for each in former.values() if each.id not in found.by_id and each.versions[:most]]
    found.by_id.update({each.id: Versions(id=each.id, current=None, versions=each.versions[:most]) for each in gone})
    withdrawn = tuple(Withdrawn(id=each.id, versions=list_address(each.id)) for each in gone)
    found.made[INDEX] = as_json(Index(generator=generator, entries=tuple(listed), withdrawn=withdrawn))
    found.made.update({list_address(each.id): as_json(each) for each in found.by_id.values()})
    found.made.update({SCHEMAS["index"]: schema("index"), SCHEMAS["versions"]: schema("versions")})
    return found


def _contents(entry: Entry) -> dict[str, bytes]:
    """Path -> bytes of the whole entry."""
    paths = [CARD, *([BUILD] if entry.build else []), *(file.path for file in entry.card.files)]
    try:
        return {path: (entry.folder / path).read_bytes() for path in paths}
    except OSError as error:
        problem = f"{entry.card.id}: {error.filename} cannot be read: {error.strerror}"
        raise CatalogError(problem, "restore it or build the entry again") from error


def _new(entry: Entry, version: str, contents: Mapping[str, bytes], licence: str, found: Published) -> Version:
    """The record of a version that is published for the first time; its files are added to `found`."""
    card, folder = entry.card, f"{versions_folder(entry.card.id)}/{version}"
    packed = bundle(card, version, contents, licence)
    listed = {file.path: file for file in card.files}
    try:
        files = tuple(
            File(
                path=path,
                address=f"{folder}/{path}",
                bytes=len(content),
                sha256=hashlib.sha256(content).hexdigest(),
                format=listed[path].format if path in listed else None,
                role=listed[path].role if path in listed else None,
            )
            for path, content in contents.items()
        )
        zip_file = File(
            path=packed.name, address=f"{folder}/{packed.name}", bytes=len(packed.content), sha256=packed.sha256, role="bundle"
        )
        record = _record(card, version, entry.build.finished_utc if entry.build else None, files, zip_file)
    except ValidationError as error:
        raise CatalogError(f"{card.id}/card.json: {error.errors()[0]['msg']}", "build the entry again") from error
    found.files.update({file.address: entry.folder / file.path for file in files})
    found.made[zip_file.address] = packed.content
    return record


def _record(card: Card, version: str, date: str | None, files: tuple[File, ...], zip_file: File) -> Version:
    head, spread = card.headline, card.validation_int8
    return Version(
        version=version,
        date=date,
        card_schema_version=card.schema_version,
        accuracy=HeadlineAccuracy(
            value=head.value, correct=head.correct, n=head.n, runtime=head.runtime, file=card.headline_file
        ),
        validation=ValidationAccuracy(mean=spread.mean, standard_deviation=spread.standard_deviation, n=spread.n),
        limits=tuple(
            Need(name=each.name, need=each.need, have=each.have, unit=each.unit, kind=each.kind) for each in card.limits
        ),
        figures={
            name: HeadlineFigure(value=card.figures[name].value, unit=card.figures[name].unit, kind=card.figures[name].kind)
            for name in _FIGURES
            if name in card.figures
        },
        files=files,
        bundle=zip_file,
    )


def _index_entry(card: Card, current: Version, page: str) -> IndexEntry:
    return IndexEntry(
        id=card.id,
        dataset=card.dataset.name,
        dataset_title=card.dataset.title,
        target=card.target.name,
        target_title=card.target.title,
        licence=card.dataset.licence,
        page=page,
        current=current,
        versions=list_address(card.id),
    )
