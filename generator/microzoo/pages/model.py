"""The page of one model: everything that its template needs, computed from the card and the build record."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from microzoo.catalog.card import Card, Figure, Limit, Role
from microzoo.catalog.layouts import Archive
from microzoo.catalog.store import Entry
from microzoo.errors import SiteError
from microzoo.pages.diagram import architecture, caption
from microzoo.pages.figures import KINDS, LIMITS, figure, figure_value, limit, title
from microzoo.pages.plot import history, memory
from microzoo.pages.table import page_of, spread_words, tflite_bytes
from microzoo.pages.text import core_name, exact, grouped, percent, quantity, shape, short

FORMATS = {
    "tflite": "TensorFlow Lite, int8",
    "onnx": "ONNX, int8 (QDQ)",
    "c": "C99 source",
    "header": "C header",
    "golden": "NumPy archive",
    "wasm": "WebAssembly",
    "other": "other",
}
ROLES: dict[Role, str] = {
    "model": "the model",
    "model with float ends": "the model, float in and out",
    "kernels": "kernel library",
    "preparation": "from raw values to the input",
    "golden vectors": "inputs with the outputs they must give",
    "self test": "runs these inputs and says PASS",
}
"""What a file is for, in words for people."""

COMPARED = {
    "predicted_activations": "Activations",
    "predicted_ram": "RAM on the target",
    "predicted_flash": "Flash on the target",
    "predicted_c_flash": "Flash of the generated C",
    "predicted_tflite_bytes": "Size of the .tflite",
    "predicted_instructions": "Instructions of one inference",
    "predicted_macs": "Multiply-accumulates",
}


def model_context(entry: Entry, root: str, archives: Sequence[Archive] = ()) -> dict[str, Any]:
    """What `model.html` is rendered with. archives: offered besides the entry's files.

    Raises SiteError naming entry and field where the card lacks something it must have.
    """
    card = entry.card
    _check_confusion(card)
    if not card.layers:
        raise SiteError(f"{card.id}/card.json: layers is empty", "build the entry again")
    return {
        "card": card,
        "build": entry.build,
        "root": root,
        "name": card.id.split("/")[-1],
        "kinds": KINDS,
        "headlines": headlines(card),
        "bars": [_bar(each) for each in card.limits],
        "downloads": [_download(card, index) for index in range(len(card.files))],
        "archives": [_archive(each) for each in archives],
        "accuracies": [(file.path, each) for file in card.files for each in file.accuracy],
        "figures": [_figure_row(*pair) for pair in sorted(card.figures.items(), key=lambda pair: pair[1].kind == "predicted")],
        "compared": compared(card),
        "confusion": confusion(card),
        "layers": [_layer(card, index) for index in range(len(card.layers))],
        "total_parameters": sum(layer.parameters for layer in card.layers),
        "total_macs": sum(layer.macs for layer in card.layers),
        "memory": memory(card.layers, limit(card, "ram").have, title="Memory over time"),
        "architecture": architecture(card.layers, card.input.shape, title="Architecture"),
        "history": history(card.search.points, card.search.ordinal, title="Search history") if card.search.points else None,
        "spread": spread_words(card),
        "use": usage(card),
        "genotype": _pretty(card),
    }


def headlines(card: Card) -> list[dict[str, str]]:
    """The figures at the top of the page: title, value, remark, kind and method of each."""
    ram, flash = limit(card, "ram"), limit(card, "flash")
    macs, file_bytes = figure(card, "macs"), tflite_bytes(card)
    head = card.headline
    accuracy = {
        "title": "Accuracy, int8, test",
        "value": percent(head.value, head.n),
        "remark": f"{grouped(head.correct)} of {grouped(head.n)}; validation {spread_words(card)}",
        "kind": "measured",
        "method": f"{card.headline_file} in {head.runtime}",
    }
    return [
        accuracy,
        *(_headline_limit(each) for each in (ram, flash)),
        {
            "title": "Compute",
            "value": short(figure_value(card, "macs")),
            "remark": f"multiply-accumulates{_allowed(card)}",
            "kind": macs.kind,
            "method": macs.method,
        },
        *_instructions(card),
        {
            "title": "File",
            "value": quantity(file_bytes, "bytes"),
            "remark": f"{grouped(file_bytes)} B of .tflite",
            "kind": "measured",
            "method": "size of the file",
        },
    ]


def _allowed(card: Card) -> str:
    return "" if card.target.macs_limit is None else f" of {short(card.target.macs_limit)} allowed"


def _instructions(card: Card) -> list[dict[str, str]]:
    """Those of one inference; nothing where they were not counted."""
    found = card.figures.get("instructions")
    if found is None or found.value is None:
        return []
    return [
        {
            "title": "Instructions",
            "value": short(found.value),
            "remark": f"of one inference on a {core_name(card.target.core)}, not cycles{_time(card)}",
            "kind": found.kind,
            "method": found.method,
        }
    ]


def _time(card: Card) -> str:
    """What they are estimated to take, where the card says so."""
    found = card.figures.get("latency")
    if found is None or found.value is None:
        return ""
    return f"; about {quantity(found.value, found.unit)} at {card.target.clock_mhz:g}\N{NO-BREAK SPACE}MHz, estimated"


def compared(card: Card) -> list[dict[str, str]]:
    """Predicted against found: the search's formula beside what the exported file needs. A figure without value says so."""
    arena = "activations"  # of the .tflite: all that the cards of older entries have
    if "c_arena" in card.figures:
        arena = "c_arena" if card.target.runtime == "c" else "arena_head"
    pairs = [
        ("predicted_activations", figure(card, arena)),
        ("predicted_ram", _as_figure(limit(card, "ram"))),
        ("predicted_flash", _as_figure(limit(card, "flash"))),
    ]
    later = (
        ("predicted_c_flash", "c_flash"),
        ("predicted_tflite_bytes", "tflite_bytes"),
        ("predicted_instructions", "instructions"),
    )
    pairs += [(name, figure(card, actual)) for name, actual in later if name in card.figures]
    pairs.append(("predicted_macs", figure(card, "macs")))
    found = []
    for name, actual in pairs:
        predicted = figure(card, name)
        difference = "–"
        if predicted.value is not None and actual.value:
            off = (predicted.value - actual.value) / actual.value
            difference = f"{100 * off:+.1f}\N{NO-BREAK SPACE}%" if off else "0"
        found.append(
            {
                "title": COMPARED[name],
                "predicted": _exact(predicted),
                "actual": _exact(actual),
                "kind": actual.kind,
                "difference": difference,
            }
        )
    return found


