"""Batches: samples picked from data that lies on the device, shifted, flipped, made noisy, put into a background on the way.

Everything random is drawn on the host before the training starts, from one numpy generator, and kept as tables that the step
counter indexes. So a step has no randomness of its own: it can be captured as a CUDA graph, and CPU and GPU see the same batches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

_NOISE_STARTS = 1 << 16
_FLOORS = 1 << 10
"""Heights of a background that are told apart; as many draws again have none."""
FLOOR_DEVIATION = 0.05
"""Standard deviation of the background about its height, as a share of the range: 3 dB of 60."""


@dataclass(frozen=True)
class Augmentation:
    """Random changes to each training sample, (H, W, C).

    shift_height, shift_width: largest shift along an axis, in elements; a signal has its time on the height axis, so
    `shift_height` alone shifts it in time. fill: what moves in at the border, in the data's own units after pre-processing.
    flip: mirror the width axis for half of the samples. noise: standard deviation of the Gaussian noise that is added.
    floor: half of the samples get a background of a height up to this above `fill`, in the same units; what is lower is lifted.
    floor_deviation: standard deviation of the background about its height.
    """

    shift_height: int = 0
    shift_width: int = 0
    fill: float = 0.0
    flip: bool = False
    noise: float = 0.0
    floor: float = 0.0
    floor_deviation: float = 0.0

    def __post_init__(self) -> None:
        assert min(self.shift_height, self.shift_width, self.noise, self.floor, self.floor_deviation) >= 0, self

    @property
    def moves(self) -> bool:
        """Whether elements change their place."""
        return bool(self.shift_height or self.shift_width or self.flip)


class Batches:
    """The batches of one training, in order.

    x: float32 (N, H, W, C) and y: int64 (N,), both on the device that the batches are made on; never changed, and never copied as
    a whole. order: int64 (steps, batch), which samples each step takes. generator: the source of the augmentation.
    """

    def __init__(
        self, x: Tensor, y: Tensor, order: NDArray[np.int64], augmentation: Augmentation, generator: np.random.Generator
    ) -> None:
        self.augmentation = augmentation
        self.images, self.labels = x, y
        self.sample_shape = height, width, channels = x.shape[1], x.shape[2], x.shape[3]
        down, right = augmentation.shift_height, augmentation.shift_width
        self.margins = (0, 0, right, right, down, down)
        padded = (height + 2 * down, width + 2 * right)
        self.table = torch.from_numpy(_draw(order, padded, augmentation, generator)).to(x.device)
        self.places = torch.from_numpy(_places(height, width, padded[1])).to(x.device)
        self.elements = torch.arange(height * width * channels, device=x.device)
        noisy = augmentation.noise or augmentation.floor
        bank = generator.standard_normal(_NOISE_STARTS + len(self.elements) if noisy else 0, np.float32)
        self.noise = torch.from_numpy(bank).to(x.device)

    def __call__(self, step: Tensor) -> tuple[Tensor, Tensor]:
        """The batch of `step`, an int64 tensor (1,) on the device: float32 (batch, H, W, C) and int64 (batch,)."""
        sample, start, flip, noise_start, height = self.table.index_select(0, step)[0].long().unbind(0)
        labels = self.labels.index_select(0, sample)
        x = self.images.index_select(0, sample)
        if self.augmentation.moves:
            padded = functional.pad(x, self.margins, value=self.augmentation.fill)
            places = self.places.index_select(0, flip) if self.augmentation.flip else self.places[:1]
            # One flat index: several times faster than three of one axis each.
            index = (start[:, None] + places).view(-1)
            x = padded.view(-1, self.sample_shape[2]).index_select(0, index).view(x.shape)
        if len(self.noise):
            noise = self.noise[noise_start[:, None] + self.elements].view_as(x)
            if self.augmentation.floor:
                x = torch.maximum(x, self._background(noise, height))
            if self.augmentation.noise:
                x = x + noise * self.augmentation.noise
        return x, labels

    def _background(self, noise: Tensor, height: Tensor) -> Tensor:
        """What lifts a sample, (batch, H, W, C). height: int64 (batch,), in parts of _FLOORS; more: none."""
        shares = height.to(noise.dtype) / _FLOORS
        level = self.augmentation.fill + self.augmentation.floor * shares[:, None, None, None]
        lifted = level + noise * self.augmentation.floor_deviation
        return torch.where(height[:, None, None, None] < _FLOORS, lifted, torch.full_like(lifted, -torch.inf))


def _draw(
    order: NDArray[np.int64], padded: tuple[int, int], augmentation: Augmentation, generator: np.random.Generator
) -> NDArray[np.int32]:
    """Table int32 (steps, 5, batch): sample, first pixel in the padded batch, flipped or not, start of its noise, height of its
    background.

    padded: height and width of a padded image. Noise is a window at a random place of one bank of normal draws: independent
    enough for training, and free to look up.
    """
    upper = (2 * augmentation.shift_height + 1, 2 * augmentation.shift_width + 1, 1 + augmentation.flip)
    noise = _NOISE_STARTS if augmentation.noise or augmentation.floor else 1
    heights = 2 * _FLOORS if augmentation.floor else 1
    draws = [generator.integers(0, high, order.shape) if high > 1 else np.zeros_like(order) for high in (*upper, noise, heights)]
    row, column, flip, noise_start, height = draws
    start = (np.arange(order.shape[1]) * padded[0] + row) * padded[1] + column
    assert order.shape[1] * padded[0] * padded[1] <= np.iinfo(np.int32).max, (order.shape, padded)
    return np.stack([order, start, flip, noise_start, height], axis=1).astype(np.int32)


def _places(height: int, width: int, padded_width: int) -> NDArray[np.int64]:
    """Where the pixels of an image lie in the padded one, counted from its first pixel: int64 (2, H * W), plain and mirrored."""
    rows, columns = np.arange(height)[:, None] * padded_width, np.arange(width)
    return np.stack([rows + columns, rows + columns[::-1]]).reshape(2, -1)
