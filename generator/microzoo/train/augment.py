"""Batches: samples picked from data that lies on the device, shifted, flipped and made noisy on the way.

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


@dataclass(frozen=True)
class Augmentation:
    """Random changes to each training sample, (H, W, C).

    shift_height, shift_width: largest shift along an axis, in elements; a signal has its time on the height axis, so
    `shift_height` alone shifts it in time. fill: what moves in at the border, in the data's own units after pre-processing.
    flip: mirror the width axis for half of the samples. noise: standard deviation of the Gaussian noise that is added.
    """

    shift_height: int = 0
    shift_width: int = 0
    fill: float = 0.0
    flip: bool = False
    noise: float = 0.0

    def __post_init__(self) -> None:
        assert self.shift_height >= 0 and self.shift_width >= 0 and self.noise >= 0, self

    @property
    def moves(self) -> bool:
        """Whether elements change their place."""
        return bool(self.shift_height or self.shift_width or self.flip)


class Batches:
    """The batches of one training, in order.

    x: float32 (N, H, W, C) and y: int64 (N,), both on the device that the batches are made on; never changed and never copied as a
    whole. order: int64 (steps, batch), which samples each step takes. generator: the source of the augmentation.
    """

    def __init__(
        self, x: Tensor, y: Tensor, order: NDArray[np.int64], augmentation: Augmentation, generator: np.random.Generator
    ) -> None:
        self.augmentation = augmentation
        self.labels = y
        self.sample_shape = tuple(x.shape[1:])
        self.images = x
        self.table = torch.from_numpy(_draw(order, augmentation, generator)).to(x.device)
        self.places = torch.arange(order.shape[1], device=x.device)
        self.rows = torch.arange(self.sample_shape[0], device=x.device)
        self.columns = torch.arange(self.sample_shape[1], device=x.device)
        self.elements = torch.arange(int(np.prod(self.sample_shape)), device=x.device)
        bank = generator.standard_normal(_NOISE_STARTS + len(self.elements) if augmentation.noise else 0, np.float32)
        self.noise = torch.from_numpy(bank * np.float32(augmentation.noise)).to(x.device)

    def __call__(self, step: Tensor) -> tuple[Tensor, Tensor]:
        """The batch of `step`, an int64 tensor (1,) on the device: float32 (batch, H, W, C) and int64 (batch,)."""
        sample, shift_height, shift_width, flip, noise_start = self.table.index_select(0, step)[0].long().unbind(0)
        labels = self.labels.index_select(0, sample)
        x = self.images.index_select(0, sample)
        if self.augmentation.moves:
            height, width = self.augmentation.shift_height, self.augmentation.shift_width
            padded = functional.pad(x, (0, 0, width, width, height, height), value=self.augmentation.fill)
            rows = shift_height[:, None] + self.rows
            columns = self.columns + flip[:, None] * (len(self.columns) - 1 - 2 * self.columns) + shift_width[:, None]
            x = padded[self.places[:, None, None], rows[:, :, None], columns[:, None, :]]
        if self.augmentation.noise:
            x = x + self.noise[noise_start[:, None] + self.elements].view_as(x)
        return x, labels


def _draw(order: NDArray[np.int64], augmentation: Augmentation, generator: np.random.Generator) -> NDArray[np.int32]:
    """Table int32 (steps, 5, batch): sample, first row and first column in the padded image, flipped or not, start of its noise.

    Noise is a window at a random place of one bank of normal draws: independent enough for training, and free to look up.
    """
    upper = (2 * augmentation.shift_height + 1, 2 * augmentation.shift_width + 1, 1 + augmentation.flip)
    noise = _NOISE_STARTS if augmentation.noise else 1
    draws = [generator.integers(0, high, order.shape) if high > 1 else np.zeros_like(order) for high in (*upper, noise)]
    return np.stack([order, *draws], axis=1).astype(np.int32)
