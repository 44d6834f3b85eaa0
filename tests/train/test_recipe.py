from __future__ import annotations

import numpy as np
import pytest

from microzoo.train.recipe import Recipe


def test_linear_schedule_by_hand():
    rates = Recipe(learning_rate=1.0, schedule="linear", warmup=0.25).learning_rates(8)
    # Two of eight steps warm up: 1/2, 2/2. Then (8 - step) / 6 for steps 2 to 7.
    np.testing.assert_allclose(rates, [0.5, 1.0, 6 / 6, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6], rtol=1e-6)


def test_cosine_schedule_by_hand():
    rates = Recipe(learning_rate=2.0, schedule="cosine", warmup=0.0).learning_rates(4)
    # 1 - cos(pi * left) for left = 1, 3/4, 1/2, 1/4
    half = 0.5**0.5
    np.testing.assert_allclose(rates, [2.0, 1 + half, 1.0, 1 - half], rtol=1e-6)


@pytest.mark.parametrize("steps", [1, 2, 7, 1000])
@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_every_step_learns_and_none_more_than_the_rate(steps, schedule):
    rates = Recipe(learning_rate=0.3, schedule=schedule, warmup=0.1).learning_rates(steps)
    assert rates.shape == (steps,)
    assert rates.dtype == np.float32
    assert rates.min() > 0
    assert rates.max() <= 0.3 + 1e-7


def test_smaller_subsets_lie_within_larger_ones():
    small, large, all_of_it = (Recipe(samples=share).subset(1000) for share in (0.1, 0.3, 1.0))
    assert (len(small), len(large)) == (100, 300)
    assert set(small) < set(large)
    np.testing.assert_array_equal(all_of_it, np.arange(1000))


def test_every_epoch_sees_every_sample_once():
    recipe = Recipe(epochs=3, batch_size=7)
    subset = np.array([3, 5, 8, 13, 21, 34, 55])
    order = recipe.order(subset, 3, np.random.default_rng(0))
    np.testing.assert_array_equal(np.sort(order, axis=1), np.tile(subset, (3, 1)))
    assert not np.array_equal(order[0], order[1])


@pytest.mark.parametrize(("epochs", "steps"), [(1, 10), (0.5, 5), (2.5, 25), (0.001, 1)])
def test_fractions_of_an_epoch(epochs, steps):
    recipe = Recipe(epochs=epochs, batch_size=10)
    assert recipe.steps(100) == steps
    assert recipe.order(np.arange(100), steps, np.random.default_rng(0)).shape == (steps, 10)


@pytest.mark.parametrize(
    "fields", [{"epochs": 0}, {"batch_size": 1}, {"samples": 0.0}, {"samples": 1.1}, {"warmup": 1.0}, {"momentum": 1.0}]
)
def test_meaningless_recipes_are_refused(fields):
    with pytest.raises(AssertionError):
        Recipe(**fields)
