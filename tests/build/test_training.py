from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from microzoo.build import training
from microzoo.build.finals import Finisher
from microzoo.build.publish import loss_in_int8
from microzoo.build.scratch import store_arrays
from microzoo.data.arrays import Dataset, Part
from microzoo.errors import TrainingError
from microzoo.graph.graph import Graph
from microzoo.graph.integer import IntegerModel
from microzoo.graph.serialise import dump_integer_model
from microzoo.space.architecture import Architecture, Block, Layer
from microzoo.spec.load import load_jobs
from microzoo.spec.models import QuantiseSpec
from microzoo.train.loop import Trained
from microzoo.train.module import GraphModule, weights

MODEL = IntegerModel(Graph("x", (1, 1, 1), (), "x"), {}, {})


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


def test_a_card_says_so_where_int8_costs_more_than_a_point() -> None:
    def said(real: float, int8: float) -> tuple[str, ...]:
        return loss_in_int8(training.Final(MODEL, real, int8, "mse, bias corrected"))

    assert said(0.9, 0.95) == said(0.9, 0.9) == said(0.9, 0.891) == said(0.9, 0.89) == ()
    (sentence,) = said(0.9, 0.8876)
    assert sentence == "Quantisation costs 1.2 points: 90.00% of the validation split in float, 88.76% in int8."


@dataclass
class _Digits:
    """Two classes that a dot product tells apart, as arrays of a job of the digits."""

    folder: Path

    def trainer(self, **quantise: object) -> training.Trainer:
        job = load_jobs([Path(__file__).parents[2] / "specs" / "demo.toml"])[0]
        family = job.family.model_copy(update={"quantise": QuantiseSpec.model_validate(quantise)})
        return training.Trainer(replace(job, family=family), self.folder, "cpu")


@pytest.fixture
def digits(tmp_path: Path) -> Iterator[_Digits]:
    rng = np.random.default_rng(0)
    parts = []
    for count in (300, 200):
        labels = rng.integers(0, 10, count)
        images = rng.uniform(0, 0.5, (count, 8, 8, 1))
        images[np.arange(count), labels % 8, labels // 8 * 4] += 0.5
        parts.append(Part(images.astype(np.float32), labels))
    store_arrays(tmp_path / "arrays", Dataset(*parts, parts[1]))
    yield _Digits(tmp_path / "arrays")
    training._loaded_training_data.cache_clear()
    training._loaded_parts.cache_clear()


def _trained(trainer: training.Trainer, accuracy: float) -> Trained:
    """An untrained network that claims `accuracy`."""
    architecture = Architecture((Block((Layer("conv", filters=4), Layer("depthwise", filters=4))),), global_pool=True)
    graph = trainer._graph(architecture)
    return Trained(graph, weights(GraphModule(graph, np.random.default_rng(0))), accuracy, 400.0, 1.0)


def test_what_lost_nothing_is_not_repaired_and_what_lost_much_is_fine_tuned(digits: _Digits) -> None:
    trainer = digits.trainer(finetune=0.08)
    nothing_lost = trainer._quantised(_trained(trainer, 0.0), 1)
    assert nothing_lost.calibration in ("minmax", "percentile", "mse")
    much_lost = trainer._quantised(_trained(trainer, 0.99), 1)
    assert much_lost.calibration.endswith("fine-tuned 32 epochs")  # that share of the epochs that it claims
    assert much_lost.validation_int8 > nothing_lost.validation_int8
    again = trainer._quantised(_trained(trainer, 0.99), 1)
    assert dump_integer_model(again.model) == dump_integer_model(much_lost.model)
    off = digits.trainer(finetune=0.0, equalise=False, bias_correction=False, methods=["percentile"])
    assert off._quantised(_trained(off, 0.99), 1).calibration == "percentile"


def test_fine_tuning_that_is_stopped_is_no_outcome(digits: _Digits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "stop_requested", lambda: True)
    trainer = digits.trainer()
    with pytest.raises(TrainingError, match="was stopped; run the same command again"):
        trainer._quantised(_trained(trainer, 0.99), 1)