def confusion(card: Card) -> list[dict[str, Any]]:
    """A row a true class: its name, cells of count and share of the row, and its recall."""
    shown = []
    most = max(map(sum, card.confusion))
    for index, counts in enumerate(card.confusion):
        total = sum(counts)
        cells = [
            {"count": count, "share": count / total if total else 0.0, "right": at == index} for at, count in enumerate(counts)
        ]
        recall = percent(counts[index] / total, most) if total else "–"
        shown.append({"name": card.dataset.classes[index], "cells": cells, "total": total, "recall": recall})
    return shown


def usage(card: Card) -> dict[str, Any]:
    """The numbers and file names of the snippets: paths by format, preprocessing and quantisation as Python writes them."""
    paths: Mapping[str, str | None] = {
        wanted: next((file.path for file in card.files if file.format == wanted and file.role in (None, "model")), None)
        for wanted in ("tflite", "onnx")
    }
    sources = [file.path for file in card.files if file.format == "c" and file.role in (None, "model", "kernels")]
    headers = [file for file in card.files if file.format == "header" and file.role in (None, "model")]
    header = next((file.path for file in headers if not file.path.endswith("_nn.h")), None)
    prefix = header.rsplit("/", 1)[-1].removesuffix(".h") if header else None
    folders = sorted({path.rsplit("/", 1)[0] for path in sources if "/" in path})
    step = card.preprocessing
    return {
        **paths,
        "sources": sources,
        "header": header,
        "preparation": next((file.path for file in card.files if file.format == "c" and file.role == "preparation"), None),
        "selftest": next((file.path for file in card.files if file.format == "c" and file.role == "self test"), None),
        "golden": next((file.path for file in card.files if file.format == "golden"), None),
        "wasm": next((file.path for file in card.files if file.format == "wasm"), None),
        "prefix": prefix,
        "folders": folders,
        "classes": ", ".join(json.dumps(name, ensure_ascii=False) for name in card.dataset.classes),
        "raw": f"{step.raw_min:g} to {step.raw_max:g}",
        "prepare": f"(raw * {step.scale!r} - {step.mean!r}) / {step.std!r}",
        "quantise": f"np.rint(real / {card.input.scale!r}) {_signed(card.input.zero_point)}",
        "dequantise": f"{card.output.scale!r} * (q {_signed(-card.output.zero_point)})",
    }


