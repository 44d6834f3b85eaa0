"""The model in its page: from an entry to the files that the page loads when somebody wants to try it.

A page opened from a disk may load scripts but read no files, so wasm, ONNX and samples go into scripts of the entry as base64,
which nothing loads before they are wanted. The samples are the entry's golden vectors: real inputs exactly where the licence of
the data lets them be shipped. What a visitor sees is decided by `kind_of` and `DRAWINGS`: a kind of data is a name here and a
widget of that name in assets/tryout-*.js.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from microzoo.catalog.card import Card, PublishedFile
from microzoo.catalog.golden import Golden, read_golden
from microzoo.catalog.store import Entry
from microzoo.errors import SiteError
from microzoo.pages.table import page_of
from microzoo.pages.webruntime import WebRuntime, base64_of, handed, web_runtime
from microzoo.sound.logmel import LogMel
from microzoo.spec.dataset import SignalSpec

_AGAIN = "build the entry again"
_HEARS = ("sound", "samples", "features")
"""What the wasm of a model of sound exports besides what every model's does."""
FOLDER = "tryout"
"""Below a model's page; with the scripts below."""
MODEL, ONNX = "model.js", "onnx.js"

Kind = Literal["image", "motion", "sound", "values"]
"""image: grey or coloured pixels, one byte each. motion: a window of sensor values, replayed in its own time. sound: clips to
hear, and a recorder. values: anything else, shown as a plot."""
LEAST_SIDE = 6
"""Pixels that the shorter side of an image has at least; narrower arrays are windows of a time series."""


@dataclass(frozen=True)
class Drawing:
    """How the pictures of a dataset, light on an empty ground, came to their size: a drawing is brought to it in the same way.

    It is scaled into `width` x `height`, shares of the frame, its sides by factors that differ at most by `stretch`; then the
    middle of its box, or its centre of mass, goes to the middle of the frame. pen: a stroke's thickness, a share of the frame.
    filled: what strokes enclose belongs to the drawing, in the grey `filling`, a share of the range of raw values.
    """

    what: str
    """What to draw, after "Draw "."""
    width: float
    height: float
    stretch: float
    centre: Literal["box", "mass"]
    pen: float
    filled: bool = False
    filling: float = 1.0


DRAWINGS: dict[str, Drawing] = {
    # Measured on the 1,797 digits: all are 8 rows high; 5.7 of 8 columns wide on average, ones 5.0: sides were scaled one by one.
    "digits": Drawing("a digit", width=0.72, height=1.0, stretch=1.8, centre="box", pen=0.16),
    # LeCun et al. 1998: fitted into 20x20 pixels, the centre of mass put into the middle of 28x28.
    "mnist": Drawing("a digit", width=20 / 28, height=20 / 28, stretch=1.0, centre="mass", pen=0.09),
    # Xiao et al. 2017, section 2: trimmed, the longest side scaled to 28 pixels, centred, negated.
    "fashion-mnist": Drawing(
        "the outline of a garment", width=1.0, height=1.0, stretch=1.0, centre="box", pen=0.06, filled=True, filling=0.7
    ),
}
"""By dataset. Others can be tried with samples and pictures, as nothing is known about how theirs were cut out."""


@dataclass(frozen=True)
class Tryout:
    """What the page of one entry needs to let its model run; `missing` says why it cannot."""

    missing: str = ""
    kind: Kind = "values"
    samples: int = 0
    real: bool = False
    """Whether the samples are inputs of the dataset, not synthetic ones."""
    drawing: Drawing | None = None
    model_bytes: int = 0
    onnx: str = ""
    """Path of the ONNX file that stands for comparison; "" where there is none."""
    onnx_bytes: int = 0
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Path below the model's page -> what to write there."""

    @property
    def loaded_bytes(self) -> int:
        """What the page loads when the model is wanted."""
        return len(self.files[f"{FOLDER}/{MODEL}"])


