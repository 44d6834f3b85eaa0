from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from microzoo.prune.schedule import PruningPlan
from microzoo.train.augment import Augmentation
from microzoo.train.cuda import CapturedSteps, EagerSteps, runner
from microzoo.train.loop import fit
from microzoo.train.recipe import Recipe


class RecordedGraph:
    """Stands in for a CUDA graph: replaying it runs the steps that it was captured from."""

    def __init__(self, step, chunk):
        self.step, self.chunk, self.replays = step, chunk, 0

    def replay(self):
        self.replays += 1
        for _ in range(self.chunk):
            self.step()


@pytest.mark.parametrize("calls", [[5, 16, 16, 16], [16, 16], [1, 1, 1, 1], [2, 2, 2, 2, 2]])
def test_captured_steps_run_as_many_as_asked(calls, monkeypatch):
    done = []
    chunk = max(calls)
    graph = RecordedGraph(lambda: done.append(1), chunk)
    monkeypatch.setattr(CapturedSteps, "_capture", lambda _: graph)
    run = CapturedSteps(lambda: done.append(1), chunk)
    for count in calls:
        run(count)
    assert len(done) == sum(calls)
    eager = sum(calls) - graph.replays * chunk
    assert eager >= min(3, sum(calls)), "libraries must be warm before a capture"


def test_the_cpu_runs_step_after_step():
    done = []
    run = runner(lambda: done.append(1), 16, torch.device("cpu"))
    assert isinstance(run, EagerSteps)
    run(5)
    assert len(done) == 5


@pytest.mark.cuda
@pytest.mark.parametrize("pruning", [None, PruningPlan(0.4)])
def test_a_captured_training_is_as_good_as_an_eager_one(convolutional, stripes, pruning):
    graph = convolutional((6, 6, 1), 3, ((8, 1), (12, 2), (16, 1)))
    recipe = Recipe(epochs=20, batch_size=20)
    augmentation = Augmentation(shift_height=1, shift_width=1, noise=0.1)
    on_cpu, on_cuda = (
        fit(graph, stripes, recipe, seed=0, device=device, pruning=pruning, augmentation=augmentation)
        for device in ("cpu", "cuda")
    )
    assert on_cuda.failure is None
    assert on_cuda.epochs == on_cpu.epochs
    assert abs(on_cuda.validation_accuracy - on_cpu.validation_accuracy) <= 0.1


@pytest.mark.cuda
def test_candidates_train_in_parallel_threads(convolutional, stripes):
    graph = convolutional((6, 6, 1), 3, ((8, 1), (12, 2)))
    results = {}

    def train(seed: int) -> None:
        results[seed] = fit(graph, stripes, Recipe(epochs=20, batch_size=20), seed=seed, device="cuda")

    threads = [threading.Thread(target=train, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [0, 1, 2, 3]
    assert all(result.failure is None for result in results.values())
    assert np.mean([result.validation_accuracy for result in results.values()]) > 0.8
