"""The history of one search: SQLite in WAL mode, one row an evaluation, committed before the next one starts.

A search is a pure function of its identity and the rows before: nothing else needs to be stored for an exact resume. Wall time
is no part of `digest`.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, fields
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self
from urllib.parse import quote

from microzoo.cost.resources import Resources
from microzoo.errors import HistoryError
from microzoo.search.types import Candidate, Evaluation, Row

FORMAT = "3"
_RESOURCES = tuple(field.name for field in fields(Resources))
_CANDIDATE = ("ordinal", "design", "canonical", "sparsity", "parent", "origin", "rung", "promoted_from")
_EVALUATION = ("validation_accuracy", *_RESOURCES, "epochs", "failure", "seconds")
_COLUMNS = _CANDIDATE + _EVALUATION
_SCHEMA = f"""
create table if not exists meta (key text primary key, value text not null) without rowid;
create table if not exists evaluations (
    ordinal integer primary key,
    design text not null,
    canonical text not null,
    sparsity real not null,
    parent integer,
    origin text not null,
    rung integer not null,
    promoted_from integer,
    validation_accuracy real not null,
    {", ".join(f"{name} integer not null" for name in _RESOURCES)},
    epochs real not null,
    failure text,
    seconds real not null
);
"""


class History:
    """Owns the database file. Use as a context manager; rows come and go in the order of their ordinals, without gaps."""

    def __init__(self, path: Path, identity: str, notes: Mapping[str, str] = MappingProxyType({})) -> None:
        """path: created where missing. identity: what decides the search, checked against what the file was made for.

        notes: by name, whatever else is worth knowing about it; those of the first opening stay.
        """
        self.path = path
        with _explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, isolation_level=None)
            self._connection.execute("pragma journal_mode = wal")
            self._connection.execute("pragma synchronous = full")
            self._connection.executescript(_SCHEMA)
            self._check_meta("format", FORMAT)
            self._check_meta("identity", identity)
            self._connection.executemany("insert or ignore into meta values (?, ?)", list(notes.items()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._connection.close()

    def rows(self) -> list[Row]:
        """All evaluations by ordinal. Raises HistoryError where a row is missing or unreadable."""
        with _explained(self.path):
            return _rows(self._connection, self.path)

    def append(self, row: Row) -> None:
        """Commits one evaluation. Its ordinal must be the next one."""
        with _explained(self.path):
            self._insert([row])

    def fill(self, rows: Sequence[Row], notes: Mapping[str, str]) -> None:
        """Commits the first evaluations of an empty history at once, with notes."""
        with _explained(self.path), self._connection:
            self._connection.execute("begin")
            self._insert(rows)
            self._connection.executemany("insert or replace into meta values (?, ?)", list(notes.items()))

    def note(self, name: str) -> str | None:
        """One of the notes."""
        with _explained(self.path):
            found = self._connection.execute("select value from meta where key = ?", (name,)).fetchone()
        return None if found is None else str(found[0])

    def _insert(self, rows: Sequence[Row]) -> None:
        count = self._connection.execute("select coalesce(max(ordinal) + 1, 0) from evaluations").fetchone()[0]
        assert [row.candidate.ordinal for row in rows] == list(range(count, count + len(rows))), count
        marks = ", ".join("?" * len(_COLUMNS))
        insert = f"insert into evaluations ({', '.join(_COLUMNS)}) values ({marks})"  # noqa: S608
        self._connection.executemany(insert, [_values(row) for row in rows])

    def digest(self) -> str:
        """SHA-256 over everything but wall time: equal histories have equal digests."""
        with _explained(self.path):
            rows = self._connection.execute(f"select {', '.join(_COLUMNS[:-1])} from evaluations order by ordinal")  # noqa: S608
            return hashlib.sha256(json.dumps(rows.fetchall(), separators=(",", ":")).encode()).hexdigest()

    def _check_meta(self, key: str, value: str) -> None:
        self._connection.execute("insert or ignore into meta values (?, ?)", (key, value))
        found = self._connection.execute("select value from meta where key = ?", (key,)).fetchone()[0]
        if found != value:
            raise HistoryError(
                f"{self.path}: was made with {key} = {found}, now it is {value}", "delete the file, or use another --work"
            )


def read_history(path: Path) -> tuple[dict[str, str], list[Row]]:
    """The notes of a history by name, and its rows; opened for reading only, so that a running search is not disturbed.

    Raises HistoryError where there is none, or another format.
    """
    if not path.is_file():
        raise HistoryError(f"{path}: no such history", "build first, or give the --work of the build")
    with _explained(path):
        connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
        try:
            if connection.execute("select count(*) from sqlite_master where name = 'meta'").fetchone()[0] == 0:
                return {}, []  # a search that begins at this moment
            meta: dict[str, str] = dict(connection.execute("select key, value from meta").fetchall())
            if meta and meta.get("format") != FORMAT:
                raise HistoryError(f"{path}: format {meta.get('format')}, this version reads {FORMAT}", "build again")
            return meta, _rows(connection, path)
        finally:
            connection.close()


def count_evaluations(path: Path) -> int:
    """Rows of the history at `path`, which is opened for reading only; 0 where there is none or it cannot be read."""
    if not path.is_file():
        return 0
    try:
        connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
    except sqlite3.Error:
        return 0
    try:
        return int(connection.execute("select count(*) from evaluations").fetchone()[0])
    except sqlite3.Error:
        return 0
    finally:
        connection.close()


def _rows(connection: sqlite3.Connection, path: Path) -> list[Row]:
    found = connection.execute(f"select {', '.join(_COLUMNS)} from evaluations order by ordinal").fetchall()  # noqa: S608
    rows = []
    for expected, values in enumerate(found):
        if values[0] != expected:
            raise HistoryError(f"{path}: evaluation {expected} is missing", "delete the file to begin the search anew")
        rows.append(_row(path, values))
    return rows


def _values(row: Row) -> tuple[Any, ...]:
    """In the order of the columns."""
    candidate, evaluation = row.candidate, row.evaluation
    return (
        *(getattr(candidate, name) for name in _CANDIDATE),
        evaluation.validation_accuracy,
        *astuple(evaluation.resources),
        evaluation.epochs,
        evaluation.failure,
        evaluation.seconds,
    )


def _row(path: Path, values: tuple[Any, ...]) -> Row:
    candidate = Candidate(*values[: len(_CANDIDATE)])
    accuracy, *resources, epochs, failure, seconds = values[len(_CANDIDATE) :]
    if not (0.0 <= accuracy <= 1.0 and candidate.design.startswith("{")):
        raise HistoryError(f"{path}: evaluation {candidate.ordinal} cannot be read", "delete the file to begin the search anew")
    return Row(candidate, Evaluation(accuracy, Resources(*resources), epochs, seconds, failure))


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """SQLite's and the file system's errors as ours."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise HistoryError(
            f"{path}: cannot be used: {error}", "check that the folder is writable and the disk has room"
        ) from error
    except sqlite3.DatabaseError as error:
        raise HistoryError(
            f"{path}: is damaged: {error}", "delete it to begin this search anew; entries are not affected"
        ) from error
    except OSError as error:
        raise HistoryError(f"{error.filename}: cannot be used: {error.strerror}", "use another --work") from error
