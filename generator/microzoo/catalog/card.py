"""card.json: everything that is published of one model, each figure with its kind and its method.

A card holds only what the same spec and seed give again on the same machine; when, where and how long stands in build.json
beside it (`BuildRecord`). Cards are read by the site, by `zoo verify` and by other people's programs: fields are added, never
renamed, and `schema_version` rises when one changes its meaning.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from microzoo.spec.base import Sha256
from microzoo.spec.dataset import SignalSpec, SoundSpec
from microzoo.spec.models import NpuSpec, Runtime

SCHEMA_VERSION = 1
MODEL_LICENCE = "Apache-2.0"
"""Of what a build writes: models, C and kernels. Real inputs among the golden vectors stay under the licence of their data."""

Kind = Literal["predicted", "measured", "emulated", "estimated"]


class Model(BaseModel):
    """Frozen and strict: an unknown field is a newer card or a damaged one."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Figure(Model):
    """One number with how it came about. `value` None: it could not be had, and `method` says why."""

    value: float | int | None
    unit: Literal["bytes", "macs", "instructions", "cycles", "ms", "share", "count"]
    kind: Kind
    method: str
    """How: which formula, or which tool on which file; or why there is no value."""


class Accuracy(Model):
    """Accuracy of one file in one runtime on one split."""

    runtime: str
    """For instance "TensorFlow Lite Micro 0.dev20261023" or "generated C, gcc 12.2"."""
    split: Literal["test", "validation"]
    value: Annotated[float, Field(ge=0.0, le=1.0)]
    correct: int
    n: int
    """Inputs that were run. A runtime too slow for all says so by a smaller n."""


Role = Literal["model", "model with float ends", "kernels", "preparation", "features", "golden vectors", "self test"]
"""model: int8 in and out. model with float ends: the same model, quantised and dequantised inside the file. kernels: the library
that the C of the model calls. preparation: C from raw values to the int8 input. features: C from sound to raw values. golden
vectors: inputs with the outputs they must give. self test: a program that runs them."""


class PublishedFile(Model):
    """One file beside the card."""

    path: str
    """Relative to the entry's folder, forward slashes."""
    format: Literal["tflite", "onnx", "c", "header", "golden", "wasm", "other"]
    bytes: int
    sha256: Sha256
    role: Role | None = None
    """What it is for. None: built before this was recorded; such an entry has models and their kernels only."""
    accuracy: tuple[Accuracy, ...] = ()
    """Measured on this very file; for C, on the program compiled from the sources."""


class LayerRow(Model):
    """One operator of the published .tflite, in file order. Bytes and MACs are counted from the file."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    output: str
    output_shape: tuple[int, ...]
    kernel: tuple[int, int] | None = None
    stride: tuple[int, int] | None = None
    relu: bool = False
    parameters: int
    macs: int
    live_bytes: int
    """Activations live while it runs, as placed by the file's memory plan."""


class Limit(Model):
    """One budget of the target against one figure."""

    name: Literal["ram", "flash", "compute", "latency"]
    need: float
    have: float
    """What is left after the application's reserve."""
    unit: Literal["bytes", "macs", "ms"]
    kind: Kind
    """Kind of the weakest figure in `need`."""
    method: str

    @property
    def fits(self) -> bool:
        """Whether the need is within what there is."""
        return self.need <= self.have


class TargetRecord(Model):
    """The target as it was when the entry was built."""

    name: str
    title: str
    core: str
    clock_mhz: float
    runtime: Runtime
    ram_bytes: int
    flash_bytes: int
    reserve_ram_bytes: int
    reserve_flash_bytes: int
    macs_limit: int | None
    """None where there is no such limit."""
    latency_limit_ms: float | None = None
    """Longest time of one inference, as instructions / clock; None where there is no such limit."""
    cycles_per_instruction: float | None = None
    """What is assumed of the core; None in cards that were written before they said it."""
    boards: tuple[str, ...]
    npu: NpuSpec | None = None
    """None also in cards that were written before they said it."""


class GoldenRecord(Model):
    """Where the inputs of golden.npz come from."""

    n: int
    source: Literal["validation", "synthetic"]
    """validation: real inputs of the validation split. synthetic: the dataset's licence does not let samples be shipped."""
    seed: int
    """Of the choice among the validation inputs, or of the synthetic ones."""


class DatasetRecord(Model):
    """The dataset as it was when the entry was built."""

    name: str
    title: str
    input_shape: tuple[int, int, int]
    classes: tuple[str, ...]
    checksum: Sha256
    train: int
    validation: int
    test: int
    licence: str
    licence_url: str
    citation: str
    sound: SoundSpec | None = None
    """How sound becomes the raw values, where the data is sound; else, and in cards from before sound was known, None."""
    signal: SignalSpec | None = None
    """What sensor values the inputs are windows of, where they are; else, and in cards from before signals were known, None."""