@dataclass(frozen=True)
class TryOuts:
    """Those of a whole site, for its templates. scripts: path from the site's root -> what to write there."""

    of: Mapping[str, Tryout]
    """By the entry's ID."""
    runtime: WebRuntime
    scripts: dict[str, bytes]


def wanted_runtime(entries: Sequence[Entry], modules: Path | None) -> WebRuntime:
    """What compares the entries in the page, if any of them can be. modules: as `web_runtime` takes it, and raises."""
    return web_runtime(modules if any(_file(entry.card, "onnx") for entry in entries) else None)


def try_outs(entries: Sequence[Entry], runtime: Callable[[], WebRuntime]) -> TryOuts:
    """runtime: gives `wanted_runtime`, and is asked last. Raises what `tryout` and `runtime` raise."""
    tried = {entry.card.id: tryout(entry) for entry in entries}
    folders = {entry.card.id: page_of(entry.card).removesuffix("index.html") for entry in entries}
    scripts = {f"{folders[name]}{path}": content for name, each in tried.items() for path, content in each.files.items()}
    compared = runtime()
    return TryOuts(tried, compared, scripts | compared.files)


def kind_of(card: Card) -> Kind:
    """The kind of data: what the card says of it, else by shape and type of a raw input."""
    if card.dataset.sound is not None:
        return "sound"
    if card.dataset.signal is not None:
        return "motion"
    height, width, channels = card.dataset.input_shape
    pixels = card.preprocessing.raw_type == "uint8" and channels in (1, 3) and min(height, width) >= LEAST_SIDE
    return "image" if pixels else "values"


def tryout(entry: Entry) -> Tryout:
    """The try-out of one entry. Raises CatalogError or SiteError naming entry and field where a file is not as the card says."""
    card = entry.card
    wasm, golden = _file(card, "wasm"), _file(card, "golden")
    if wasm is None:
        return Tryout(missing="This entry has no model.wasm, so there is nothing that a page could run.")
    if golden is None:
        return Tryout(missing="This entry has no golden vectors, so a page could not show that it runs the model rightly.")
    samples, module = read_golden(_path(entry, golden)), _path(entry, wasm).read_bytes()
    _check(card, samples)
    _check_sound(card, samples, module)
    kind = kind_of(card)
    drawing = DRAWINGS.get(card.dataset.name) if kind == "image" and card.dataset.input_shape[2] == 1 else None
    onnx = _file(card, "onnx")
    files = {f"{FOLDER}/{MODEL}": handed("model", _model(card, kind, drawing, module, samples))}
    if onnx is not None:
        files[f"{FOLDER}/{ONNX}"] = handed("onnx", {"bytes": base64_of(_path(entry, onnx).read_bytes())})
    return Tryout(
        kind=kind,
        samples=len(samples),
        real=samples.source == "validation",
        drawing=drawing,
        model_bytes=wasm.bytes,
        onnx=onnx.path if onnx else "",
        onnx_bytes=onnx.bytes if onnx else 0,
        files=files,
    )


def _model(card: Card, kind: Kind, drawing: Drawing | None, module: bytes, golden: Golden) -> dict[str, Any]:
    """All that the page knows about the model. Names are those of the card, in the script's own case."""
    how = card.preprocessing
    return {
        "id": card.id,
        "kind": kind,
        "classes": card.dataset.classes,
        "shape": card.dataset.input_shape,
        "rawType": "uint8" if golden.raw.dtype == np.uint8 else "float32",
        "rawMin": how.raw_min,
        "rawMax": how.raw_max,
        "outputScale": card.output.scale,
        "outputZeroPoint": card.output.zero_point,
        "drawing": None
        if drawing is None
        else {
            "width": drawing.width,
            "height": drawing.height,
            "stretch": drawing.stretch,
            "centre": drawing.centre,
            "pen": drawing.pen,
            "filling": drawing.filling if drawing.filled else None,
        },
        "sound": _sound(card),
        "signal": _signal(card.dataset.signal),
        "real": golden.source == "validation",
        "samples": [_sample(golden, index) for index in range(len(golden))],
        "wasm": base64_of(module),
    }


