"""`zoo verify`: every published number again, from the files beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from microzoo.catalog.card import Card, Figure, PublishedFile
from microzoo.catalog.store import Entry, damage
from microzoo.data.arrays import Dataset
from microzoo.data.load import checksum, load
from microzoo.errors import CatalogError
from microzoo.graph.integer import Quantisation
from microzoo.measure.entry import Measurement, measure_entry
from microzoo.quantise.reference import quantise_input
from microzoo.spec.models import DatasetSpec, TargetBudget, TargetReserve, TargetSpec


@dataclass(frozen=True)
class Difference:
    """One number that is not what the card says. `excused`: why that is no fault of the entry, else empty."""

    entry: str
    what: str
    published: str
    found: str
    excused: str = ""


def verify(entry: Entry, datasets: dict[str, DatasetSpec], *, quick: bool) -> list[Difference]:
    """All differences of one entry. quick: checksums only. Raises CatalogError where the dataset is not the entry's."""
    card = entry.card
    found = [Difference(card.id, "files", "as the card lists them", problem) for problem in damage(entry)]
    if quick or found:
        return found
    dataset = _dataset(card, datasets)
    x_test = quantise_input(dataset.test.x, Quantisation(card.input.scale, card.input.zero_point))
    predicted = {name: figure for name, figure in card.figures.items() if name.startswith("predicted_")}
    measurement = measure_entry(entry.folder, target_spec(card), x_test, dataset.test.y, predicted=predicted)
    return _compare(card, measurement)


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


def _dataset(card: Card, datasets: dict[str, DatasetSpec]) -> Dataset:
    name = card.dataset.name
    spec = datasets.get(name)
    if spec is None:
        known = ", ".join(sorted(datasets)) or "none"
        raise CatalogError(f"{card.id}: its dataset {name} has no spec here ({known})", "give --specs, or verify with --quick")
    if checksum(spec) != card.dataset.checksum:
        problem = f"{card.id}: was built on dataset {name} with checksum {card.dataset.checksum[:12]}"
        raise CatalogError(f"{problem}, the spec now gives {checksum(spec)[:12]}", "build the entry again")
    return load(name, spec)


def _compare(card: Card, measurement: Measurement) -> list[Difference]:
    differences = []
    for file in card.files:
        differences.extend(_compare_accuracy(card, file, measurement))
    for name, figure in card.figures.items():
        if (difference := _compare_figure(card, name, figure, measurement)) is not None:
            differences.append(difference)
    for what, published, found in (
        ("headline", card.headline.correct, measurement.headline.correct),
        ("confusion matrix", card.confusion, measurement.confusion),
        ("layers", card.layers, measurement.layers),
        ("input", card.input, measurement.input),
        ("output", card.output, measurement.output),
    ):
        if published != found:
            differences.append(Difference(card.id, what, str(published), str(found)))
    return differences


def _compare_accuracy(card: Card, file: PublishedFile, measurement: Measurement) -> list[Difference]:
    """A runtime is matched by the first word of its name, since versions change; a slower machine may run fewer inputs."""
    differences = []
    again = {_runtime(accuracy.runtime): accuracy for accuracy in measurement.accuracies.get(file.path, ())}
    for accuracy in file.accuracy:
        what = f"{file.path} in {accuracy.runtime}"
        published = f"{accuracy.correct}/{accuracy.n}"
        found = again.get(_runtime(accuracy.runtime))
        if found is None:
            differences.append(Difference(card.id, what, published, "not run", "this runtime is not on this machine"))
        elif found.n != accuracy.n:
            excuse = "another number of inputs was run"
            differences.append(Difference(card.id, what, published, f"{found.correct}/{found.n}", excuse))
        elif found.correct != accuracy.correct:
            differences.append(Difference(card.id, what, published, f"{found.correct}/{found.n}"))
    return differences


def _compare_figure(card: Card, name: str, figure: Figure, measurement: Measurement) -> Difference | None:
    if figure.kind == "predicted":
        return None
    found = measurement.figures.get(name)
    if found is None:
        return Difference(card.id, name, str(figure.value), "no such figure")
    if found.value == figure.value:
        return None
    excuse = "" if found.method == figure.method else f"another tool: {found.method}"
    return Difference(card.id, name, str(figure.value), str(found.value), excuse)


def _runtime(name: str) -> str:
    return name.split(maxsplit=1)[0]


def dataset_specs(specs: Path) -> dict[str, DatasetSpec]:
    """The dataset specs of a specs folder by name."""
    from microzoo.spec.load import load_folder

    return load_folder(specs / "datasets", DatasetSpec)
