from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from microzoo.errors import TrainingError
from microzoo.prune.groups import channel_groups
from microzoo.prune.masks import ChannelMasks
from microzoo.prune.schedule import PruningPlan
from microzoo.train.augment import Augmentation
from microzoo.train.data import TrainingData
from microzoo.train.evaluate import accuracy
from microzoo.train.loop import Trained, fit
from microzoo.train.module import GraphModule, weights
from microzoo.train.recipe import Recipe
from microzoo.train.step import TrainingStep

LAYERS = ((8, 1), (12, 2), (16, 1))
SHORT = Recipe(epochs=3, batch_size=20)


def same_weights(left, right) -> bool:
    """Whether two trainings gave the same bits."""
    return left.graph == right.graph and pickle.dumps(left.weights) == pickle.dumps(right.weights)


def test_digits_are_learned_in_seconds(convolutional, digits):
    graph = convolutional((8, 8, 1), 10, ((16, 1), (24, 2), (32, 1)))
    trained = fit(graph, digits, Recipe(epochs=15), seed=0)
    assert trained.failure is None
    assert trained.validation_accuracy >= 0.97


def test_the_same_seed_gives_the_same_bits(convolutional, stripes):
    graph = convolutional((6, 6, 1), 3, LAYERS)
    everything = {"pruning": PruningPlan(0.4), "augmentation": Augmentation(1, 1, flip=True, noise=0.2)}
    first, again, other = (fit(graph, stripes, SHORT, seed=seed, **everything) for seed in (5, 5, 6))
    assert same_weights(first, again)
    assert first.validation_accuracy == again.validation_accuracy
    assert not same_weights(first, other)


def test_the_caller_random_state_is_neither_used_nor_changed(convolutional, stripes):
    graph = convolutional((6, 6, 1), 3, LAYERS)
    torch.manual_seed(1)
    first = fit(graph, stripes, SHORT, seed=0)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert same_weights(first, fit(graph, stripes, SHORT, seed=0))
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("sparsity", [0.25, 0.5, 0.9])
def test_pruning_removes_the_share_of_channels_it_was_asked_to(convolutional, stripes, sparsity):
    graph = convolutional((6, 6, 1), 3, LAYERS)
    trained = fit(graph, stripes, SHORT, seed=0, pruning=PruningPlan(sparsity))
    # The first layer's 8 channels stay; 12 + 16 = 28 are prunable.
    left = sum(group.channels for group in channel_groups(trained.graph))
    assert left == 28 - min(round(sparsity * 28), 26)
    assert trained.graph.shapes["map0"] == graph.shapes["map0"]


def test_the_accuracy_is_that_of_the_weights_returned(convolutional, stripes):
    graph = convolutional((6, 6, 1), 3, LAYERS)
    trained = fit(graph, stripes, Recipe(epochs=20, batch_size=20), seed=1, pruning=PruningPlan(0.3))
    assert trained.validation_accuracy == accuracy(trained.graph, trained.weights, stripes.x_val, stripes.y_val)
    assert trained.validation_accuracy > 0.8


def test_masks_are_renewed_by_the_plan_and_then_frozen(convolutional, stripes, monkeypatch):
    asked = []
    renew = ChannelMasks.renew

    def noting(masks, weights, sparsity, saliency):
        asked.append(sparsity)
        renew(masks, weights, sparsity, saliency)

    monkeypatch.setattr(ChannelMasks, "renew", noting)
    plan = PruningPlan(0.5, start=0.25, end=0.5, every=4)
    fit(convolutional((6, 6, 1), 3, LAYERS), stripes, Recipe(epochs=5.34, batch_size=20), seed=0, pruning=plan)
    # 80 steps: renewed before steps 20, 24, ..., 40, and no more.
    np.testing.assert_allclose(asked, [plan.sparsity_at(step / 80) for step in range(20, 41, 4)])
    assert asked[-1] == 0.5


@pytest.mark.parametrize("epochs", [0.05, 0.2, 1.0])
def test_even_the_shortest_training_is_pruned(convolutional, stripes, epochs):
    trained = fit(
        convolutional((6, 6, 1), 3, LAYERS), stripes, Recipe(epochs=epochs, batch_size=20), seed=0, pruning=PruningPlan(0.5)
    )
    assert trained.failure is None
    assert sum(group.channels for group in channel_groups(trained.graph)) == 14


def test_epochs_are_passes_over_the_full_split(convolutional, stripes):
    graph = convolutional((6, 6, 1), 3, LAYERS)
    # 300 samples, of which 30; four passes over them are 120 samples, 6 steps of 20: 120 / 300 of the full split.
    assert fit(graph, stripes, Recipe(epochs=4, batch_size=20, samples=0.1), seed=0).epochs == pytest.approx(0.4)
    assert fit(graph, stripes, Recipe(epochs=1, batch_size=20), seed=0).epochs == pytest.approx(1.0)


