"""The figures at the top of a model page, and the budget of its target as bars."""

from __future__ import annotations

from math import ceil, floor
from typing import Any

from microzoo.catalog.card import Card, Limit
from microzoo.pages.figures import LIMITS, figure, figure_at, figure_value, limit, limit_at
from microzoo.pages.table import spread_words, tflite_bytes
from microzoo.pages.text import core_name, exact, grouped, percent, quantity, short


def headlines(card: Card) -> list[dict[str, str]]:
    """The figures at the top of the page: title, value, remark, kind and method of each, and where it stands in the card."""
    ram, flash = limit(card, "ram"), limit(card, "flash")
    macs, file_bytes = figure(card, "macs"), tflite_bytes(card)
    head = card.headline
    accuracy = {
        "title": "Accuracy, int8, test",
        "value": percent(head.value, head.n),
        "remark": f"{grouped(head.correct)} of {grouped(head.n)}; validation {spread_words(card)}",
        "kind": "measured",
        "method": f"{card.headline_file} in {head.runtime}",
        "at": "headline.value",
    }
    return [
        accuracy,
        *(_headline_limit(card, each) for each in (ram, flash)),
        {
            "title": "Compute",
            "value": short(figure_value(card, "macs")),
            "remark": f"multiply-accumulates{_allowed(card)}",
            "kind": macs.kind,
            "method": macs.method,
            "at": figure_at("macs"),
        },
        *_instructions(card),
        {
            "title": "File",
            "value": quantity(file_bytes, "bytes"),
            "remark": f"{grouped(file_bytes)} B of .tflite",
            "kind": "measured",
            "method": "size of the file",
            "at": f"files.{next(index for index, file in enumerate(card.files) if file.format == 'tflite')}.bytes",
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
            "at": figure_at("instructions"),
        }
    ]


def _time(card: Card) -> str:
    """What they are estimated to take, where the card says so."""
    found = card.figures.get("latency")
    if found is None or found.value is None:
        return ""
    return f"; about {quantity(found.value, found.unit)} at {card.target.clock_mhz:g}\N{NO-BREAK SPACE}MHz, estimated"


def _headline_limit(card: Card, each: Limit) -> dict[str, str]:
    return {
        "title": LIMITS[each.name],
        "value": quantity(each.need, each.unit),
        "remark": f"of {quantity(each.have, each.unit)} that the application leaves",
        "kind": each.kind,
        "method": each.method,
        "at": f"{limit_at(card, each.name)}.need",
        "exact": exact(each.need, each.unit),
    }


def bar(card: Card, each: Limit) -> dict[str, Any]:
    """One budget of the target: what is needed of what there is, in words and as a share."""
    return {
        "title": LIMITS[each.name],
        "need": quantity(each.need, each.unit),
        "have": quantity(each.have, each.unit),
        "share": each.need / each.have,
        "fits": each.fits,
        "kind": each.kind,
        "method": each.method,
        "at": limit_at(card, each.name),
        "percent": f"{floor(100 * each.need / each.have) if each.fits else ceil(100 * each.need / each.have)}\N{NO-BREAK SPACE}%",
    }
