"""The full trainings of the finalists: each is kept on disk when it ends, so that a killed build loses only those in flight."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

from microzoo.build.report import Report
from microzoo.build.scratch import write_atomically
from microzoo.build.training import Final, FinalTask, Trainer
from microzoo.graph.serialise import dump_integer_model, parse_integer_model
from microzoo.search.executor import LocalExecutor


def train_finals(
    trainer: Trainer, tasks: Sequence[FinalTask], folder: Path, workers: int, report: Report, *, estimated_seconds: float
) -> dict[FinalTask, Final | str]:
    """All tasks with what they gave; a text says why one gave nothing.

    folder: where finished ones are kept. estimated_seconds: of all tasks together, shown until there is something measured.
    """
    paths = {task: folder / f"{task.ordinal}-{task.seed}-{task.epochs:.3f}.final" for task in tasks}
    results: dict[FinalTask, Final | str] = {
        task: parse_final(path.read_bytes()) for task, path in paths.items() if path.is_file()
    }
    missing = [task for task in tasks if task not in results]
    report.training(len(results), len(tasks), estimated_seconds * len(missing) / max(1, len(tasks)))
    if not missing:
        return results
    started = time.monotonic()
    executor: LocalExecutor[FinalTask, Final | str]
    with LocalExecutor(trainer.finish, workers, threads=trainer.device != "cpu") as executor:
        for task in missing:
            executor.submit(task)
        for number in range(len(missing)):
            task, outcome = executor.next()
            results[task] = outcome
            if isinstance(outcome, Final):
                write_atomically(paths[task], dump_final(outcome))
            else:
                report.note(f"{trainer.job.place}: candidate {task.ordinal}, seed {task.seed}: {outcome}")
            each = (time.monotonic() - started) / (number + 1)
            report.training(len(tasks) - len(missing) + number + 1, len(tasks), each * (len(missing) - number - 1))
    return results


def dump_final(final: Final) -> bytes:
    """A finished training as bytes: length of the head, head in JSON, the model."""
    head = json.dumps({"float": final.validation_float, "int8": final.validation_int8, "calibration": final.calibration}).encode()
    return len(head).to_bytes(4, "little") + head + dump_integer_model(final.model)


def parse_final(content: bytes) -> Final:
    """The inverse of `dump_final`."""
    length = int.from_bytes(content[:4], "little")
    head = json.loads(content[4 : 4 + length])
    return Final(parse_integer_model(content[4 + length :]), head["float"], head["int8"], head["calibration"])
