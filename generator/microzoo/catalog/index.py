"""index.json of a published site, and the list of versions of each of its entries: what other people's programs read.

A version is one state of an entry, named by the first digits of the SHA-256 of its card.json. The card lists the SHA-256 of every
file, so a version is the same bytes for ever, and whoever knows its digits can check what a host gives.

Fields are added, never renamed, and readers pass over those that they do not know; `schema_version` rises when one changes its
meaning. All addresses start from the folder that index.json lies in.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from microzoo.catalog.names import SafeId, SafePath, clash
from microzoo.errors import FetchError
from microzoo.spec.base import Sha256

INDEX_VERSION: Literal[1] = 1
INDEX = "index.json"
SCHEMAS = {"index": "schemas/index.json", "versions": "schemas/versions.json"}
"""Where a site has the JSON Schema of each kind of file."""
VERSION_DIGITS = 12
MOST_BYTES = 64 << 20
"""Of one file of an entry. What any entry that fits a microcontroller has is a hundred times smaller."""
MOST_BYTES_IN_ALL = 256 << 20
"""Of all files of one version."""
MOST_INDEX_BYTES = 32 << 20
"""Of index.json itself."""
_MOST_FILES = 500


class Record(BaseModel):
    """Frozen; what a newer site adds is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class File(Record):
    """One file to download."""

    path: SafePath
    """Below the entry's folder."""
    address: SafePath
    """Below the folder of index.json."""
    bytes: Annotated[int, Field(ge=0, le=MOST_BYTES)]
    sha256: Sha256
    format: str | None = None
    """As in the card; None for what stands in no card: the card itself, its build record, a bundle."""
    role: str | None = None


class Need(Record):
    """One budget of the target against what the model needs."""

    name: str
    need: float
    have: float
    unit: str
    kind: str
    """Kind of the weakest figure in it: measured, emulated, estimated or predicted."""


class HeadlineFigure(Record):
    """One figure of the card; None where it could not be had."""

    value: float | None
    unit: str
    kind: str


class HeadlineAccuracy(Record):
    """int8 accuracy on the test split, of the file for this target's runtime."""

    value: Annotated[float, Field(ge=0.0, le=1.0)]
    correct: int
    n: int
    runtime: str
    file: str


class ValidationAccuracy(Record):
    """int8 accuracy on validation over the seeds that were trained."""

    mean: float
    standard_deviation: float | None
    n: int


class Version(Record):
    """One state of an entry, for ever the same."""

    version: Annotated[str, Field(pattern=rf"^[0-9a-f]{{{VERSION_DIGITS}}}$")]
    """The first digits of the SHA-256 of card.json."""
    date: str | None
    """When the build that made it was finished, ISO 8601; None where no record was kept."""
    card_schema_version: int
    accuracy: HeadlineAccuracy
    validation: ValidationAccuracy
    limits: tuple[Need, ...]
    figures: dict[str, HeadlineFigure]
    """macs and parameters, and instructions, latency, tflite_bytes and onnx_bytes where the card has them."""
    files: Annotated[tuple[File, ...], Field(min_length=1, max_length=_MOST_FILES)]
    """All of them, card.json and build.json included."""
    bundle: File
    """One zip of all files with the layouts for build systems, licences and checksums."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if twice := clash([*(file.path for file in self.files), self.bundle.path]):
            raise ValueError(f'files: "{twice}" is there twice, or is another file\'s folder')
        card = next((file for file in self.files if file.path == "card.json"), None)
        if card is None or not card.sha256.startswith(self.version):
            raise ValueError("files: has no card.json whose SHA-256 starts with the version")
        if self.bytes > MOST_BYTES_IN_ALL:
            raise ValueError(f"files: {self.bytes} bytes in all, at most {MOST_BYTES_IN_ALL} are taken")
        return self

    @property
    def bytes(self) -> int:
        """Of all files together, the bundle left out."""
        return sum(file.bytes for file in self.files)

    @property
    def card_sha256(self) -> str:
        """All digits of what `version` begins."""
        return next(file.sha256 for file in self.files if file.path == "card.json")


class IndexEntry(Record):
    """One entry of the zoo, as it is now."""

    id: SafeId
    dataset: str
    dataset_title: str
    target: str
    target_title: str
    licence: str
    """Of the data."""
    page: SafePath
    current: Version
    versions: SafePath
    """Address of the list of its versions, `Versions`."""


class Withdrawn(Record):
    """An entry that the zoo holds no more; its versions stay."""

    id: SafeId
    versions: SafePath


class Index(Record):
    """index.json."""

    schema_version: Literal[1] = INDEX_VERSION
    generator: str
    entries: tuple[IndexEntry, ...]
    withdrawn: tuple[Withdrawn, ...] = ()

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if twice := _twice([*(each.id for each in self.entries), *(each.id for each in self.withdrawn)]):
            raise ValueError(f'"{twice}" is there twice')
        return self


class Versions(Record):
    """versions/index.json of an entry: every version that can be had, the newest first."""

    schema_version: Literal[1] = INDEX_VERSION
    id: SafeId
    current: str | None
    """Which one the zoo holds now; None for an entry that was withdrawn."""
    versions: tuple[Version, ...]

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if twice := _twice([each.version for each in self.versions]):
            raise ValueError(f'"{twice}" is there twice')
        return self


_Kind = TypeVar("_Kind", Index, Versions)


class _Header(BaseModel):
    """What every version of these files begins with."""

    model_config = ConfigDict(extra="ignore", strict=True)
    schema_version: int


def read_index(content: bytes, origin: str) -> Index:
    """index.json. origin: where it comes from, for errors. Raises FetchError naming the field that is not as it should be."""
    return _read(Index, content, origin)


def read_versions(content: bytes, origin: str) -> Versions:
    """The list of versions of an entry; as `read_index`."""
    return _read(Versions, content, origin)


def as_json(record: Record) -> bytes:
    """The bytes of index.json or of a list of versions."""
    return (json.dumps(record.model_dump(mode="json"), ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def schema(kind: Literal["index", "versions"]) -> bytes:
    """JSON Schema (draft 2020-12) of index.json or of a list of versions."""
    model: type[Record] = Index if kind == "index" else Versions
    said: dict[str, Any] = {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema()}
    return (json.dumps(said, indent=1, ensure_ascii=False) + "\n").encode()


def _read(kind: type[_Kind], content: bytes, origin: str) -> _Kind:
    mend = "give the address of a site that zoo site rendered"
    try:
        found = _Header.model_validate_json(content).schema_version
        if found > INDEX_VERSION:
            raise FetchError(f"{origin}: schema_version = {found}, this microzoo reads up to {INDEX_VERSION}", "update microzoo")
        return kind.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        if first["type"] == "json_invalid":
            raise FetchError(f"{origin}: is not JSON: {first['ctx']['error']}", mend) from error
        raise FetchError(f"{origin}: {place + ': ' if place else ''}{first['msg']}", mend) from error


def _twice(names: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
