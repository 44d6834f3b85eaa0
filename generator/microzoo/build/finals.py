"""The full trainings of the finalists: each is on disk the moment it ends, so that a killed build loses only those in flight."""

from __future__ import annotations

import hashlib
import json
import time
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from microzoo.build.budget import FullTrainings
from microzoo.build.key import digest, training_fingerprint
from microzoo.build.report import Report
from microzoo.build.scratch import write_atomically
from microzoo.build.training import Final, FinalTask, Trainer
from microzoo.errors import StorageError
from microzoo.graph.serialise import dump_integer_model, parse_integer_model
from microzoo.search.executor import LocalExecutor

OUT_OF_MEMORY = "training out of memory"
"""An outcome that is not kept: another moment or another machine may have enough."""
Outcome = Final | str
"""A finished training, or why there is none."""


@dataclass(frozen=True)
class Finisher:
    """What a worker does with a task: train, write the outcome into `folder`, hand it over."""

    trainer: Trainer
    folder: Path

    def path(self, task: FinalTask) -> Path:
        """Where the outcome of `task` is kept: another architecture, recipe, quantisation or device is another file."""
        stamp = digest(
            {
                "training": training_fingerprint(self.trainer.job),
                "architecture": task.architecture.to_json(),
                "sparsity": task.sparsity,
                "epochs": task.epochs,
                "device": self.trainer.device,
            }
        )
        return self.folder / f"{task.ordinal}-{task.seed}-{stamp[:16]}.final"

    def __call__(self, task: FinalTask) -> Outcome:
        """The outcome, which is on disk when this returns, unless another run may fare better."""
        outcome = self.trainer.finish(task)
        if outcome != OUT_OF_MEMORY:
            write_atomically(self.path(task), dump_outcome(outcome))
        return outcome


def train_finals(
    trainer: Trainer, tasks: Sequence[FinalTask], folder: Path, workers: int, report: Report, *, estimated_seconds: float
) -> dict[FinalTask, Outcome]:
    """All tasks with what they gave.

    folder: where outcomes are kept. estimated_seconds: of all tasks together, shown until there is something measured.
    """
    finish = Finisher(trainer, folder)
    results = _kept(finish, tasks, report)
    missing = [task for task in tasks if task not in results]
    report.training(len(results), len(tasks), estimated_seconds * len(missing) / max(1, len(tasks)))
    if missing:
        started = time.monotonic()
        executor: LocalExecutor[FinalTask, Outcome]
        with LocalExecutor(finish, workers, threads=trainer.device != "cpu") as executor:
            for task in missing:
                executor.submit(task)
            for number in range(len(missing)):
                task, results[task] = executor.next()
                each = (time.monotonic() - started) / (number + 1)
                report.training(len(tasks) - len(missing) + number + 1, len(tasks), each * (len(missing) - number - 1))
    for task, outcome in results.items():
        if isinstance(outcome, str):
            report.note(f"{trainer.job.place}: candidate {task.ordinal}, seed {task.seed}: {outcome}")
    return results


def _kept(finish: Finisher, tasks: Sequence[FinalTask], report: Report) -> dict[FinalTask, Outcome]:
    """What earlier runs finished; a damaged file is noted and trained again."""
    results: dict[FinalTask, Outcome] = {}
    for task in tasks:
        path = finish.path(task)
        if not path.is_file():
            continue
        try:
            results[task] = parse_outcome(path.read_bytes())
        except ValueError as error:
            report.note(f"{path}: {error}; trained again")
        except OSError as error:
            raise StorageError(f"{path}: cannot be read: {error.strerror}", "mend it, or use another --work") from error
    return results


def under_way(trainer: Trainer, folder: Path, tasks: Sequence[FinalTask]) -> bool:
    """Whether some of `tasks` were finished by an earlier run, and others not."""
    finish = Finisher(trainer, folder)
    done = [finish.path(task).is_file() for task in tasks]
    return any(done) and not all(done)


def planned(
    folder: Path,
    ordinals: Sequence[int],
    wanted: FullTrainings,
    affordable: FullTrainings,
    under_way: Callable[[FullTrainings], bool],
) -> FullTrainings:
    """The full trainings: what the time budget affords; what an earlier run of the same finalists planned if that is more, or if
    it is `under_way`.

    A second start of a build that was stopped has another clock; without this it would drop what is already trained.
    """
    path = folder / "plan.json"
    about = {"ordinals": list(ordinals), "wanted": asdict(wanted)}
    plan: object = {}
    if path.is_file():
        try:
            plan = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            plan = {}
    chosen = affordable
    if isinstance(plan, dict) and all(plan.get(key) == value for key, value in about.items()):
        seeds, epochs = plan.get("seeds"), plan.get("epochs")
        if isinstance(seeds, int) and isinstance(epochs, float):
            before = FullTrainings(seeds, epochs)
            if seeds * epochs > affordable.seeds * affordable.epochs or under_way(before):
                chosen = before
    write_atomically(path, json.dumps({**about, "seeds": chosen.seeds, "epochs": float(chosen.epochs)}).encode())
    return chosen


def dump_outcome(outcome: Outcome) -> bytes:
    """An outcome as bytes: SHA-256 of the rest, length of the head, head in JSON, the model."""
    head: dict[str, str | float] = {}
    model = b""
    if isinstance(outcome, str):
        head["failure"] = outcome
    else:
        head |= {"float": outcome.validation_float, "int8": outcome.validation_int8, "calibration": outcome.calibration}
        model = dump_integer_model(outcome.model)
    text = json.dumps(head).encode()
    payload = len(text).to_bytes(4, "little") + text + model
    return hashlib.sha256(payload).digest() + payload


def parse_outcome(content: bytes) -> Outcome:
    """The inverse of `dump_outcome`. Raises ValueError on bytes that it did not write."""
    checksum, payload = content[:32], content[32:]
    if hashlib.sha256(payload).digest() != checksum:
        raise ValueError("is damaged")
    length = int.from_bytes(payload[:4], "little")
    head = json.loads(payload[4 : 4 + length])
    try:
        if "failure" in head:
            return str(head["failure"])
        model = parse_integer_model(payload[4 + length :])
        return Final(model, head["float"], head["int8"], head["calibration"])
    except (KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"was written by another version ({error})") from error