def _sample(golden: Golden, index: int) -> dict[str, Any]:
    """One golden vector. sound: only where the data is sound."""
    found = {"raw": golden.raw} if golden.sound is None else {"raw": golden.raw, "sound": golden.sound}
    packed = {name: base64_of(_little(array[index]).tobytes()) for name, array in found.items()}
    return packed | {"label": int(golden.label[index]), "output": golden.output[index].tolist()}


def _sound(card: Card) -> dict[str, int] | None:
    """How the page brings sound to the size of a clip; None where the data is no sound."""
    sound = card.dataset.sound
    return None if sound is None else {"rateHz": sound.rate_hz, "samples": LogMel(sound, *card.dataset.input_shape[:2]).samples}


def _check_sound(card: Card, golden: Golden, module: bytes) -> None:
    """Whether golden.npz and model.wasm know the sound that the card speaks of. In a module an exported function is the length of
    its name, the name, and a zero byte.
    """
    described = _sound(card)
    if described is None:
        return
    wrong = None
    missing = [name for name in _HEARS if bytes([len(name)]) + name.encode() + b"\0" not in module]
    if golden.sound is None:
        wrong = "golden.npz has no array sound"
    elif golden.sound.shape[1] != described["samples"]:
        wrong = f"golden.npz: sound has {golden.sound.shape[1]} samples a clip, dataset.sound makes it {described['samples']}"
    elif card.preprocessing.raw_type != "uint8":
        wrong = f"preprocessing.raw_type = {card.preprocessing.raw_type}, features of sound are uint8"
    elif missing:
        wrong = f"model.wasm does not export {' and '.join(missing)}"
    if wrong:
        raise SiteError(f"{card.id}: card.json has dataset.sound, but {wrong}", _AGAIN)


def _signal(signal: SignalSpec | None) -> dict[str, Any] | None:
    return None if signal is None else {"rateHz": signal.rate_hz, "channels": signal.channels, "units": signal.units}


def _little(raw: NDArray[Any]) -> NDArray[Any]:
    """Little-endian, as every browser's arrays are."""
    return raw.astype(raw.dtype.newbyteorder("<"))


def _file(card: Card, wanted: str) -> PublishedFile | None:
    """The model's file of a format."""
    return next((file for file in card.files if file.format == wanted and file.role in (None, "model", "golden vectors")), None)


def _path(entry: Entry, file: PublishedFile) -> Path:
    path = entry.folder / file.path
    if not path.is_file():
        raise SiteError(f"{entry.card.id}: {file.path} is missing", f"restore it or {_AGAIN}")
    return path


def _check(card: Card, golden: Golden) -> None:
    """Whether golden.npz is of this card's model."""
    classes, signal = len(card.dataset.classes), card.dataset.signal
    kind = "uint8" if golden.raw.dtype == np.uint8 else "float32"
    wrong = None
    if golden.raw.shape[1:] != card.dataset.input_shape:
        wrong = f"raw is {golden.raw.shape[1:]}, dataset.input_shape = {card.dataset.input_shape}"
    elif golden.output.shape[1] != classes:
        wrong = f"output has {golden.output.shape[1]} scores, dataset.classes has {classes} names"
    elif kind != card.preprocessing.raw_type:
        wrong = f"raw is {kind}, preprocessing.raw_type = {card.preprocessing.raw_type}"
    elif int(golden.label.max()) >= classes:
        wrong = f"label {int(golden.label.max())} is none of the {classes} classes"
    if signal is not None and card.dataset.input_shape[1:] != (1, len(signal.channels)):
        names = f"dataset.signal.channels has {len(signal.channels)} names"
        raise SiteError(f"{card.id}: card.json: {names}, dataset.input_shape = {card.dataset.input_shape}", _AGAIN)
    if wrong:
        raise SiteError(f"{card.id}: golden.npz and card.json differ: {wrong}", _AGAIN)
