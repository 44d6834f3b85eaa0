from __future__ import annotations

import numpy as np
import pytest
import torch

from microzoo.train.augment import Augmentation, Batches

ORDER = np.random.default_rng(5).integers(0, 20, (40, 16))
X = torch.randn(20, 5, 4, 2, generator=torch.Generator().manual_seed(0))
Y = torch.arange(20)


def batch(augmentation: Augmentation, step: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    batches = Batches(X, Y, ORDER, augmentation, np.random.default_rng(seed))
    x, y = batches(torch.tensor([step]))
    return x.numpy(), y.numpy()


def placements(sample: np.ndarray, augmentation: Augmentation) -> dict[tuple[int, int, bool], np.ndarray]:
    """Every picture that the augmentation may make of one sample, by shift down, shift right and flip."""
    result = {}
    height, width, _ = sample.shape
    for flip in (False, True) if augmentation.flip else (False,):
        source = sample[:, ::-1] if flip else sample
        for down in range(-augmentation.shift_height, augmentation.shift_height + 1):
            for right in range(-augmentation.shift_width, augmentation.shift_width + 1):
                moved = np.full_like(sample, augmentation.fill)
                for row in range(height):
                    for column in range(width):
                        if 0 <= row - down < height and 0 <= column - right < width:
                            moved[row, column] = source[row - down, column - right]
                result[down, right, flip] = moved
    return result


def test_without_augmentation_the_samples_come_as_they_are():
    x, y = batch(Augmentation(), 7)
    np.testing.assert_array_equal(x, X.numpy()[ORDER[7]])
    np.testing.assert_array_equal(y, ORDER[7])


@pytest.mark.parametrize(
    "augmentation",
    [
        Augmentation(shift_height=2, shift_width=1, fill=-0.5),
        Augmentation(shift_height=1, shift_width=1, flip=True),
        Augmentation(flip=True),
        Augmentation(shift_height=3),
    ],
)
def test_every_shift_and_flip_occurs_and_nothing_else(augmentation):
    seen = set()
    possible = [placements(sample.numpy(), augmentation) for sample in X]
    for step in range(len(ORDER)):
        x, y = batch(augmentation, step)
        for picture, label in zip(x, y, strict=True):
            matches = [place for place, expected in possible[label].items() if np.array_equal(picture, expected)]
            assert len(matches) == 1, f"step {step}, sample {label}"
            seen.add(matches[0])
    assert seen == set(possible[0])


def test_noise_has_the_deviation_and_differs_between_samples():
    noisy, labels = batch(Augmentation(noise=0.3), 0)
    noise = noisy - X.numpy()[labels]
    # 16 * 40 draws: the standard error of the deviation is 2.8 %.
    assert noise.std() == pytest.approx(0.3, rel=0.12)
    assert abs(noise.mean()) < 0.05
    assert len({tuple(sample.ravel()[:3]) for sample in noise.round(5)}) == len(noise)


def test_the_seed_decides_everything():
    augmentation = Augmentation(shift_height=1, shift_width=1, flip=True, noise=0.1)
    first, again, other = (batch(augmentation, 3, seed)[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_data_is_not_copied():
    x = torch.zeros(4000, 8, 8, 1)
    augmentation = Augmentation(shift_height=2, shift_width=2, flip=True)
    batches = Batches(x, torch.zeros(4000, dtype=torch.int64), ORDER, augmentation, np.random.default_rng(0))
    held = [value for value in vars(batches).values() if isinstance(value, torch.Tensor)]
    assert any(value.data_ptr() == x.data_ptr() for value in held)
    own = sum(value.nbytes for value in held if value.data_ptr() not in (x.data_ptr(), batches.labels.data_ptr()))
    assert own < x.nbytes / 10


def test_half_of_the_samples_get_a_background_up_to_its_height_and_nothing_is_lowered():
    quiet = torch.full((20, 5, 4, 2), -1.0)
    quiet[:, 0] = 3.0
    augmentation = Augmentation(fill=-1.0, floor=2.0, floor_deviation=0.01)
    batches = Batches(quiet, Y, ORDER, augmentation, np.random.default_rng(0))
    heights = []
    for step in range(len(ORDER)):
        x = batches(torch.tensor([step]))[0].numpy()
        assert (x[:, 0] == 3.0).all(), "what is louder stays"
        for sample in x[:, 1:]:
            lifted = sample > -1.0
            assert not lifted.any() or sample.mean() < -0.95 or lifted.all()
            heights.append(float(np.median(sample)) if lifted.all() else None)
    without = heights.count(None) / len(heights)
    # 640 draws: the standard error of a half is 0.02.
    assert without == pytest.approx(0.5, abs=0.08)
    found = np.array([height for height in heights if height is not None])
    assert found.min() < -0.8 and 0.8 < found.max() < 1.05
    np.testing.assert_allclose(np.quantile(found, [0.25, 0.5, 0.75]), [-0.5, 0.0, 0.5], atol=0.2)


def test_background_and_noise_together_are_the_sum_of_both():
    both, labels = batch(Augmentation(fill=-9.0, floor=9.0, floor_deviation=0.1, noise=0.3), 0)
    alone, again = batch(Augmentation(fill=-9.0, floor=9.0, floor_deviation=0.1), 0)
    noise, _ = batch(Augmentation(noise=0.3), 0)
    np.testing.assert_array_equal(labels, again)
    assert both.shape == alone.shape == noise.shape
    assert (both - alone).std() == pytest.approx(0.3, rel=0.12)
