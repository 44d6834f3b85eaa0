"""A dataset from its spec: fetched, verified, read, cut, prepared."""

from __future__ import annotations

import hashlib
import json

import numpy as np

from microzoo.data.arrays import Dataset, Inputs, Part, Raw, RawData
from microzoo.data.cache import fetch
from microzoo.data.readers import READERS
from microzoo.data.split import stratified_cut
from microzoo.errors import DataError
from microzoo.spec.models import DatasetSpec, Preprocess


def checksum(spec: DatasetSpec) -> str:
    """SHA-256 of everything that decides the arrays: the files' checksums, reader, split, preprocessing. Needs no file."""
    fields = spec.model_dump(mode="json", include={"reader", "input_shape", "arrays_sha256", "split", "preprocess"})
    fields["sources"] = {source.role: source.sha256 for source in spec.sources}
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def load(name: str, spec: DatasetSpec) -> Dataset:
    """Train, validation and test of a dataset. Raises DataError on anything that is not as the spec says."""
    raw = READERS[spec.reader].read(name, spec, {source.role: fetch(name, source) for source in spec.sources})
    _check(name, spec, raw)
    x, y, x_test, y_test = raw.x, raw.y, raw.x_test, raw.y_test
    if x_test is None or y_test is None:
        if spec.split.test is None:
            raise DataError(f"specs/datasets/{name}.toml: split.test is missing, and the data has no test part of its own")
        rest, cut = stratified_cut(y, spec.split.test, spec.split.seed)
        x, y, x_test, y_test = x[rest], y[rest], x[cut], y[cut]
    train, validation = stratified_cut(y, spec.split.validation, spec.split.seed + 1)
    dataset = Dataset(
        Part(prepare(x[train], spec.preprocess), y[train]),
        Part(prepare(x[validation], spec.preprocess), y[validation]),
        Part(prepare(x_test, spec.preprocess), y_test),
        raw_validation=x[validation],
    )
    for part, size in (("train", len(dataset.train)), ("validation", len(dataset.validation)), ("test", len(dataset.test))):
        if size < len(spec.classes):
            raise DataError(
                f"specs/datasets/{name}.toml: split leaves {size} inputs for {part}, fewer than the {len(spec.classes)} classes"
            )
    return dataset


def prepare(raw: Raw, how: Preprocess) -> Inputs:
    """(raw * scale - mean) / std, float32, same shape."""
    return ((raw.astype(np.float32) * np.float32(how.scale) - np.float32(how.mean)) / np.float32(how.std)).astype(np.float32)


def _check(name: str, spec: DatasetSpec, raw: RawData) -> None:
    for part, x, y in (("train", raw.x, raw.y), ("test", raw.x_test, raw.y_test)):
        if x is None or y is None:
            continue
        if x.shape[1:] != spec.input_shape:
            raise DataError(
                f"{name}: {part} inputs have shape {x.shape[1:]}, the spec says input_shape = {list(spec.input_shape)}"
            )
        if len(y) == 0 or y.min() < 0 or y.max() >= len(spec.classes):
            top = int(y.max()) if len(y) else None
            raise DataError(f"{name}: {part} has labels up to {top}, the spec names {len(spec.classes)} classes")
        low, high = float(x.min()), float(x.max())
        if not (spec.preprocess.raw_min <= low and high <= spec.preprocess.raw_max):
            given = f"preprocess.raw_min = {spec.preprocess.raw_min:g}, raw_max = {spec.preprocess.raw_max:g}"
            raise DataError(f"{name}: {part} has raw values from {low:g} to {high:g}, the spec says {given}")