def page_title(card: Card) -> str:
    """Title of the page, also in the browser's tab."""
    return f"{card.dataset.title} on {card.target.name}: {card.id.split('/')[-1]}"


def description(card: Card) -> str:
    """One sentence for search engines and the search box."""
    ram, flash = (quantity(limit(card, name).need, "bytes") for name in ("ram", "flash"))
    accuracy = percent(card.headline.value, card.headline.n)
    return f"{card.dataset.title} classifier for {card.target.title}: {accuracy} int8 test accuracy, {ram} RAM, {flash} flash."


def files_folder(card: Card) -> str:
    """Where an entry's files lie, from the root of the site."""
    return page_of(card).removesuffix("index.html") + "files"


def _headline_limit(each: Limit) -> dict[str, str]:
    return {
        "title": LIMITS[each.name],
        "value": quantity(each.need, each.unit),
        "remark": f"of {quantity(each.have, each.unit)} that the application leaves",
        "kind": each.kind,
        "method": each.method,
    }


def _bar(each: Limit) -> dict[str, Any]:
    return {
        "title": LIMITS[each.name],
        "need": quantity(each.need, each.unit),
        "have": quantity(each.have, each.unit),
        "share": each.need / each.have,
        "fits": each.fits,
        "kind": each.kind,
        "method": each.method,
        "percent": f"{100 * each.need / each.have:.0f}\N{NO-BREAK SPACE}%",
    }


def checked_path(card: Card, index: int) -> str:
    """The path of a file of the card. Raises SiteError where it leaves the entry's folder."""
    file = card.files[index]
    parts = file.path.split("/")
    if ".." in parts or file.path.startswith("/") or "\\" in file.path or "" in parts:
        raise SiteError(
            f'{card.id}/card.json: files[{index}].path = "{file.path}" leaves the entry\'s folder', "build the entry again"
        )
    return file.path


def _download(card: Card, index: int) -> dict[str, Any]:
    file = card.files[index]
    path = checked_path(card, index)
    return {
        "path": path,
        "href": f"files/{quote(path)}",
        "name": path.rpartition("/")[2],
        "format": FORMATS[file.format] + (f": {ROLES[file.role]}" if file.role else ""),
        "bytes": grouped(file.bytes),
        "size": quantity(file.bytes, "bytes"),
        "sha256": file.sha256,
    }


def _archive(archive: Archive) -> dict[str, Any]:
    return {
        "href": f"files/{quote(archive.name)}",
        "name": archive.name,
        "format": archive.title,
        "bytes": grouped(len(archive.content)),
        "sha256": archive.sha256,
    }


def _figure_row(name: str, each: Figure) -> dict[str, str]:
    return {
        "name": name,
        "title": title(name),
        "value": _exact(each),
        "kind": each.kind if each.value is not None else "",
        "method": each.method,
    }


def _layer(card: Card, index: int) -> dict[str, Any]:
    layer = card.layers[index]
    return {
        "number": index + 1,
        "name": layer.name,
        "caption": caption(layer),
        "shape": shape(layer.output_shape),
        "parameters": grouped(layer.parameters),
        "macs": grouped(layer.macs),
        "live": grouped(layer.live_bytes),
        "peak": layer.live_bytes == max(row.live_bytes for row in card.layers),
    }


def _exact(each: Figure) -> str:
    return "not available" if each.value is None else exact(each.value, each.unit)


def _as_figure(each: Limit) -> Figure:
    return Figure(value=each.need, unit=each.unit, kind=each.kind, method=each.method)


def _check_confusion(card: Card) -> None:
    size = len(card.dataset.classes)
    if len(card.confusion) != size or any(len(row) != size for row in card.confusion):
        raise SiteError(
            f"{card.id}/card.json: confusion is not {size} x {size}, one row and column a class", "build the entry again"
        )


def _signed(value: int) -> str:
    """As the second operand of a sum: 12 -> "+ 12", -128 -> "- 128"."""
    return f"{'-' if value < 0 else '+'} {abs(value)}"


def _pretty(card: Card) -> str:
    try:
        return json.dumps(json.loads(card.architecture), indent=1)
    except json.JSONDecodeError as error:
        raise SiteError(f"{card.id}/card.json: architecture is not JSON: {error}", "build the entry again") from error
