"""Synthetic entries: valid cards with plausible, seeded figures, and files that match them. Never published."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from microzoo.catalog.card import (
    Accuracy,
    BuildRecord,
    Card,
    DatasetRecord,
    Figure,
    LayerRow,
    Limit,
    Preprocessing,
    PublishedFile,
    SearchPoint,
    SearchRecord,
    SeedResult,
    Spread,
    TargetRecord,
    Tensor,
)
from microzoo.catalog.store import write_entry

if TYPE_CHECKING:
    from microzoo.data.arrays import Labels, Raw
    from microzoo.graph.integer import IntegerModel
    from microzoo.sound.logmel import Samples
    from microzoo.spec.dataset import DatasetSpec

TARGETS = {"tiny-2k": (2, 16), "cortex-m0plus-8k": (8, 32), "cortex-m4-64k": (64, 64), "cortex-m4-256k": (256, 1024)}
DATASETS = {
    "digits": ((8, 8, 1), 360, 0.965),
    "fashion-mnist": ((28, 28, 1), 10_000, 0.91),
    "mnist": ((28, 28, 1), 10_000, 0.975),
}
CODE = "not a real model: "


@dataclass(frozen=True)
class Synthetic:
    """A card with its build record and files, as `write_entry` takes them."""

    card: Card
    build: BuildRecord
    files: dict[str, bytes]

    def write(self, zoo: Path) -> Path:
        return write_entry(zoo, self.card, self.build, self.files)


def published(
    kind: str = "uint8", *, dataset: str = "digits", name: str = "whole", channels: int = 1, redistributable: bool = True
) -> Synthetic:
    """An entry with everything that is published today, with real files of a small model; its figures are synthetic.

    kind: of a raw value. redistributable: whether samples of the data may be shipped.
    """
    from ..measure.files import dataset_spec, raw_validation, residual_model  # noqa: TID252

    spec = dataset_spec(redistributable, channels)
    return with_files(
        synthetic(dataset, "cortex-m4-64k", name), residual_model(channels=channels), spec, *raw_validation(kind, channels)
    )


def with_files(
    base: Synthetic, model: IntegerModel, spec: DatasetSpec, raw: Raw, labels: Labels, sound: Samples | None = None
) -> Synthetic:
    """`base` with the real files of a model, and what its card says of them. raw, labels, sound: the validation split."""
    from microzoo.build.exports import export_files, published_files, raw_type
    from microzoo.build.golden import golden_vectors
    from microzoo.catalog.card import GoldenRecord
    from microzoo.data.load import checksum

    golden = golden_vectors(spec, raw, labels, model, 0, sound)
    files = export_files(model, spec, golden).files
    card, classes = base.card, len(spec.classes)
    ends = [
        Tensor(shape=shape, scale=end.scale, zero_point=end.zero_point)
        for shape, end in ((spec.input_shape, model.tensors["x"]), ((classes,), model.tensors["y"]))
    ]
    record = {
        "input_shape": spec.input_shape,
        "classes": spec.classes,
        "checksum": checksum(spec),
        "train": 200,
        "validation": len(labels),
        "sound": spec.sound,
        "signal": spec.signal,
    }
    changes = {
        "dataset": card.dataset.model_copy(update=record),
        "input": ends[0],
        "output": ends[1],
        "preprocessing": Preprocessing(**spec.preprocess.model_dump(), raw_type=raw_type(golden)),
        "golden": GoldenRecord(n=len(golden), source=golden.source, seed=0),
        "files": published_files(files, {file.path: file.accuracy for file in card.files}),
        "confusion": tuple(row[:classes] for row in card.confusion[:classes]),
    }
    return Synthetic(card.model_copy(update=changes), base.build, files)


def synthetic(dataset: str = "digits", target: str = "cortex-m0plus-8k", name: str = "brisk-wren", seed: int = 0) -> Synthetic:
    rng = np.random.default_rng([seed, *map(ord, dataset + target + name)])
    shape, test, base = DATASETS[dataset]
    ram_kb, flash_kb = TARGETS[target]
    fill = float(rng.uniform(0.35, 0.95))
    layers = _layers(shape, fill * ram_kb * 700, rng)
    activations = max(layer.live_bytes for layer in layers)
    macs, parameters = sum(layer.macs for layer in layers), sum(layer.parameters for layer in layers)
    ram, flash = activations + 512, min(parameters + 4200, int(0.97 * flash_kb * 1024))
    accuracy = min(0.995, base + 0.003 * np.log2(ram_kb) + float(rng.normal(0, 0.004)))
    correct = round(accuracy * test)
    confusion = _confusion(test, correct, rng)
    files = {
        "model.tflite": CODE.encode() + bytes(rng.integers(0, 256, parameters + 3000, dtype=np.uint8)),
        "model.onnx": CODE.encode() + bytes(rng.integers(0, 256, parameters + 6000, dtype=np.uint8)),
        **{f"c/{file}": f"/* {CODE}{file} */\n".encode() for file in ("model.c", "model.h", "microzoo_nn.c", "microzoo_nn.h")},
    }
    runs = {
        "model.tflite": "LiteRT reference kernels 2.1",
        "model.onnx": "ONNX Runtime 1.22",
        "c/model.c": "generated C, gcc 12.2",
    }
    published = tuple(
        PublishedFile(
            path=path,
            format={"tflite": "tflite", "onnx": "onnx", "c": "c", "h": "header"}[path.rsplit(".", 1)[-1]],  # type: ignore[arg-type]
            bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            accuracy=(Accuracy(runtime=runs[path], split="test", value=correct / test, correct=correct, n=test),)
            if path in runs
            else (),
        )
        for path, content in files.items()
    )
    seeds = tuple(min(1.0, float(accuracy + rng.normal(0, 0.002))) for _ in range(3))
    card = Card(
        id=f"{dataset}/{target}/{name}",
        siblings=("accurate",),
        key=_sha("key", dataset, target, name),
        dataset=DatasetRecord(
            name=dataset,
            title=dataset.replace("-", " ").title(),
            input_shape=shape,
            classes=tuple("0123456789"),
            checksum=_sha(dataset),
            train=1150,
            validation=287,
            test=test,
            licence="CC-BY-4.0",
            licence_url="https://example.org/licence",
            citation="Somebody 1998",
        ),
        target=TargetRecord(
            name=target,
            title=f"Class {target}",
            core="cortex-m4",
            clock_mhz=64.0,
            runtime="c",
            ram_bytes=ram_kb * 1024,
            flash_bytes=flash_kb * 1024,
            reserve_ram_bytes=0,
            reserve_flash_bytes=0,
            macs_limit=5_000_000,
            cycles_per_instruction=2.5 if target == "cortex-m4-64k" else None,
            boards=("a board",),
        ),
        architecture=json.dumps({"blocks": [], "pool": None}),
        sparsity=float(rng.uniform(0, 0.5)),
        input=Tensor(shape=shape, scale=1 / 255, zero_point=-128),
        output=Tensor(shape=(10,), scale=0.17, zero_point=12),
        preprocessing=Preprocessing(raw_min=0, raw_max=16, scale=0.0625, mean=0.0, std=1.0),
        files=published,
        figures=_figures(activations, ram, flash, macs, parameters),
        limits=(
            Limit(
                name="ram", need=ram, have=ram_kb * 1024, unit="bytes", kind="estimated", method="c_ram + stack by -fstack-usage"
            ),
            Limit(name="flash", need=flash, have=flash_kb * 1024, unit="bytes", kind="measured", method="linked image"),
            Limit(name="compute", need=macs, have=5_000_000, unit="macs", kind="measured", method="counted in model.tflite"),
        ),
        layers=layers,
        seeds=tuple(
            SeedResult(
                seed=index,
                epochs=20.0,
                validation_accuracy_float=min(1.0, value + 0.001),
                validation_accuracy_int8=value,
                published=index == 0,
            )
            for index, value in enumerate(seeds)
        ),
        validation_int8=Spread(mean=float(np.mean(seeds)), standard_deviation=float(np.std(seeds, ddof=1)), n=3),
        confusion=confusion,
        headline=published[2].accuracy[0] if published[2].accuracy else published[0].accuracy[0],
        headline_file="model.tflite",
        search=_search(accuracy, ram, flash, macs, rng),
        known_limits=("Digits of 43 people only.",),
    )
    build = BuildRecord(
        finished_utc="2026-11-23T08:00:00",
        seconds=312.5,
        search_seconds=240.0,
        device="cpu",
        machine="x86-64, 2 cores",
        generator_version="0.1.0",
        versions={"torch": "2.9.0", "numpy": "2.1.0"},
        ended_by="evaluations",
    )
    return Synthetic(card, build, files)


def synthetic_zoo(zoo: Path, each: int = 1) -> int:
    """Writes `each` entries for every dataset and target; gives their number."""
    names = ("brisk-wren", "calm-otter", "keen-finch", "plain-moth", "quick-newt", "spare-lark")
    count = 0
    for dataset in DATASETS:
        for target in TARGETS:
            for index in range(each):
                name = names[index % len(names)] + (f"-{index}" if index >= len(names) else "")
                synthetic(dataset, target, name, seed=index).write(zoo)
                count += 1
    return count


def _layers(shape: tuple[int, int, int], peak: float, rng: np.random.Generator) -> tuple[LayerRow, ...]:
    """A convolution, a residual block with a shortcut, pooling, dense: widths so that the peak comes near `peak` bytes."""
    h, w, c = shape
    width = min(max(1, int(peak / (h * w) / 2.2)), 48)
    narrow = max(2, int(width * rng.uniform(0.4, 0.9)))
    half = (h // 2, w // 2)
    rows: list[LayerRow] = []

    def add(
        kind: str, inputs: tuple[str, ...], out: tuple[int, ...], parameters: int, kernel: int | None, stride: int, live: int
    ) -> str:
        name = f"t{len(rows)}"
        macs = int(np.prod(out)) * (parameters // max(out[-1], 1) - 1) if parameters else 0
        rows.append(
            LayerRow(
                name=name,
                kind=kind,
                inputs=inputs,
                output=name,
                output_shape=out,
                kernel=(kernel, kernel) if kernel else None,
                stride=(stride, stride) if kernel else None,
                relu=kind in ("CONV_2D", "DEPTHWISE_CONV_2D"),
                parameters=parameters,
                macs=macs,
                live_bytes=live,
            )
        )
        return name

    full, small = h * w * width, half[0] * half[1] * width
    first = add("CONV_2D", ("input",), (h, w, width), (9 * c + 1) * width, 3, 1, h * w * c + full)
    trunk = add("CONV_2D", (first,), (*half, width), (9 * width + 1) * width, 3, 2, full + small)
    branch = add("CONV_2D", (trunk,), (*half, narrow), (width + 1) * narrow, 1, 1, small + half[0] * half[1] * narrow)
    branch = add("DEPTHWISE_CONV_2D", (branch,), (*half, narrow), 10 * narrow, 3, 1, small + 2 * half[0] * half[1] * narrow)
    branch = add("CONV_2D", (branch,), (*half, width), (narrow + 1) * width, 1, 1, 2 * small + half[0] * half[1] * narrow)
    joined = add("ADD", (trunk, branch), (*half, width), 0, None, 1, 2 * small)
    pooled = add("AVERAGE_POOL_2D", (joined,), (1, 1, width), 0, half[0], half[0], small + width)
    flat = add("RESHAPE", (pooled,), (width,), 0, None, 1, width)
    add("FULLY_CONNECTED", (flat,), (10,), (width + 1) * 10, None, 1, width + 10)
    return tuple(rows)


def _figures(activations: int, ram: int, flash: int, macs: int, parameters: int) -> dict[str, Figure]:
    def figure(value: int | None, unit: str, kind: str, method: str) -> Figure:
        return Figure(value=value, unit=unit, kind=kind, method=method)  # type: ignore[arg-type]

    return {
        "activations": figure(activations, "bytes", "measured", "memory plan in model.tflite"),
        "paper_ram": figure(activations - 64, "bytes", "measured", "µNAS: input excluded, add in place"),
        "paper_size": figure(parameters, "bytes", "measured", "µNAS: one byte a parameter"),
        "macs": figure(macs, "macs", "measured", "counted in model.tflite"),
        "parameters": figure(parameters, "count", "measured", "counted in model.tflite"),
        "c_flash": figure(flash, "bytes", "measured", "arm-none-eabi-gcc 12.2 -Os, linked image less the empty one"),
        "c_ram": figure(ram, "bytes", "measured", "arm-none-eabi-gcc 12.2 -Os, .data + .bss"),
        "arena_total": figure(None, "bytes", "measured", "the tflite-micro wheel is not installed (x86-64 Linux only)"),
        "predicted_activations": figure(activations, "bytes", "predicted", "live peak of the graph"),
        "predicted_ram": figure(ram + 128, "bytes", "predicted", "activations + stack"),
        "predicted_flash": figure(flash + 300, "bytes", "predicted", "weights + kernels"),
        "predicted_macs": figure(macs, "macs", "predicted", "summed over the graph"),
    }


def _confusion(test: int, correct: int, rng: np.random.Generator) -> tuple[tuple[int, ...], ...]:
    counts = np.zeros((10, 10), dtype=int)
    rights = np.full(10, correct // 10)
    rights[: correct - rights.sum()] += 1
    counts[np.diag_indices(10)] = rights
    for wrong in range(test - correct):
        true = wrong % 10
        counts[true, (true + int(rng.integers(1, 10))) % 10] += 1
    return tuple(tuple(int(count) for count in row) for row in counts)


def _search(accuracy: float, ram: int, flash: int, macs: int, rng: np.random.Generator) -> SearchRecord:
    points = []
    for ordinal in range(120):
        origin = "reference" if ordinal < 5 else "random" if ordinal < 20 else "change filters"
        reached = accuracy - 0.01 - 0.08 * np.exp(-ordinal / 30) * rng.random() - abs(rng.normal(0, 0.01))
        value = 0.0 if rng.random() < 0.03 else float(reached)
        points.append(
            SearchPoint(
                ordinal=ordinal, origin=origin, validation_accuracy=value, activation_bytes=ram, flash_bytes=flash, macs=macs
            )
        )
    best = max(points, key=lambda point: point.validation_accuracy)
    return SearchRecord(strategy="microzoo", seed=0, evaluations=120, epochs=240.0, ordinal=best.ordinal, points=tuple(points))


def _sha(*words: str) -> str:
    return hashlib.sha256("/".join(words).encode()).hexdigest()
