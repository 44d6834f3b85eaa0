"""The log-mel spectrogram against NumPy's FFT in floating point, its logarithm against whole numbers, and what it promises."""

import numpy as np
import pytest

from microzoo.sound.logmel import LEAST_LOUDEST, NO_BAND, LogMel, front_end_of, level
from microzoo.spec.dataset import DatasetSpec, SoundSpec

from .front_ends import FRONT_ENDS, clips


def float_energies(front_end: LogMel, clip: np.ndarray) -> np.ndarray:
    """(frames, bands): the same spectrogram in double precision, with triangles computed from their definition."""
    size = front_end.spec.window
    edges = np.linspace(
        *(2595 * np.log10(1 + f / 700) for f in (front_end.spec.low_hz, front_end.spec.high_hz)), front_end.bands + 2
    )
    mel = 2595 * np.log10(1 + np.arange(size // 2) * front_end.spec.rate_hz / size / 700)
    rising = (mel[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - mel[:, None]) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0, np.minimum(rising, falling))
    triangles[0] = 0  # the mean is no sound
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    starts = range(0, front_end.samples - size + 1, front_end.spec.hop)
    spectra = np.array([np.fft.fft(clip[start : start + size] * window)[: size // 2] for start in starts])
    return 4 * np.abs(spectra) ** 2 @ triangles * 256


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_levels_are_those_of_a_spectrogram_in_floating_point(name):
    front_end = FRONT_ENDS[name]
    some = clips(front_end)
    loud = some[np.abs(some.astype(int)).mean(axis=1) > 100]
    found = front_end.levels(loud).astype(float)
    energies = np.array([float_energies(front_end, clip) for clip in loud])
    # What the integers round away is noise of about a bit a stage: bands far above it must agree to the step.
    heard = energies > 2.0**40
    assert heard.mean() > 0.2
    off = 4 * np.log2(energies[heard]) - found[heard]
    assert (off > -0.35).all() and (off < 1.35).all(), (off.min(), off.max())


def test_a_tone_is_loudest_in_the_band_around_it():
    front_end = FRONT_ENDS["spoken digits"]
    edges = np.linspace(*(2595 * np.log10(1 + f / 700) for f in (80, 3800)), 22)
    centres = 700 * (10 ** (edges[1:-1] / 2595) - 1)
    for band, hertz in list(enumerate(centres))[2:]:  # below, a band is narrower than the window tells apart
        tone = np.rint(8000 * np.sin(2 * np.pi * hertz * np.arange(front_end.samples) / 8000)).astype(np.int16)
        assert set(front_end.raw(tone[None])[0, :, :, 0].argmax(axis=1).tolist()) == {band}, hertz


def test_the_level_is_four_times_the_logarithm():
    small = np.arange(1, 1 << 16)
    # q <= 4 log2(e) where 2**q <= e**4: whole numbers, no rounding.
    exact = [(int(e) ** 4).bit_length() - 1 for e in small]
    assert level(small).tolist() == exact
    powers = np.array([1 << k for k in range(63)])
    assert level(powers).tolist() == [4 * k for k in range(63)]
    assert level(powers[1:] - 1).tolist()[30:] == [4 * k - 1 for k in range(31, 63)]
    assert level(np.array([0])).tolist() == [0]


def test_silence_is_silence_and_gain_does_not_matter():
    front_end = FRONT_ENDS["spoken digits"]
    assert front_end.raw(np.zeros((1, front_end.samples), np.int16)).max() == 0
    word = clips(front_end)[20:21] // 64
    loud, soft = (front_end.raw(word * gain).astype(int) for gain in (16, 4))
    assert loud.max() == soft.max() == front_end.spec.steps
    assert np.abs(loud - soft)[loud > 0].max() <= 1
    faint = front_end.raw((word // 16).astype(np.int16))
    assert front_end.levels((word // 16).astype(np.int16)).max() < LEAST_LOUDEST and faint.max() < front_end.spec.steps


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_each_bin_is_shared_out_whole_and_every_band_has_one(name):
    front_end = FRONT_ENDS[name]
    bands, shares = front_end.bins
    weights = front_end._weights.sum(axis=1)
    for k, (band, share) in enumerate(zip(bands.tolist(), shares.tolist(), strict=True)):
        whole = 0 if band == NO_BAND else share if band == 0 else 256 - share if band == front_end.bands else 256
        assert weights[k] == whole, k
    assert front_end.empty_bands() == []
    crowded = LogMel(SoundSpec(rate_hz=8000, window=64, hop=64, low_hz=80, high_hz=3800), 3, 30)
    assert crowded.empty_bands()


def test_other_data_have_no_front_end():
    spec = DatasetSpec.model_validate(
        {
            "title": "t",
            "reader": "idx",
            "input_shape": (4, 5, 1),
            "classes": ("a", "b"),
            "split": {"validation": 0.25},
            "preprocess": {"raw_min": 0, "raw_max": 255},
            "licence": {"name": "none", "redistributable": False},
            "citation": "none",
        }
    )
    assert front_end_of(spec) is None
