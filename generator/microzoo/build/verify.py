"""`zoo verify`: every published number again, from the files beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from microzoo.build.compare import PREDICTED, Difference, compare
from microzoo.build.golden import golden_inputs, quantise_raw
from microzoo.catalog.card import Card, Preprocessing
from microzoo.catalog.golden import GOLDEN, read_golden
from microzoo.catalog.store import Entry, damage, find
from microzoo.data.arrays import Dataset
from microzoo.data.load import checksum, load
from microzoo.errors import CatalogError, MicrozooError
from microzoo.graph.integer import Quantisation
from microzoo.measure.entry import measure_entry
from microzoo.measure.golden import differing_inputs
from microzoo.quantise.reference import quantise_input
from microzoo.spec.load import load_folder
from microzoo.spec.models import DatasetSpec, TargetBudget, TargetReserve, TargetSpec


def verify_zoo(zoo: Path, wanted: str | None, specs: Path, *, quick: bool) -> tuple[list[str], list[Difference]]:
    """IDs of the entries looked at, and all their differences. wanted: an ID, None for all; specs: folder that holds datasets/.

    An entry that cannot be measured is a difference of its own, and the next one is looked at. Raises CatalogError where `zoo`
    is no folder or a card is damaged, SpecError where a dataset's spec is.
    """
    entries = find(zoo, wanted)
    if not zoo.is_dir():
        raise CatalogError(f"{zoo}: no such folder", "give the zoo by --out")
    datasets = {} if quick else load_folder(specs / "datasets", DatasetSpec)
    differences = []
    for entry in entries:
        try:
            differences.extend(verify(entry, datasets, quick=quick))
        except MicrozooError as error:
            differences.append(Difference(entry.card.id, "verification", "every number again", f"not possible: {error}"))
    return [entry.card.id for entry in entries], differences


def verify(entry: Entry, datasets: dict[str, DatasetSpec], *, quick: bool) -> list[Difference]:
    """All differences of one entry. quick: checksums only.

    Raises CatalogError where the dataset is not the entry's, DataError where it cannot be had, and what measuring raises.
    """
    card = entry.card
    found = [Difference(card.id, "files", "as the card lists them", problem) for problem in damage(entry)]
    if quick or found:
        return found
    spec = _dataset_spec(card, datasets)
    dataset = load(card.dataset.name, spec)
    found = _compare_dataset(card, spec, dataset)
    found += _golden(entry, spec, dataset)
    x_test = quantise_input(dataset.test.x, Quantisation(card.input.scale, card.input.zero_point))
    predicted = {name: figure for name, figure in card.figures.items() if name.startswith(PREDICTED)}
    target = target_spec(card)
    return found + compare(card, target, measure_entry(entry.folder, target, x_test, dataset.test.y, predicted=predicted))


def _golden(entry: Entry, spec: DatasetSpec, dataset: Dataset) -> list[Difference]:
    """golden.npz against the card's record of it, the dataset, and the preprocessing. The outputs are compared by measuring."""
    card = entry.card
    if card.golden is None:
        return []
    assert dataset.raw_validation is not None
    golden = read_golden(entry.folder / GOLDEN)
    raw, labels, source = golden_inputs(spec, dataset.raw_validation, dataset.validation.y, card.golden.seed)
    prepared = quantise_raw(golden.raw, spec.preprocess, Quantisation(card.input.scale, card.input.zero_point))
    same = golden.raw.dtype == raw.dtype and np.array_equal(golden.raw, raw) and np.array_equal(golden.label, labels)
    sides = (
        ("golden.n", card.golden.n, len(golden)),
        ("golden.source", card.golden.source, source),
        (f"{GOLDEN}: source", golden.source, source),
        ("preprocessing.raw_type", card.preprocessing.raw_type, str(raw.dtype)),
        (f"{GOLDEN}: inputs", "those that the seed gives", "those that the seed gives" if same else "others"),
        (f"{GOLDEN}: int8 inputs that the preprocessing does not give", 0, differing_inputs(golden, prepared)),
    )
    return [Difference(card.id, what, str(published), str(found)) for what, published, found in sides if published != found]


def target_spec(card: Card) -> TargetSpec:
    """The target as the card recorded it."""
    record = card.target
    return TargetSpec.model_validate(
        {
            "title": record.title,
            "core": record.core,
            "clock_mhz": record.clock_mhz,
            "runtime": record.runtime,
            "budget": TargetBudget(ram_bytes=record.ram_bytes, flash_bytes=record.flash_bytes, macs=record.macs_limit),
            "reserve": TargetReserve(ram_bytes=record.reserve_ram_bytes, flash_bytes=record.reserve_flash_bytes),
            "boards": record.boards,
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
        (
            "preprocessing",
            card.preprocessing,
            Preprocessing(**spec.preprocess.model_dump(), raw_type=card.preprocessing.raw_type),
        ),
    )
    return [Difference(card.id, what, str(published), str(found)) for what, published, found in sides if published != found]
