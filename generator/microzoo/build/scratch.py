"""The work folder of one job: prepared arrays, the search's history, finished full trainings. All of it can be made again."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from microzoo.catalog.files import writing
from microzoo.data.arrays import Dataset, Part
from microzoo.spec.load import Job

PARTS = ("train", "validation")


def history_path(work: Path, job: Job, identity: str) -> Path:
    """The search's database; another identity is another file."""
    return work / job.place / identity[:16] / "history.sqlite"


def finals_folder(work: Path, job: Job, identity: str) -> Path:
    """Where finished full trainings are kept."""
    return work / job.place / identity[:16] / "finals"


def weights_folder(work: Path, job: Job, identity: str) -> Path:
    """Where the weights of candidates lie for their children."""
    return work / job.place / identity[:16] / "weights"


def kept_weights(folder: Path, ordinal: int) -> Path:
    """The trained network of one evaluation."""
    return folder / f"{ordinal}.npz"


def drop_old_weights(folder: Path, evaluations: int, *, keep: int) -> None:
    """Removes the weights that nobody can inherit any more: all but those of the newest `keep` evaluations."""
    for path in folder.glob("*.npz"):
        if path.stem.isdecimal() and int(path.stem) < evaluations - keep:
            path.unlink(missing_ok=True)


def store_arrays(folder: Path, dataset: Dataset) -> None:
    """Training and validation split as .npy files, so that worker processes share them; never the test split."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name in PARTS:
            part: Part = getattr(dataset, name)
            for letter, array in (("x", part.x), ("y", part.y)):
                partial = folder / f".{name}-{letter}.npy"
                with partial.open("wb") as file:
                    # Not np.save: on a full disk it loses the reason.
                    np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
                    file.write(np.ascontiguousarray(array).data)
                partial.replace(folder / f"{name}-{letter}.npy")


def load_arrays(folder: Path) -> tuple[Part, Part]:
    """Training and validation split as `store_arrays` left them, mapped: processes that only read share the memory."""

    def part(name: str) -> Part:
        return Part(*(np.load(folder / f"{name}-{letter}.npy", mmap_mode="c") for letter in "xy"))

    train, validation = (part(name) for name in PARTS)
    return train, validation


def write_atomically(path: Path, content: bytes) -> None:
    """The whole file or none of it."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}")
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
