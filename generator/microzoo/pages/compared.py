"""Predicted against found: the search's formulas beside what the exported files need."""

from __future__ import annotations

from microzoo.catalog.card import Card, Figure, Limit
from microzoo.pages.figures import figure, figure_at, limit, limit_at, written

COMPARED = {
    "predicted_activations": "Activations",
    "predicted_ram": "RAM on the target",
    "predicted_flash": "Flash on the target",
    "predicted_c_flash": "Flash of the generated C",
    "predicted_tflite_bytes": "Size of the .tflite",
    "predicted_instructions": "Instructions of one inference",
    "predicted_macs": "Multiply-accumulates",
}


def compared(card: Card) -> list[dict[str, str]]:
    """Predicted against found: the search's formula beside what the exported file needs. A figure without value says so."""
    arena = "activations"  # of the .tflite: all that the cards of older entries have
    if "c_arena" in card.figures:
        arena = "c_arena" if card.target.runtime == "c" else "arena_head"
    pairs = [
        ("predicted_activations", figure(card, arena), figure_at(arena)),
        *((f"predicted_{name}", _as_figure(limit(card, name)), f"{limit_at(card, name)}.need") for name in ("ram", "flash")),
    ]
    later = (
        ("predicted_c_flash", "c_flash"),
        ("predicted_tflite_bytes", "tflite_bytes"),
        ("predicted_instructions", "instructions"),
    )
    pairs += [(name, figure(card, actual), figure_at(actual)) for name, actual in later if name in card.figures]
    pairs.append(("predicted_macs", figure(card, "macs"), figure_at("macs")))
    found = []
    for name, actual, at in pairs:
        predicted = _with_front_end(card, name)
        difference = "–"
        if predicted.value is not None and actual.value:
            off = (predicted.value - actual.value) / actual.value
            difference = f"{100 * off:{'+.1f' if abs(off) >= 0.0005 else '+.1g'}}\N{NO-BREAK SPACE}%" if off else "0"
        found.append(
            {
                "title": COMPARED[name],
                "predicted": written(predicted),
                "predicted_at": figure_at(name),
                "actual": written(actual),
                "actual_at": at,
                "kind": actual.kind,
                "difference": difference,
            }
        )
    return found


def _with_front_end(card: Card, name: str) -> Figure:
    """The prediction called `name`; of RAM and flash with what the front end of sound adds, as the budgets have it."""
    predicted, front_end = figure(card, name), card.figures.get(name.replace("predicted_", "predicted_features_"))
    if front_end is None or predicted.value is None or front_end.value is None:
        return predicted
    method = f"{predicted.method}; + {front_end.method}"
    return predicted.model_copy(update={"value": predicted.value + front_end.value, "method": method})


def _as_figure(each: Limit) -> Figure:
    return Figure(value=each.need, unit=each.unit, kind=each.kind, method=each.method)
