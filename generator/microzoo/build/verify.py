"""`zoo verify`: every published number again, from the files beside it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from microzoo.build.compare import PREDICTED, Difference, compare, kind
from microzoo.build.golden import golden_inputs, quantise_raw
from microzoo.build.predictions import misses
from microzoo.catalog.card import Card, Preprocessing
from microzoo.catalog.golden import GOLDEN, read_golden
from microzoo.catalog.store import Entry, damage, survey
from microzoo.data.arrays import Dataset
from microzoo.data.load import checksum, load, out_of_reach
from microzoo.errors import CatalogError, MicrozooError
from microzoo.graph.integer import Quantisation
from microzoo.measure.entry import FileMeasurement, Measurement, measure_entry, measure_files
from microzoo.measure.golden import differing_inputs
from microzoo.measure.runs import AGREEMENT
from microzoo.quantise.reference import quantise_input
from microzoo.sound.logmel import Samples
from microzoo.spec.dataset import DatasetSpec, Preprocess
from microzoo.spec.load import load_folder
from microzoo.spec.models import TargetBudget, TargetReserve, TargetSpec


def verify_zoo(zoo: Path, wanted: str | None, specs: Path, *, quick: bool) -> tuple[list[str], list[Difference]]:
    """IDs of the entries looked at, and all their differences. wanted: an ID, None for all; specs: folder that holds datasets/.

    An entry whose card is damaged, or that cannot be measured, is a difference of its own, and the next one is looked at. Raises
    CatalogError where `zoo` is no folder or has no such entry, SpecError where a dataset's spec is damaged.
    """
    entries, damaged = survey(zoo, wanted)
    if not zoo.is_dir():
        raise CatalogError(f"{zoo}: no such folder", "give the zoo by --out")
    datasets = {} if quick else load_folder(specs / "datasets", DatasetSpec)
    differences = [_not_possible(entry_id, error) for entry_id, error in damaged.items()]
    for entry in entries:
        try:
            differences.extend(verify(entry, datasets, quick=quick))
        except MicrozooError as error:
            differences.append(_not_possible(entry.card.id, error))
    return sorted([*damaged, *(entry.card.id for entry in entries)]), differences


def _not_possible(entry_id: str, error: MicrozooError) -> Difference:
    return Difference(entry_id, "verification", "every number again", f"not possible: {error}")


def verify(entry: Entry, datasets: dict[str, DatasetSpec], *, quick: bool) -> list[Difference]:
    """All differences of one entry. quick: without the test split and its dataset, so that the accuracies and the agreement of
    runtimes on it stand as published; everything else is measured. So it is, excused, where the dataset is out of reach.

    Raises CatalogError where the dataset is not the entry's, DataError where it cannot be had, and what measuring raises.
    """
    card = entry.card
    found = [Difference(card.id, "files", "as the card lists them", problem) for problem in damage(entry)]
    if found:
        return found
    predicted = {name: figure for name, figure in card.figures.items() if name.startswith(PREDICTED)}
    target = target_spec(card)
    reason = None if quick else _out_of_reach(card, datasets)
    if quick or reason is not None:
        found = _golden(entry) + _confusion(card)
        if reason is not None:
            found.append(Difference(card.id, "test split", "every number again", "not measured here", reason))
        again = _without_test_split(card, measure_files(entry.folder, target, predicted=predicted))
    else:
        spec = _dataset_spec(card, datasets)
        dataset = load(card.dataset.name, spec)
        found = _compare_dataset(card, spec, dataset)
        found += _golden(entry) + _golden_of_dataset(entry, spec, dataset)
        x_test = quantise_input(dataset.test.x, Quantisation(card.input.scale, card.input.zero_point))
        again = measure_entry(entry.folder, target, x_test, dataset.test.y, predicted=predicted)
    return found + compare(card, target, again) + _predictions(card, again)


def _out_of_reach(card: Card, datasets: dict[str, DatasetSpec]) -> str | None:
    """Why the dataset cannot be had on this machine, whatever one tries."""
    return out_of_reach(card.dataset.name, _dataset_spec(card, datasets))


def _without_test_split(card: Card, measured: FileMeasurement) -> Measurement:
    """`measured`, and what only the test split tells as the card has it, in the versions of the runtimes that are here.

    The headline is the accuracy that the card lists for its file, where that is of as many inputs.
    """
    listed = [accuracy for file in card.files if file.path == card.headline_file for accuracy in file.accuracy]
    same = [one for one in listed if (one.runtime, one.n) == (card.headline.runtime, card.headline.n)]
    here = {kind(name): name for name in measured.runtimes}
    accuracies = {
        file.path: tuple(
            accuracy.model_copy(update={"runtime": here.get(kind(accuracy.runtime), accuracy.runtime)})
            for accuracy in file.accuracy
        )
        for file in card.files
        if file.accuracy
    }
    return Measurement(
        input=measured.input,
        output=measured.output,
        accuracies=accuracies,
        figures=measured.figures | {name: card.figures[name] for name in AGREEMENT if name in card.figures},
        limits=measured.limits,
        layers=measured.layers,
        confusion=card.confusion,
        headline=same[0] if same else card.headline,
        headline_file=card.headline_file,
        not_run=measured.not_run,
    )


def _predictions(card: Card, again: Measurement) -> list[Difference]:
    """Published predictions that the files do not bear out."""
    return [
        Difference(card.id, miss.predicted, f"{miss.expected:,.0f}", f"{miss.measured} = {miss.found:,.0f}", miss.excused)
        for miss in misses(card.target.runtime, again.figures)
    ]


def _confusion(card: Card) -> list[Difference]:
    """The confusion matrix against the headline, both as the card has them."""
    rows = card.confusion
    sums = sum(map(sum, rows)), sum(row[i] for i, row in enumerate(rows) if i < len(row))
    return _unlike(
        card, [("confusion matrix", f"(inputs, right) = {sums}", f"(inputs, right) = {(card.headline.n, card.headline.correct)}")]
    )


def _golden(entry: Entry) -> list[Difference]:
    """golden.npz against the card's record of it and the preprocessing there. The outputs are compared by measuring."""
    card = entry.card
    if card.golden is None:
        return []
    golden = read_golden(entry.folder / GOLDEN)
    try:
        how = Preprocess(**card.preprocessing.model_dump(exclude={"raw_type"}))
    except ValidationError as error:
        return [Difference(card.id, "preprocessing", str(card.preprocessing), f"impossible: {error.errors()[0]['msg']}")]
    prepared = quantise_raw(golden.raw, how, Quantisation(card.input.scale, card.input.zero_point))
    sides = (
        ("golden.n", card.golden.n, len(golden)),
        ("golden.source", card.golden.source, golden.source),
        ("preprocessing.raw_type", card.preprocessing.raw_type, str(golden.raw.dtype)),
        (f"{GOLDEN}: int8 inputs that the preprocessing does not give", 0, differing_inputs(golden, prepared)),
    )
    return _unlike(card, sides)


