"""From a winner to an entry: export, measure on the exported files, judge against the target, write the card."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from typing import Literal

import microzoo
from microzoo.build.exports import Exported, export_files, published_files, raw_type
from microzoo.build.golden import golden_vectors
from microzoo.build.key import job_key
from microzoo.build.predictions import predicted_figures, require_predictions
from microzoo.build.select import Finalist
from microzoo.build.training import Final
from microzoo.catalog.card import (
    MODEL_LICENCE,
    BuildRecord,
    Card,
    DatasetRecord,
    GoldenRecord,
    Preprocessing,
    SearchPoint,
    SearchRecord,
    SeedResult,
    Spread,
    TargetRecord,
)
from microzoo.catalog.files import writing
from microzoo.catalog.golden import Golden
from microzoo.data.arrays import Labels, Part, Raw
from microzoo.data.load import checksum
from microzoo.measure.entry import Measurement, measure_entry
from microzoo.quantise.reference import quantise_input
from microzoo.search.types import Row
from microzoo.sound.logmel import Samples
from microzoo.spec.load import Job

_VERSIONS = ("torch", "numpy", "onnx", "onnxruntime", "ai-edge-litert", "flatbuffers", "ziglang")
MOST_LOST = 0.01
"""Validation accuracy that int8 may lose before the card says so."""


@dataclass(frozen=True)
class Draft:
    """A measured model that may become an entry: it does where every limit fits."""

    card: Card
    files: dict[str, bytes]

    @property
    def misses(self) -> list[str]:
        """By how much it misses which limit; empty where it fits."""
        return [
            f"{limit.name} {limit.need:,.0f} of {limit.have:,.0f} {limit.unit}, {limit.need - limit.have:,.0f} too many"
            for limit in self.card.limits
            if not limit.fits
        ]

    def named(self, entry_id: str, siblings: tuple[str, ...]) -> Draft:
        """The same model under its ID, with the names of all that are published with it."""
        return Draft(self.card.model_copy(update={"id": entry_id, "siblings": siblings}), self.files)


@dataclass(frozen=True)
class Held:
    """What no training has seen: the test split, and for the golden vectors the raw inputs of the validation split with their
    classes, and the sound that they were made from. train: how many inputs the training split has.
    """

    test: Part
    raw_validation: Raw
    validation_labels: Labels
    train: int
    validation_sound: Samples | None = None


@dataclass(frozen=True)
class SearchFacts:
    """About a search besides its rows. taken_over: how many of the first rows come from other searches. baseline: the best
    reference design among the finalists.
    """

    taken_over: int = 0
    baseline: Finalist | None = None


def draft(job: Job, finalist: Finalist, rows: Sequence[Row], held: Held, *, about: SearchFacts) -> Draft:
    """Exports and measures one winner, still without a name: the one time that the test split is looked at for this entry.

    about: what the rows do not say. Raises MeasurementError where a prediction misses by more than allowed, besides what
    exporting and measuring raise.
    """
    model = finalist.finals[finalist.published_seed].model
    golden = golden_vectors(
        job.dataset, held.raw_validation, held.validation_labels, model, job.family.seed, held.validation_sound
    )
    exported = export_files(model, job.dataset, golden)
    x_test = quantise_input(held.test.x, model.tensors[model.graph.input])
    with writing(Path(tempfile.gettempdir())), tempfile.TemporaryDirectory(prefix="microzoo-") as temporary:
        folder = Path(temporary)
        for path, content in exported.files.items():
            place = folder / PurePosixPath(path)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        predicted = predicted_figures(model, job.target, job.dataset)
        measurement = measure_entry(folder, job.target, x_test, held.test.y, predicted=predicted)
    excused = require_predictions(job.place, job.target.runtime, measurement.figures)
    return Draft(_card(job, finalist, rows, held, golden, exported, measurement, about, excused), exported.files)


def build_record(
    *,
    seconds: float,
    search_seconds: float,
    training_seconds: float,
    device: str,
    ended_by: Literal["evaluations", "time budget", "space exhausted"],
) -> BuildRecord:
    """When, where and with what. seconds, search_seconds: wall time of this run; training_seconds: all trainings together."""
    return BuildRecord(
        finished_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(seconds, 1),
        search_seconds=round(search_seconds, 1),
        training_seconds=round(training_seconds, 1),
        device=device,
        machine=f"{platform.machine()} {platform.system()}, Python {platform.python_version()}",
        processor=processor(device),
        generator_version=microzoo.__version__,
        versions=_versions(),
        ended_by=ended_by,
    )


def processor(device: str) -> str:
    """The processor's name and its cores, and the GPU's name where `device` is one: "Intel(R) Xeon(R) Processor, 2 cores"."""
    name = platform.processor() or platform.machine()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), name)
    words = f"{name}, {os.cpu_count()} cores"
    if device == "cpu":
        return words
    import torch  # where a device is asked for

    return f"{torch.cuda.get_device_name(torch.device(device))}; {words}"


def _versions() -> dict[str, str]:
    """Of what is installed; ziglang may not be."""
    found = {}
    for package in _VERSIONS:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def _card(
    job: Job,
    finalist: Finalist,
    rows: Sequence[Row],
    held: Held,
    golden: Golden,
    exported: Exported,
    measurement: Measurement,
    about: SearchFacts,
    excused: tuple[str, ...],
) -> Card:
    preprocess = job.dataset.preprocess
    return Card(
        id=job.place,
        siblings=(),
        key=job_key(job),
        dataset=_dataset(job, held),
        target=_target(job),
        model_licence=MODEL_LICENCE,
        spec=job.family.model_dump(mode="json", exclude={"dataset", "targets", "budget"}),
        architecture=finalist.candidate.architecture.to_json(),
        sparsity=finalist.candidate.sparsity,
        input=measurement.input,
        output=measurement.output,
        preprocessing=Preprocessing(**preprocess.model_dump(), raw_type=raw_type(golden)),
        golden=GoldenRecord(n=len(golden), source=golden.source, seed=job.family.seed),
        files=published_files(exported.files, measurement.accuracies),
        figures=measurement.figures,
        limits=measurement.limits,
        layers=measurement.layers,
        seeds=tuple(
            SeedResult(
                seed=seed,
                epochs=finalist.epochs,
                validation_accuracy_float=final.validation_float,
                validation_accuracy_int8=final.validation_int8,
                published=seed == finalist.published_seed,
            )
            for seed, final in finalist.finals.items()
        ),
        validation_int8=_spread(finalist),
        confusion=measurement.confusion,
        headline=measurement.headline,
        headline_file=measurement.headline_file,
        search=_search(job, finalist, rows, about),
        known_limits=(
            *job.dataset.known_limits,
            *exported.left_out,
            *measurement.known_limits,
            *excused,
            *loss_in_int8(finalist.finals[finalist.published_seed]),
            *(f"A full training gave no model: {text}" for text in finalist.failures),
        ),
    )


def loss_in_int8(final: Final) -> tuple[str, ...]:
    """What the card has to say where int8 is more than a point below float on validation; nothing otherwise."""
    lost = final.validation_float - final.validation_int8
    if lost <= MOST_LOST + 1e-9:
        return ()
    real, int8 = f"{final.validation_float:.2%}", f"{final.validation_int8:.2%}"
    return (f"Quantisation costs {100 * lost:.1f} points: {real} of the validation split in float, {int8} in int8.",)


def _spread(finalist: Finalist) -> Spread:
    return Spread(mean=finalist.mean_int8, standard_deviation=finalist.deviation_int8, n=len(finalist.finals))


def _dataset(job: Job, held: Held) -> DatasetRecord:
    spec = job.dataset
    return DatasetRecord(
        name=job.dataset_name,
        title=spec.title,
        input_shape=spec.input_shape,
        classes=spec.classes,
        checksum=checksum(spec),
        train=held.train,
        validation=len(held.validation_labels),
        test=len(held.test),
        licence=spec.licence.name,
        licence_url=spec.licence.url,
        citation=spec.citation,
        sound=spec.sound,
        signal=spec.signal,
    )


def _target(job: Job) -> TargetRecord:
    spec = job.target
    return TargetRecord(
        name=job.target_name,
        title=spec.title,
        core=spec.core,
        clock_mhz=spec.clock_mhz,
        runtime=spec.runtime,
        ram_bytes=spec.budget.ram_bytes,
        flash_bytes=spec.budget.flash_bytes,
        reserve_ram_bytes=spec.reserve.ram_bytes,
        reserve_flash_bytes=spec.reserve.flash_bytes,
        macs_limit=spec.budget.macs,
        latency_limit_ms=spec.budget.latency_ms,
        cycles_per_instruction=spec.assumed_cycles,
        boards=spec.boards,
        npu=spec.npu,
    )


def _search(job: Job, finalist: Finalist, rows: Sequence[Row], about: SearchFacts) -> SearchRecord:
    points = tuple(
        SearchPoint(
            ordinal=row.candidate.ordinal,
            origin=row.candidate.origin,
            rung=row.candidate.rung,
            validation_accuracy=row.evaluation.validation_accuracy,
            activation_bytes=row.evaluation.resources.activation_bytes,
            flash_bytes=row.evaluation.resources.flash_bytes,
            macs=row.evaluation.resources.macs,
        )
        for row in rows
    )
    return SearchRecord(
        strategy=job.family.search.strategy,
        seed=job.family.seed,
        evaluations=len(rows),
        epochs=round(sum(row.evaluation.epochs for row in rows), 3),
        origin=finalist.candidate.origin,
        baseline=None if about.baseline is None else _spread(about.baseline),
        taken_over=about.taken_over,
        ordinal=finalist.candidate.ordinal,
        points=points,
    )