def test_progress_is_told_after_every_epoch(convolutional, stripes):
    told = []
    fit(convolutional((6, 6, 1), 3, LAYERS), stripes, Recipe(epochs=20, batch_size=20), seed=0, on_epoch=told.append)
    assert len(told) >= 15
    assert [progress.epoch for progress in told] == sorted(progress.epoch for progress in told)
    assert told[-1].epoch == told[-1].epochs == 20
    assert told[-1].loss < told[0].loss


def test_divergence_is_an_outcome_not_an_exception(convolutional, stripes):
    graph = convolutional((6, 6, 1), 3, LAYERS, batch_norm=False)
    trained = fit(graph, stripes, Recipe(epochs=3, batch_size=20, learning_rate=1e30), seed=0)
    assert (trained.failure, trained.validation_accuracy, trained.weights, trained.graph) == ("diverged", 0.0, {}, graph)
    assert trained.epochs > 0


def test_a_stopped_training_says_so(convolutional, stripes):
    answers = iter([False, False, True])
    graph = convolutional((6, 6, 1), 3, LAYERS)
    trained = fit(graph, stripes, Recipe(epochs=100, batch_size=20), seed=0, should_stop=lambda: next(answers))
    assert (trained.failure, trained.validation_accuracy, trained.weights) == ("stopped", 0.0, {})
    # 1,500 steps are 12 and then chunks of 16: two chunks were done.
    assert trained.epochs == pytest.approx(28 * 20 / 300)


def test_running_out_of_memory_is_an_outcome(convolutional, stripes, monkeypatch):
    def exhausted(_: TrainingStep) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(TrainingStep, "__call__", exhausted)
    trained = fit(convolutional((6, 6, 1), 3, LAYERS), stripes, SHORT, seed=0)
    assert (trained.failure, trained.validation_accuracy, trained.epochs) == ("out of memory", 0.0, 0.0)


@pytest.mark.parametrize("device", ["tpu9", "meta", "cuda:63"])
def test_a_device_that_is_not_there_is_named(convolutional, stripes, device):
    with pytest.raises(TrainingError, match=device):
        fit(convolutional((6, 6, 1), 3, LAYERS), stripes, SHORT, seed=0, device=device)


def test_training_data_travels_to_another_process(stripes):
    stripes.on(torch.device("cpu"))
    copy = pickle.loads(pickle.dumps(stripes))
    np.testing.assert_array_equal(copy.x_train, stripes.x_train)
    assert copy.on(torch.device("cpu"))[0].shape == stripes.x_train.shape


def test_a_memory_mapped_file_is_trained_on_in_place(convolutional, stripes, tmp_path):
    np.save(tmp_path / "x.npy", stripes.x_train)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="c")
    data = TrainingData(mapped, stripes.y_train, stripes.x_val, stripes.y_val)
    x, _ = data.on(torch.device("cpu"))
    assert x.data_ptr() == mapped.ctypes.data
    graph = convolutional((6, 6, 1), 3, ((4, 1),))
    results = [
        fit(graph, each, Recipe(epochs=1, batch_size=20), seed=0, augmentation=Augmentation(1, 1)) for each in (data, stripes)
    ]
    for name, layer in results[0].weights.items():
        np.testing.assert_array_equal(layer.weight, results[1].weights[name].weight)
    np.testing.assert_array_equal(mapped, stripes.x_train)


def test_a_host_without_memory_ends_the_training_and_other_errors_are_not_hidden(convolutional, stripes, monkeypatch):
    graph = convolutional((6, 6, 1), 3, ((4, 1),))

    def train() -> Trained:
        return fit(graph, stripes, Recipe(epochs=1, batch_size=20), seed=0)

    monkeypatch.setattr("microzoo.train.loop.TrainingStep", lambda *_: torch.empty(1 << 50))  # 4 PiB
    assert train().failure == "out of memory"
    monkeypatch.setattr("microzoo.train.loop.TrainingStep", lambda *_: torch.ones(2) @ torch.ones(3))
    with pytest.raises(RuntimeError, match="inconsistent tensor size"):
        train()


def test_a_training_starts_from_the_weights_it_is_given(convolutional, stripes):
    graph = convolutional((6, 6, 1), 3, LAYERS)
    learned = fit(graph, stripes, Recipe(epochs=20, batch_size=20), seed=0)
    creeping = Recipe(epochs=0.1, batch_size=20, learning_rate=1e-6)
    before = pickle.dumps(learned.weights)
    again = fit(graph, stripes, creeping, seed=1, initial=learned.weights)
    assert pickle.dumps(learned.weights) == before
    for name, layer in again.weights.items():
        np.testing.assert_allclose(layer.weight, learned.weights[name].weight, atol=1e-4)
    assert again.validation_accuracy > 0.8 > fit(graph, stripes, creeping, seed=1).validation_accuracy


def test_the_seed_own_weights_given_as_initial_change_nothing(convolutional, stripes):
    graph = convolutional((6, 6, 1), 3, LAYERS)
    drawing = np.random.default_rng(np.random.SeedSequence(5).spawn(3)[0])
    own = weights(GraphModule(graph, drawing))
    assert same_weights(fit(graph, stripes, SHORT, seed=5), fit(graph, stripes, SHORT, seed=5, initial=own))
