"""Cards and plans as rows, and rows as a table on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from microzoo.catalog.card import Card
from microzoo.catalog.store import Entry

if TYPE_CHECKING:
    from microzoo.build.zoo import Plan

Row = dict[str, Any]
PIPE_WIDTH = 200
"""Columns where there is no terminal to ask."""


def entry_rows(entries: Sequence[Entry]) -> list[Row]:
    """One row a model, values in their units."""
    return [
        {
            "id": entry.card.id,
            "test_accuracy": entry.card.headline.value,
            **{f"{limit.name}_{limit.unit}": limit.need for limit in entry.card.limits},
            "tflite_bytes": next((file.bytes for file in entry.card.files if file.format == "tflite"), None),
        }
        for entry in entries
    ]


def card_tables(card: Card) -> list[tuple[str, list[Row]]]:
    """A card as titled tables."""
    accuracies = [
        {"file": file.path, "runtime": accuracy.runtime, "accuracy": accuracy.value, "correct": accuracy.correct, "n": accuracy.n}
        for file in card.files
        for accuracy in file.accuracy
    ]
    figures = [{"figure": name, **figure.model_dump()} for name, figure in card.figures.items()]
    limits = [{**limit.model_dump(exclude={"method"}), "fits": limit.fits} for limit in card.limits]
    files = [{"file": file.path, "bytes": file.bytes, "sha256": file.sha256} for file in card.files]
    return [
        (f"{card.id}: limits", limits),
        ("accuracy on test", accuracies),
        ("figures", figures),
        ("files", files),
    ]


def plan_rows(plans: Sequence[tuple[Plan, int]]) -> list[Row]:
    """What a build would do, one row a job; with each the evaluations that its history holds."""
    return [
        {
            "job": plan.job.place,
            "action": "verify checksums" if plan.entry_ids else "build",
            "entries": ", ".join(plan.entry_ids),
            "evaluations": f"{done}/{plan.job.family.search.evaluations}",
            "ram_limit_bytes": plan.job.target.ram_limit_bytes,
            "flash_limit_bytes": plan.job.target.flash_limit_bytes,
            "macs_limit": plan.job.target.macs_limit,
        }
        for plan, done in plans
    ]


def print_table(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Prints rows with the keys of the first one as header; numbers to the right."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    first = rows[0] if rows else {}
    for key, value in first.items():
        if isinstance(value, int | float):
            table.add_column(key.replace("_", "\n"), justify="right", no_wrap=True)
        else:
            table.add_column(key.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(_text(key, row.get(key)) for key in first))
    console.print(table, markup=False)


def _text(key: str, value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and "accuracy" in key:
        return f"{value:.2%}"
    if isinstance(value, int | float):
        return f"{int(value):,}" if float(value).is_integer() else f"{value:,.4g}"
    return str(value)