def _golden_of_dataset(entry: Entry, spec: DatasetSpec, dataset: Dataset) -> list[Difference]:
    """golden.npz against the inputs that the card's seed takes from the dataset."""
    card = entry.card
    if card.golden is None:
        return []
    assert dataset.raw_validation is not None
    golden = read_golden(entry.folder / GOLDEN)
    inputs = golden_inputs(spec, dataset.raw_validation, dataset.validation.y, card.golden.seed, dataset.validation_sound)
    same = golden.raw.dtype == inputs.raw.dtype and np.array_equal(golden.raw, inputs.raw)
    same = same and np.array_equal(golden.label, inputs.label) and _equal(golden.sound, inputs.sound)
    sides = (
        (f"{GOLDEN}: source", golden.source, inputs.source),
        (f"{GOLDEN}: inputs", "those that the seed gives", "those that the seed gives" if same else "others"),
    )
    return _unlike(card, sides)


def _equal(published: Samples | None, found: Samples | None) -> bool:
    if published is None or found is None:
        return published is found
    return np.array_equal(published, found)


def target_spec(card: Card) -> TargetSpec:
    """The target as the card recorded it."""
    record = card.target
    return TargetSpec.model_validate(
        {
            "title": record.title,
            "core": record.core,
            "clock_mhz": record.clock_mhz,
            "runtime": record.runtime,
            "cycles_per_instruction": record.cycles_per_instruction,
            "budget": TargetBudget(
                ram_bytes=record.ram_bytes,
                flash_bytes=record.flash_bytes,
                macs=record.macs_limit,
                latency_ms=record.latency_limit_ms,
            ),
            "reserve": TargetReserve(ram_bytes=record.reserve_ram_bytes, flash_bytes=record.reserve_flash_bytes),
            "boards": record.boards,
            "npu": record.npu,
        }
    )


def _dataset_spec(card: Card, datasets: dict[str, DatasetSpec]) -> DatasetSpec:
    name = card.dataset.name
    spec = datasets.get(name)
    if spec is None:
        known = ", ".join(sorted(datasets)) or "none"
        raise CatalogError(f"{card.id}: its dataset {name} has no spec here ({known})", "give --specs, or verify with --quick")
    if checksum(spec) != card.dataset.checksum:
        problem = f"{card.id}: was built on dataset {name} with checksum {card.dataset.checksum[:12]}"
        raise CatalogError(f"{problem}, the spec now gives {checksum(spec)[:12]}", "build the entry again")
    return spec


def _compare_dataset(card: Card, spec: DatasetSpec, dataset: Dataset) -> list[Difference]:
    """What the checksum covers: shape, sizes and preprocessing; and the classes, whose names stand in the files."""
    record = card.dataset
    sides = (
        ("dataset.input_shape", record.input_shape, spec.input_shape),
        ("dataset.classes", record.classes, spec.classes),
        ("dataset.train", record.train, len(dataset.train)),
        ("dataset.validation", record.validation, len(dataset.validation)),
        ("dataset.test", record.test, len(dataset.test)),
        ("dataset.sound", record.sound, spec.sound),
        ("dataset.signal", record.signal, spec.signal),
        (
            "preprocessing",
            card.preprocessing,
            Preprocessing(**spec.preprocess.model_dump(), raw_type=card.preprocessing.raw_type),
        ),
    )
    return _unlike(card, sides)


def _unlike(card: Card, sides: Iterable[tuple[str, object, object]]) -> list[Difference]:
    """sides: what, as published, as found."""
    return [Difference(card.id, what, str(published), str(found)) for what, published, found in sides if published != found]
