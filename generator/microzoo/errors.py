"""Every error a user can meet. The command line prints its one line and exits with its code; nothing here is a bug of ours.

MicrozooError                      exit 1
├── SpecError                      a spec cannot be used: all its problems at once, each with file, line, key, value, remedy
├── DataError                      a dataset file is missing, truncated, or not the bytes that the spec names
├── ArchitectureError              an architecture that has no meaning for this input shape
├── TargetInfeasibleError          the sampler found no candidate within the budget
├── HistoryError                   the search history cannot be read or written
├── TrainingError                  a training diverged or its device is not there
├── QuantisationError              a layer cannot be put into int8: names layer and cause
├── ExportError                    a model cannot be written in a format
├── ImportedModelError             somebody else's model holds what cannot be taken over exactly: names operator and tensor
├── MeasurementError               a runtime refused a file or crashed on it
├── ToolMissingError               a compiler or runtime is not installed; says what to install
├── CatalogError                   an entry or its card is damaged, incomplete, or from a newer version
├── FetchError                     a published zoo cannot be read, or gives what it should not
├── LockedError                    another build holds the output folder
├── StorageError                   the disk is full or the output read-only
└── SiteError                      the site cannot be rendered
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class MicrozooError(Exception):
    """A problem that the user can mend. `str()` is one line: what is wrong, then the remedy."""

    exit_code = 1

    def __init__(self, problem: str, remedy: str = "") -> None:
        """problem: what is wrong, naming file, key and value; remedy: what to do about it, a sentence without full stop."""
        super().__init__(f"{problem}; {remedy}" if remedy else problem)
        self.problem = problem
        self.remedy = remedy


@dataclass(frozen=True)
class SpecProblem:
    """One mistake in a spec file. `line` is 1-based, or None where TOML gives no place."""

    file: Path
    key: str
    message: str
    line: int | None = None

    def __str__(self) -> str:
        place = str(self.file) if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.key}: {self.message}" if self.key else f"{place}: {self.message}"


class SpecError(MicrozooError):
    """All mistakes found in the specs, a line each."""

    def __init__(self, problems: tuple[SpecProblem, ...]) -> None:
        assert problems
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class DataError(MicrozooError):
    """A dataset file is missing, truncated, or not the bytes that the spec names."""


class ArchitectureError(MicrozooError):
    """An architecture that has no meaning for this input shape."""


class TargetInfeasibleError(MicrozooError):
    """The sampler found no candidate within the target's budget."""


class HistoryError(MicrozooError):
    """The search history cannot be read or written."""


class TrainingError(MicrozooError):
    """A training diverged, or its device is not there."""


class QuantisationError(MicrozooError):
    """A layer cannot be put into int8."""


class ExportError(MicrozooError):
    """A model cannot be written in a format."""


class ImportedModelError(MicrozooError):
    """Somebody else's model holds what cannot be taken over exactly."""


class MeasurementError(MicrozooError):
    """A runtime refused a file or crashed on it."""


class ToolMissingError(MicrozooError):
    """A compiler or a runtime is not installed."""


class CatalogError(MicrozooError):
    """An entry or its card is damaged, incomplete, or from a newer version."""


class FetchError(MicrozooError):
    """A published zoo cannot be read, or gives what it should not.

    Its words may come from a stranger's host, so what a terminal would obey is shown as an escape.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        """As MicrozooError."""
        super().__init__(harmless(problem), harmless(remedy))


class LockedError(MicrozooError):
    """Another build holds the output folder."""


class StorageError(MicrozooError):
    """The disk is full or the output cannot be written."""


class SiteError(MicrozooError):
    """The site cannot be rendered."""


def harmless(words: str) -> str:
    """A stranger's words as one line without what a terminal would obey, which is shown as an escape."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in words)
