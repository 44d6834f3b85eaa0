"""A dataset from its spec: fetched, verified, read, cut, prepared."""

from __future__ import annotations

import hashlib
import json
from typing import Literal

import numpy as np

from microzoo.data.arrays import Dataset, Inputs, Part, Raw, RawData
from microzoo.data.cache import fetch, is_present
from microzoo.data.readers import READERS
from microzoo.data.split import Indices, group_cut, stratified_cut
from microzoo.errors import DataError
from microzoo.sound.logmel import LOGMEL_VERSION
from microzoo.spec.dataset import DatasetSpec, Preprocess


def checksum(spec: DatasetSpec) -> str:
    """SHA-256 of everything that decides the arrays: the files' checksums, reader, split, preprocessing. Needs no file."""
    fields = spec.model_dump(mode="json", include={"reader", "input_shape", "arrays_sha256", "preprocess"})
    # What specs learnt to say later counts where they say it, so that the checksums of older cards hold.
    fields["split"] = spec.split.model_dump(mode="json", include={"validation", "test", "seed"})
    fields["split"] |= spec.split.model_dump(mode="json", exclude_defaults=True)
    fields |= spec.model_dump(mode="json", include={"recordings", "sound", "signal"}, exclude_none=True)
    if spec.sound is not None:
        fields["logmel"] = LOGMEL_VERSION
    fields["sources"] = {source.role: source.checksum for source in spec.sources}
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def out_of_reach(name: str, spec: DatasetSpec) -> str | None:
    """Which file of a dataset is not on this machine and has no address to come from; None where all may be had."""
    lost = [source.file for source in spec.sources if not source.urls and not is_present(name, source)]
    return f"{name}: {', '.join(lost)} is not on this machine and has no address to download it from" if lost else None


def load(name: str, spec: DatasetSpec) -> Dataset:
    """Train, validation and test of a dataset. Raises DataError on anything that is not as the spec says."""
    raw = READERS[spec.reader].read(name, spec, {source.role: fetch(name, source) for source in spec.sources})
    _check(name, spec, raw)
    if raw.x_test is None or raw.y_test is None:
        rest, cut = _cut(name, spec, raw, np.arange(len(raw.y)), "test")
        x_test, y_test = raw.x[cut], raw.y[cut]
    else:
        if spec.split.test_groups:
            raise DataError(f"specs/datasets/{name}.toml: split.test_groups: the data has a test part of its own")
        rest, x_test, y_test = np.arange(len(raw.y)), raw.x_test, raw.y_test
    train, validation = _cut(name, spec, raw, rest, "validation")
    dataset = Dataset(
        Part(prepare(raw.x[train], spec.preprocess), raw.y[train]),
        Part(prepare(raw.x[validation], spec.preprocess), raw.y[validation]),
        Part(prepare(x_test, spec.preprocess), y_test),
        raw_validation=raw.x[validation],
        validation_sound=None if raw.sound is None else raw.sound[validation],
    )
    for part, size in (("train", len(dataset.train)), ("validation", len(dataset.validation)), ("test", len(dataset.test))):
        if size < len(spec.classes):
            raise DataError(
                f"specs/datasets/{name}.toml: split leaves {size} inputs for {part}, fewer than the {len(spec.classes)} classes"
            )
    return dataset


def _cut(
    name: str, spec: DatasetSpec, raw: RawData, among: Indices, part: Literal["test", "validation"]
) -> tuple[Indices, Indices]:
    """Indices of what is left of `among`, and of `part`: by group where the spec says so, else a share of every class."""
    groups: tuple[str, ...] = getattr(spec.split, f"{part}_groups")
    if groups:
        if raw.groups is None:
            problem = f"specs/datasets/{name}.toml: split.{part}_groups: the data name no groups"
            raise DataError(problem, f"give split.{part}, a share")
        try:
            rest, cut = group_cut(raw.groups[among], groups)
        except KeyError as error:
            known = ", ".join(dict.fromkeys(map(str, raw.groups[among])))
            raise DataError(
                f"specs/datasets/{name}.toml: split.{part}_groups: no input is of {error}; known are {known}"
            ) from error
    else:
        share: float | None = getattr(spec.split, part)
        if share is None:
            raise DataError(f"specs/datasets/{name}.toml: split.test is missing, and the data has no test part of its own")
        rest, cut = stratified_cut(raw.y[among], share, spec.split.seed + (part == "validation"))
    return among[rest], among[cut]


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
