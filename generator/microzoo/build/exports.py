"""The published files of a model: enters an integer model with golden vectors, leaves bytes by path, and the list for a card."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

import numpy as np

from microzoo.build.golden import quantised_bytes
from microzoo.catalog.card import Accuracy, PublishedFile, Role
from microzoo.catalog.golden import GOLDEN, Golden, golden_bytes
from microzoo.catalog.store import sha256
from microzoo.errors import ExportError
from microzoo.export.c import c_sources
from microzoo.export.features import features_sources
from microzoo.export.onnx import onnx
from microzoo.export.prepare import prepare_bytes, prepare_reals
from microzoo.export.selftest import selftest_sources
from microzoo.export.tflite import tflite
from microzoo.export.wasm import wasm
from microzoo.graph.integer import IntegerModel
from microzoo.sound.logmel import front_end_of
from microzoo.spec.dataset import DatasetSpec

FileFormat = Literal["tflite", "onnx", "c", "header", "golden", "wasm", "other"]
_FORMATS: dict[str, FileFormat] = {
    ".tflite": "tflite",
    ".onnx": "onnx",
    ".c": "c",
    ".h": "header",
    ".npz": "golden",
    ".wasm": "wasm",
}
_ROLES: dict[str, Role] = {
    "model.tflite": "model",
    "model.onnx": "model",
    "model_float.onnx": "model with float ends",
    "model.wasm": "model",
    "c/model.c": "model",
    "c/model.h": "model",
    "c/model_prepare.c": "preparation",
    "c/model_prepare.h": "preparation",
    "c/model_features.c": "features",
    "c/model_features.h": "features",
    GOLDEN: "golden vectors",
    "selftest/model_golden.h": "golden vectors",
    "selftest/model_selftest.c": "self test",
    "selftest/Makefile": "self test",
}
"""By path; what else lies in c/ is the kernel library."""


@dataclass(frozen=True)
class Exported:
    """files: path in the entry -> bytes. left_out: what could not be made here and why, a sentence each."""

    files: dict[str, bytes]
    left_out: tuple[str, ...] = ()


def export_files(model: IntegerModel, spec: DatasetSpec, golden: Golden) -> Exported:
    """All that is published of a model. spec: of its dataset, for labels, preprocessing and credit."""
    labels, how = spec.classes, spec.preprocess
    sources = c_sources(model, labels=labels)
    if golden.raw.dtype == np.uint8:
        preparation = prepare_bytes("model", quantised_bytes(how, model.tensors[model.graph.input]))
    else:
        preparation = prepare_reals("model", how, model.tensors[model.graph.input])
    front_end = front_end_of(spec)
    features = {} if front_end is None else features_sources("model", front_end)
    c = sources | preparation | features
    module, left_out = _wasm(c)
    credit = f"{spec.title}, {spec.licence.name}. {spec.citation}"
    files = {
        "model.tflite": tflite(model, labels=labels, normalisation=how),
        "model.onnx": onnx(model, labels=labels, normalisation=how),
        "model_float.onnx": onnx(model, float_io=True, labels=labels, normalisation=how),
        **{f"c/{file}": text.encode() for file, text in c.items()},
        **module,
        GOLDEN: golden_bytes(golden),
        **{f"selftest/{file}": text.encode() for file, text in selftest_sources("model", golden, credit).items()},
    }
    return Exported(files, left_out)


_PATH = re.compile(r"""(?:[A-Za-z]:)?[/\\][^\s"':]+""")
"""A card says nothing of the machine that made it, and the same everywhere."""


def _wasm(sources: Mapping[str, str]) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """The module where it can be compiled here; else why not. No build should fail for it after hours of search."""
    try:
        return {"model.wasm": wasm(sources)}, ()
    except ExportError as error:
        return {}, (f"model.wasm was not made: {_PATH.sub('(a path)', str(error))}",)


def published_files(files: Mapping[str, bytes], accuracies: Mapping[str, tuple[Accuracy, ...]]) -> tuple[PublishedFile, ...]:
    """What a card lists. files: as `export_files` gives them. accuracies: by path, where a file has any."""
    return tuple(
        PublishedFile(
            path=path,
            format=_FORMATS.get(PurePosixPath(path).suffix, "other"),
            bytes=len(content),
            sha256=sha256(content),
            role=_ROLES.get(path, "kernels"),
            accuracy=accuracies.get(path, ()),
        )
        for path, content in files.items()
    )


def raw_type(golden: Golden) -> Literal["uint8", "float32"]:
    """Type of a raw value."""
    return "uint8" if golden.raw.dtype == np.uint8 else "float32"
