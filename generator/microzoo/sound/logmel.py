"""A log-mel spectrogram in integers: enters 16-bit sound, leaves the uint8 values that a network sees as its raw input.

Everything is integer arithmetic that the generated C repeats operation by operation, so that a model hears on the chip, in the
page and in training the same thing to the bit. For each frame of W samples:

1. Hann window in Q15, rounded.
2. Real FFT of W points as a complex one of W/2 points (decimation in time, radix 2, 32-bit data, Q15 twiddles, no scaling), then
   the step that takes the two halves apart (Sorensen, Jones, Heideman, Burrus 1987, "Real-valued fast Fourier transform
   algorithms"); of its bins 1 to W/2 - 1 the power, 64 bits.
3. Bands: triangles on the mel scale 2595 log10(1 + f / 700) (O'Shaughnessy 1987), weights in Q8, each bin in at most two.
4. Level: floor(4 log2(energy)) of its 16 leading bits, a step is 0.75 dB.

A clip's levels become raw values relative to its loudest one, so that gain does not matter: max(0, level - loudest + steps).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import cos, log10, pi, sin

import numpy as np
from numpy.typing import NDArray

from microzoo.spec.dataset import DatasetSpec, SoundSpec

Samples = NDArray[np.int16]
Levels = NDArray[np.uint8]

LOGMEL_VERSION = 1
"""Raised whenever the same sound would give other raw values: datasets are then others."""
Q15 = 15
ONE = 32767
"""1.0 in tables of Q15."""
HALF = 1 << (Q15 - 1)
WEIGHT_BITS = 8
FULL_WEIGHT = 1 << WEIGHT_BITS
NO_BAND = 255
"""In `LogMel.bins`: the bin belongs to no band."""
LEVEL_STEPS = (38968, 46341, 55109)
"""2**15 times 2**(1/4), 2**(2/4), 2**(3/4), rounded up: from where on an energy has another quarter of a factor two."""
LEAST_LOUDEST = 120
"""A clip that is quieter than this throughout, 65 dB below a sine of full scale, is not made louder: silence stays silence."""


@dataclass(frozen=True)
class LogMel:
    """One front end. spec: rate, window, hop, range; frames, bands: height and width of the raw input."""

    spec: SoundSpec
    frames: int
    bands: int

    @property
    def samples(self) -> int:
        """Samples of one clip."""
        return (self.frames - 1) * self.spec.hop + self.spec.window

    @cached_property
    def window(self) -> NDArray[np.int16]:
        """(W/2 + 1,): the first half of the periodic Hann window in Q15; sample i of the other half has entry W - i."""
        size = self.spec.window
        return np.array([round(ONE * (0.5 - 0.5 * cos(2 * pi * i / size))) for i in range(size // 2 + 1)], np.int16)

    @cached_property
    def sine(self) -> NDArray[np.int16]:
        """(3 W / 4,): sin(2 pi k / W) in Q15; the cosine of k is entry k + W / 4."""
        size = self.spec.window
        return np.array([round(ONE * sin(2 * pi * k / size)) for k in range(3 * size // 4)], np.int16)

    @cached_property
    def bins(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Each (W/2,): for every bin of the spectrum the band that rises there, and the share of the bin's power, in Q8 less one
        for the whole, that goes to it. What is left goes to the band before. The band of a bin outside all is NO_BAND; where the
        last band falls, the band is `bands`, which does not exist.
        """
        half = self.spec.window // 2
        edges = np.linspace(_mel(self.spec.low_hz), _mel(self.spec.high_hz), self.bands + 2)
        band, share = np.full(half, NO_BAND, np.uint8), np.zeros(half, np.uint8)
        for k in range(1, half):
            mel = _mel(k * self.spec.rate_hz / self.spec.window)
            if not edges[0] <= mel < edges[-1]:
                continue
            j = int(np.searchsorted(edges, mel, "right")) - 1
            band[k] = j
            share[k] = min(FULL_WEIGHT - 1, round(FULL_WEIGHT * (mel - edges[j]) / (edges[j + 1] - edges[j])))
        return band, share

    def empty_bands(self) -> list[int]:
        """Bands that no bin of the spectrum falls into: the window is too short for so many bands."""
        weights = self._weights.sum(axis=0)
        return [int(band) for band in np.flatnonzero(weights == 0)]

    @cached_property
    def _weights(self) -> NDArray[np.int64]:
        """(W/2, bands): the share of each bin in each band, Q8."""
        bands, shares = self.bins
        weights = np.zeros((len(bands), self.bands), np.int64)
        for k, (band, share) in enumerate(zip(bands.tolist(), shares.tolist(), strict=True)):
            if band == NO_BAND:
                continue
            if band < self.bands:
                weights[k, band] = share
            if band > 0:
                weights[k, band - 1] = FULL_WEIGHT - share
        return weights

    def levels(self, clips: Samples) -> Levels:
        """(N, frames, bands): the level of every band in every frame of clips, int16 (N, samples)."""
        assert clips.dtype == np.int16 and clips.shape[1:] == (self.samples,), (clips.dtype, clips.shape)
        starts = np.arange(self.frames) * self.spec.hop
        return np.stack([self._frame_levels(clips[:, start : start + self.spec.window]) for start in starts], axis=1)

    def raw(self, clips: Samples) -> NDArray[np.uint8]:
        """(N, frames, bands, 1): raw inputs of the network, 0 to spec.steps."""
        levels = self.levels(clips).astype(np.int32)
        loudest = np.maximum(levels.max(axis=(1, 2), keepdims=True), LEAST_LOUDEST)
        found: NDArray[np.uint8] = np.maximum(levels - loudest + self.spec.steps, 0).astype(np.uint8)
        return found[..., np.newaxis]

    def _frame_levels(self, frames: Samples) -> Levels:
        """(N, bands) of frames (N, W)."""
        power = self._power(_rounded(frames.astype(np.int64) * np.concatenate([self.window[:-1], self.window[:0:-1]])))
        return level(power @ self._weights)

    def _power(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """(N, W/2) of values (N, W): four times the power of each bin; 0 for the first, which no band takes."""
        half, quarter = self.spec.window // 2, self.spec.window // 4
        re, im = self._transformed(values[:, 0::2], values[:, 1::2])
        k = np.arange(1, half)
        cosine, sine = self.sine.astype(np.int64)[k + quarter], self.sine.astype(np.int64)[k]
        even_re, even_im = re[:, k] + re[:, half - k], im[:, k] - im[:, half - k]
        odd_re, odd_im = im[:, k] + im[:, half - k], re[:, half - k] - re[:, k]
        x = even_re + _rounded(odd_re * cosine + odd_im * sine)
        y = even_im + _rounded(odd_im * cosine - odd_re * sine)
        power = np.zeros((len(values), half), np.int64)
        power[:, 1:] = x * x + y * y
        return power

    def _transformed(self, re: NDArray[np.int64], im: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The complex FFT of (N, W/2) values."""
        size, quarter = self.spec.window // 2, self.spec.window // 4
        bits = size.bit_length() - 1
        order = [int(f"{i:0{bits}b}"[::-1], 2) for i in range(size)]
        re, im = re[:, order], im[:, order]
        span = 1
        while span < size:
            k = np.arange(span) * (size // span)  # of W: the twiddle of a butterfly is exp(-2 pi i k / W)
            cosine, sine = self.sine.astype(np.int64)[k + quarter], self.sine.astype(np.int64)[k]
            a, b = (part.reshape(-1, size // (2 * span), 2, span) for part in (re, im))
            turned_re = _rounded(a[:, :, 1] * cosine + b[:, :, 1] * sine)
            turned_im = _rounded(b[:, :, 1] * cosine - a[:, :, 1] * sine)
            re = np.stack([a[:, :, 0] + turned_re, a[:, :, 0] - turned_re], axis=2).reshape(-1, size)
            im = np.stack([b[:, :, 0] + turned_im, b[:, :, 0] - turned_im], axis=2).reshape(-1, size)
            span *= 2
        return re, im


def front_end_of(spec: DatasetSpec) -> LogMel | None:
    """What makes the raw values of a dataset of sound; None for other data."""
    return None if spec.sound is None else LogMel(spec.sound, *spec.input_shape[:2])


def level(energy: NDArray[np.int64]) -> Levels:
    """floor(4 log2(energy)) of the 16 leading bits of values from 0 to 2**62, so exact up to 2**16; 0 for 0."""
    bits = np.zeros(energy.shape, np.int64)
    for step in (32, 16, 8, 4, 2, 1):
        bits += step * (energy >> (bits + step) > 0)
    mantissa = np.where(bits >= Q15, energy >> np.maximum(bits - Q15, 0), energy << np.maximum(Q15 - bits, 0))
    quarters = np.searchsorted(LEVEL_STEPS, mantissa, "right")
    found: Levels = (4 * bits + quarters).astype(np.uint8)
    return found


def _mel(hertz: float) -> float:
    return 2595 * log10(1 + hertz / 700)


def _rounded(products: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of Q15: halves upwards."""
    return (products + HALF) >> Q15
