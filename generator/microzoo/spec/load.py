"""From TOML files to jobs: every family x target, validated, with everything it names resolved.

All mistakes in all files are reported at once, as one SpecError.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from microzoo.errors import SpecError, SpecProblem
from microzoo.spec.base import Model
from microzoo.spec.dataset import DatasetSpec
from microzoo.spec.lines import key_lines, line_of
from microzoo.spec.models import FamilySpec, TargetSpec
from microzoo.spec.problems import nearest, spec_problems

M = TypeVar("M", bound=Model)
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True)
class Job:
    """One thing to build: one dataset on one target."""

    family_name: str
    family: FamilySpec
    dataset_name: str
    dataset: DatasetSpec
    target_name: str
    target: TargetSpec

    @property
    def place(self) -> str:
        """dataset/target: the folder of its entries in the zoo."""
        return f"{self.dataset_name}/{self.target_name}"


@dataclass
class _Reader:
    """Reads each file once and gathers what is wrong with it."""

    problems: list[SpecProblem] = field(default_factory=list)
    loaded: dict[Path, Model | None] = field(default_factory=dict)
    texts: dict[Path, str] = field(default_factory=dict)

    def read(self, file: Path, model: type[M]) -> M | None:
        """The validated spec, or None after noting why not."""
        if file not in self.loaded:
            self.loaded[file] = self._parse(file, model)
        result = self.loaded[file]
        assert result is None or isinstance(result, model)
        return result

    def _parse(self, file: Path, model: type[M]) -> M | None:
        if not _NAME.fullmatch(file.stem):
            self.problems.append(
                SpecProblem(file, "", f'"{file.stem}" cannot be a name; use a-z, 0-9, - and _, at most 64 of them')
            )
        try:
            text = file.read_text(encoding="utf-8")
        except OSError as error:
            self.problems.append(SpecProblem(file, "", f"cannot be read: {error.strerror}"))
            return None
        except UnicodeDecodeError as error:
            self.problems.append(SpecProblem(file, "", f"is not UTF-8: byte {error.start}"))
            return None
        self.texts[file] = text
        try:
            raw: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            place = re.search(r"at line (\d+)", str(error))
            self.problems.append(SpecProblem(file, "", f"is not TOML: {error}", int(place[1]) if place else None))
            return None
        try:
            return model.model_validate(raw)
        except ValidationError as error:
            self.problems.extend(spec_problems(file, text, model, error))
            return None


def spec_files(paths: Sequence[Path]) -> list[Path]:
    """The family files that `paths` stand for: a file itself, a folder's own *.toml in the order of their names."""
    problems: list[SpecProblem] = []
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            found = sorted(path.glob("*.toml"))
            if not found:
                problems.append(
                    SpecProblem(path, "", "holds no spec; write one, for instance demo.toml with dataset and targets")
                )
            files.extend(found)
        elif path.exists():
            files.append(path)
        else:
            siblings = [p.name for p in path.parent.glob("*.toml")] if path.parent.is_dir() else []
            problems.append(SpecProblem(path, "", f"no such file or folder; {nearest(path.name, siblings)}".rstrip("; ")))
    if problems:
        raise SpecError(tuple(problems))
    return list(dict.fromkeys(files))


def load_jobs(paths: Sequence[Path]) -> list[Job]:
    """Every family x target below `paths`. Raises SpecError with all mistakes of all files."""
    reader = _Reader()
    jobs: list[Job] = []
    owners: dict[str, Path] = {}
    for file in spec_files(paths):
        for job in _family_jobs(reader, file):
            if job.place in owners:
                message = f"{job.place} is built by {owners[job.place]} already; two families cannot share a dataset and a target"
                reader.problems.append(SpecProblem(file, "targets", message))
            owners[job.place] = file
            jobs.append(job)
    if reader.problems:
        raise SpecError(tuple(dict.fromkeys(reader.problems)))
    return jobs


def load_folder(folder: Path, model: type[M]) -> dict[str, M]:
    """All specs of one kind in a folder, by name. Raises SpecError with all mistakes."""
    reader = _Reader()
    specs = {file.stem: reader.read(file, model) for file in sorted(folder.glob("*.toml"))}
    if reader.problems:
        raise SpecError(tuple(reader.problems))
    return {name: spec for name, spec in specs.items() if spec is not None}


def _family_jobs(reader: _Reader, file: Path) -> list[Job]:
    family = reader.read(file, FamilySpec)
    root = file.parent
    if family is None:
        _check_names_of_broken(reader, file, root)
        return []
    dataset = _named(reader, file, "dataset", family.dataset, root / "datasets", DatasetSpec)
    jobs = []
    for index, name in enumerate(family.targets):
        if name in family.targets[:index]:
            reader.problems.append(_problem(reader, file, f"targets[{index}]", f'"{name}" is named twice'))
            continue
        target = _named(reader, file, f"targets[{index}]", name, root / "targets", TargetSpec)
        if dataset is not None and target is not None:
            jobs.append(Job(file.stem, family, family.dataset, dataset, name, target))
    return jobs


def _check_names_of_broken(reader: _Reader, file: Path, root: Path) -> None:
    """A family with mistakes still has its dataset and targets looked up, so that all mistakes come at once."""
    try:
        raw: dict[str, Any] = tomllib.loads(reader.texts.get(file, ""))
    except tomllib.TOMLDecodeError:
        return
    if isinstance(name := raw.get("dataset"), str) and _NAME.fullmatch(name):
        _named(reader, file, "dataset", name, root / "datasets", DatasetSpec)
    targets = raw.get("targets")
    for index, name in enumerate(targets if isinstance(targets, list) else []):
        if isinstance(name, str) and _NAME.fullmatch(name):
            _named(reader, file, f"targets[{index}]", name, root / "targets", TargetSpec)


def _named(reader: _Reader, file: Path, key: str, name: str, folder: Path, model: type[M]) -> M | None:
    path = folder / f"{name}.toml"
    if path.is_file():
        return reader.read(path, model)
    known = sorted(p.stem for p in folder.glob("*.toml"))
    what = "dataset" if model is DatasetSpec else "target"
    there = f"{folder} has: {', '.join(known)}" if known else f"{folder} holds none"
    reader.problems.append(_problem(reader, file, key, f'"{name}": no such {what}; {nearest(name, known)}{there}'))
    return None


def _problem(reader: _Reader, file: Path, key: str, message: str) -> SpecProblem:
    return SpecProblem(file, key, message, line_of(key_lines(reader.texts.get(file, "")), (key.split("[", maxsplit=1)[0],)))
