"""The golden vectors of an entry: which inputs, and what the integer model makes of them.

Real inputs come from the validation split, never from test, and only where the dataset's licence lets samples be shipped; else
they are synthetic.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from microzoo.catalog.golden import LEAST, Golden, Source
from microzoo.data.arrays import Labels, Raw
from microzoo.data.load import prepare
from microzoo.graph.integer import IntegerModel, Quantisation
from microzoo.quantise.reference import quantise_input, run
from microzoo.sound.logmel import Samples, front_end_of
from microzoo.spec.dataset import DatasetSpec, Preprocess

MOST = 16
"""Vectors that an entry has at most: each class once up to this number."""


@dataclass(frozen=True)
class GoldenInputs:
    """raw: (n, H, W, C); label: (n,); source: where they come from; sound: (n, samples), what they were made from, if it was."""

    raw: Raw
    label: NDArray[np.int32]
    source: Source
    sound: Samples | None = None


def golden_vectors(
    spec: DatasetSpec, raw: Raw, labels: Labels, model: IntegerModel, seed: int, sound: Samples | None = None
) -> Golden:
    """The vectors of one entry. raw, labels, sound: the validation split, (N, H, W, C), (N,) and (N, samples). The same seed
    gives the same ones.
    """
    chosen = golden_inputs(spec, raw, labels, seed, sound)
    inputs = quantise_raw(chosen.raw, spec.preprocess, model.tensors[model.graph.input])
    return Golden(chosen.raw, inputs, run(model, inputs), chosen.label, chosen.source, chosen.sound)


def golden_inputs(spec: DatasetSpec, raw: Raw, labels: Labels, seed: int, sound: Samples | None = None) -> GoldenInputs:
    """The inputs of `golden_vectors`."""
    count = min(max(len(spec.classes), LEAST), MOST)
    if spec.licence.redistributable:
        chosen = _one_of_each(labels, count, seed)
        heard = None if sound is None else sound[chosen]
        return GoldenInputs(raw[chosen], labels[chosen].astype(np.int32), "validation", heard)
    nobody = np.full(count, -1, np.int32)
    if (front_end := front_end_of(spec)) is not None:
        heard = _synthetic_sound(front_end.samples, count, seed)
        return GoldenInputs(front_end.raw(heard), nobody, "synthetic", heard)
    return GoldenInputs(_synthetic(spec, raw.dtype, count, seed), nobody, "synthetic")


def quantise_raw(raw: Raw, how: Preprocess, quantisation: Quantisation) -> NDArray[np.int8]:
    """Raw values to the int8 input, the way that training, measuring and the shipped C share."""
    return quantise_input(prepare(raw, how), quantisation)


def quantised_bytes(how: Preprocess, quantisation: Quantisation) -> NDArray[np.int8]:
    """int8 (256,): what each raw byte becomes."""
    return quantise_raw(np.arange(256, dtype=np.uint8), how, quantisation)


def _one_of_each(labels: Labels, count: int, seed: int) -> NDArray[np.int64]:
    """Indices of `count` inputs, one of class 0, one of class 1 and so on, beginning again after the last class."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(labels))
    # How many inputs of the same class come before each in that order.
    turns = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels[order] == label)
        turns[members] = np.arange(len(members))
    return np.asarray(order[np.lexsort((labels[order], turns))][:count], np.int64)


def _synthetic_sound(samples: int, count: int, seed: int) -> Samples:
    """Silence, full scale without a break, a tone that rises, then noise from faint to loud."""
    rng = np.random.default_rng(seed)
    heard = rng.normal(size=(count, samples)) * np.geomspace(1, 20000, count)[:, None]
    heard[0], heard[1] = 0, 32767
    heard[2] = 20000 * np.sin(np.pi * np.arange(samples) ** 2 / (2 * samples))
    return np.clip(np.rint(heard), -32768, 32767).astype(np.int16)


def _synthetic(spec: DatasetSpec, kind: np.dtype[np.uint8] | np.dtype[np.float32], count: int, seed: int) -> Raw:
    """The least and the greatest value everywhere, a ramp each way, then noise of growing range."""
    low, high = spec.preprocess.raw_min, spec.preprocess.raw_max
    height, width, _ = spec.input_shape
    rng = np.random.default_rng(seed)
    shares = rng.uniform(size=(count, *spec.input_shape))
    shares[4:] *= np.linspace(0.25, 1.0, count - 4)[:, None, None, None]
    shares[0], shares[1] = 0.0, 1.0
    shares[2] = np.linspace(0.0, 1.0, width)[None, :, None]
    shares[3] = np.linspace(0.0, 1.0, height)[:, None, None]
    values = low + (high - low) * shares
    if kind == np.uint8:
        return np.clip(np.rint(values), np.ceil(low), np.floor(high)).astype(np.uint8)
    return np.clip(values, low, high).astype(np.float32)