class Tensor(Model):
    """Input or output of the published files. real = scale * (q - zero_point)."""

    shape: tuple[int, ...]
    """Without batch; height, width, channels in .tflite and C; the ONNX file has channels first."""
    scale: float
    zero_point: int


class Preprocessing(Model):
    """From a raw value to the int8 input: real = (raw * scale - mean) / std, then q = round(real / input scale) + zero point."""

    raw_min: float
    raw_max: float
    scale: float
    mean: float
    std: float
    raw_type: Literal["uint8", "float32"] | None = None
    """What the shipped C and golden.npz take as a raw value. None: the entry has neither."""


class SeedResult(Model):
    """One full training of this architecture."""

    seed: int
    epochs: float
    """Passes over the training split; fewer than the spec asks for where a time budget cut it."""
    validation_accuracy_float: float
    validation_accuracy_int8: float
    published: bool


class Spread(Model):
    """Over the seeds that were run. Standard deviation with n - 1 in the denominator; None for one seed."""

    mean: float
    standard_deviation: float | None
    n: int


class SearchPoint(Model):
    """One evaluation of the search that led here."""

    ordinal: int
    origin: str
    rung: int = 0
    """Of the fidelity schedule: 0 is the shortest training. Accuracies of different rungs cannot be compared."""
    validation_accuracy: float
    activation_bytes: int
    flash_bytes: int
    macs: int


class SearchRecord(Model):
    """The search behind the entry. The points are its whole history, in the order in which it consumed them."""

    strategy: str
    seed: int
    evaluations: int
    epochs: float
    """Training epochs in all, as passes over the full training split; those of evaluations taken over are part of it."""
    origin: str = ""
    """How the published candidate came about: a reference design, random, or the morphism that made it."""
    baseline: Spread | None = None
    """The best reference design at the same limits, trained and judged in the same way: int8 validation accuracy over its seeds.
    None where none was trained in full."""
    taken_over: int = 0
    """How many of the first evaluations come from searches under other limits, by `zoo build --reuse`."""
    ordinal: int
    """Which evaluation became this entry."""
    points: tuple[SearchPoint, ...]


class Card(Model):
    """One published model."""

    schema_version: int = SCHEMA_VERSION
    id: str
    """dataset/target/name"""
    siblings: tuple[str, ...]
    """Names of all entries of this dataset and target that were published together, this one's included."""
    key: Sha256
    """Of the spec, dataset and generator that made it: the entry is up to date while they give the same key."""
    dataset: DatasetRecord
    target: TargetRecord
    model_licence: str | None = None
    """Licence of the models and the C, as an SPDX name. None: built before cards said it."""
    spec: dict[str, JsonValue] | None = None
    """What the family's spec asked for, defaults included: its seed and its tables search, train, prune, quantise and select.
    None: built before cards said it."""
    architecture: str
    """The genotype's JSON, before pruning."""
    sparsity: float
    input: Tensor
    output: Tensor
    preprocessing: Preprocessing
    golden: GoldenRecord | None = None
    """None: built before entries had golden vectors."""
    files: tuple[PublishedFile, ...]
    figures: dict[str, Figure]
    """By name: activations, paper_ram, paper_size, macs, parameters, c_flash, c_ram, instructions, arena_head, arena_tail,
    arena_total, and predicted_activations, predicted_ram, predicted_flash, predicted_macs beside them."""
    limits: tuple[Limit, ...]
    layers: tuple[LayerRow, ...]
    seeds: tuple[SeedResult, ...]
    validation_int8: Spread
    """int8 accuracy on validation over the seeds."""
    confusion: tuple[tuple[int, ...], ...]
    """Test split, rows are true classes, on the file that `headline` names."""
    headline: Accuracy
    """The test accuracy that tables show: of the int8 file for this target's runtime, all test inputs."""
    headline_file: str
    search: SearchRecord
    known_limits: tuple[str, ...] = ()


class Change(Model):
    """What one build changed of an entry that had been published before."""

    utc: str
    """When the build that changed it was finished."""
    generator_version: str
    words: tuple[str, ...]
    """A line each, for instance "RAM: 9,812 to 9,700 bytes"."""


class BuildRecord(Model):
    """build.json: what differs from run to run. Never part of a comparison."""

    finished_utc: str
    seconds: float
    search_seconds: float
    device: str
    machine: str
    generator_version: str
    versions: dict[str, str]
    ended_by: Literal["evaluations", "time budget", "space exhausted"]
    processor: str | None = None
    """Name of the processor and how many cores it has; for a GPU its name as well. None: built before this was recorded."""
    training_seconds: float | None = None
    """Of the search's trainings, added up over all runs and all workers; those that were taken over are part of it."""
    first_published_utc: str | None = None
    """When the entry came into the zoo. None: not known, it was there before this was recorded."""
    changes: tuple[Change, ...] = ()
    """What later builds changed, the latest first."""
