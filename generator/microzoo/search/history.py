"""The history of one search: SQLite in WAL mode, one row an evaluation, committed before the next one starts.

A search is a pure function of its identity and the rows before: nothing else needs to be stored for an exact resume. Wall time
is kept in a column of its own and is no part of `digest`.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from microzoo.cost.resources import Resources
from microzoo.errors import HistoryError
from microzoo.search.types import Candidate, Evaluation
from microzoo.space.architecture import Architecture

FORMAT = "1"
_SCHEMA = """
create table if not exists meta (key text primary key, value text not null) without rowid;
create table if not exists evaluations (
    ordinal integer primary key, candidate text not null, evaluation text not null, seconds real not null
);
"""


@dataclass(frozen=True)
class Row:
    """One finished evaluation."""

    candidate: Candidate
    evaluation: Evaluation


class History:
    """Owns the database file. Use as a context manager; rows come and go in the order of their ordinals, without gaps."""

    def __init__(self, path: Path, identity: str) -> None:
        """path: created where missing; identity: what decides the search, checked against what the file was made for."""
        self.path = path
        with self._explained():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, isolation_level=None)
            self._connection.execute("pragma journal_mode = wal")
            self._connection.execute("pragma synchronous = full")
            self._connection.executescript(_SCHEMA)
            self._check_meta("format", FORMAT)
            self._check_meta("identity", identity)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._connection.close()

    def rows(self) -> list[Row]:
        """All evaluations by ordinal. Raises HistoryError where a row is missing or unreadable."""
        with self._explained():
            found = self._connection.execute(
                "select ordinal, candidate, evaluation, seconds from evaluations order by ordinal"
            ).fetchall()
        rows = []
        for expected, (ordinal, candidate, evaluation, seconds) in enumerate(found):
            if ordinal != expected:
                raise HistoryError(f"{self.path}: evaluation {expected} is missing", "delete the file to begin the search anew")
            try:
                rows.append(Row(_candidate(ordinal, candidate), _evaluation(evaluation, seconds)))
            except (KeyError, TypeError, ValueError) as error:
                raise HistoryError(
                    f"{self.path}: evaluation {ordinal} cannot be read ({error})", "delete the file to begin anew"
                ) from error
        return rows

    def append(self, row: Row) -> None:
        """Commits one evaluation. Its ordinal must be the next one."""
        candidate, evaluation = asdict(row.candidate), asdict(row.evaluation)
        ordinal, seconds = candidate.pop("ordinal"), evaluation.pop("seconds")
        candidate["architecture"] = row.candidate.architecture.to_json()
        with self._explained():
            count = self._connection.execute("select count(*) from evaluations").fetchone()[0]
            assert ordinal == count, (ordinal, count)
            self._connection.execute(
                "insert into evaluations values (?, ?, ?, ?)", (ordinal, _text(candidate), _text(evaluation), seconds)
            )

    def digest(self) -> str:
        """SHA-256 over everything but wall time: equal histories have equal digests."""
        with self._explained():
            rows = self._connection.execute("select ordinal, candidate, evaluation from evaluations order by ordinal").fetchall()
        return hashlib.sha256(_text(rows).encode()).hexdigest()

    def _check_meta(self, key: str, value: str) -> None:
        self._connection.execute("insert or ignore into meta values (?, ?)", (key, value))
        found = self._connection.execute("select value from meta where key = ?", (key,)).fetchone()[0]
        if found != value:
            raise HistoryError(
                f"{self.path}: was made with {key} = {found}, now it is {value}", "delete the file, or use another --work"
            )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """SQLite's and the file system's errors as ours."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise HistoryError(
                f"{self.path}: cannot be used: {error}", "check that the folder is writable and the disk has room"
            ) from error
        except sqlite3.DatabaseError as error:
            raise HistoryError(
                f"{self.path}: is damaged: {error}", "delete it to begin this search anew; entries are not affected"
            ) from error
        except OSError as error:
            raise HistoryError(f"{error.filename}: cannot be used: {error.strerror}", "use another --work") from error


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


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _candidate(ordinal: int, text: str) -> Candidate:
    raw = json.loads(text)
    raw["architecture"] = Architecture.from_json(raw["architecture"])
    return Candidate(ordinal=ordinal, **raw)


def _evaluation(text: str, seconds: float) -> Evaluation:
    raw = json.loads(text)
    raw["resources"] = Resources(**raw["resources"])
    return Evaluation(seconds=seconds, **raw)
