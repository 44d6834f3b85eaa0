from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from microzoo.build import training
from microzoo.build.finals import Finisher
from microzoo.data.arrays import Part
from microzoo.errors import TrainingError
from microzoo.graph.graph import Graph
from microzoo.space.architecture import Architecture, Block, Layer
from microzoo.spec.load import load_jobs
from microzoo.train.loop import Trained


def test_threads_that_start_together_load_the_arrays_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[Path] = []

    def load(folder: Path) -> tuple[Part, Part]:
        loaded.append(folder)
        time.sleep(0.2)
        part = Part(np.zeros((4, 2, 2, 1), np.float32), np.zeros(4, np.int64))
        return part, part

    monkeypatch.setattr(training, "load_arrays", load)
    results: list[object] = []
    threads = [threading.Thread(target=lambda: results.append(training._training_data(Path("arrays")))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    training._loaded_training_data.cache_clear()
    training._loaded_parts.cache_clear()
    assert loaded == [Path("arrays")]
    assert len(results) == 4
    assert len({id(result) for result in results}) == 1


class _Stopped(training.Trainer):
    def _fit_in_full(self, _: training.FinalTask) -> object:
        return replace(_nothing(), failure=training.STOPPED)


class _OutOfMemory(training.Trainer):
    def _fit_in_full(self, _: training.FinalTask) -> object:
        return replace(_nothing(), failure="out of memory")


def _nothing() -> Trained:
    return Trained(Graph("x", (1, 1, 1), (), "x"), {}, 0.0, 0.0, 0.0)


def test_a_full_training_that_was_stopped_or_lacked_memory_is_tried_again(tmp_path: Path) -> None:
    """Left on the disk as an outcome, it would stand against its finalist for ever."""
    job = load_jobs([Path(__file__).parents[2] / "specs" / "demo.toml"])[0]
    task = training.FinalTask(3, Architecture((Block((Layer("conv"),)),)), 0.0, 0, 1.0)
    with pytest.raises(TrainingError, match="was stopped; run the same command again"):
        Finisher(_Stopped(job, tmp_path, "cpu"), tmp_path / "finals")(task)
    assert Finisher(_OutOfMemory(job, tmp_path, "cpu"), tmp_path / "finals")(task) == "training out of memory"
    assert not (tmp_path / "finals").exists()
