"""Cards, plans and searches as rows, and rows as a table on the terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from microzoo.catalog.card import Card
from microzoo.catalog.store import Entry

if TYPE_CHECKING:
    from microzoo.build.show import SearchState
    from microzoo.build.zoo import Plan

Row = dict[str, Any]
PIPE_WIDTH = 200
"""Columns where there is no terminal to ask."""
CHART_WIDTH, CHART_HEIGHT = 100, 18
"""Columns and rows of a chart at most; columns also where there is no terminal to ask."""
FRONT_ROWS = 20
"""Members of a front that are listed unless all are asked for."""


def entry_rows(entries: Sequence[Entry]) -> list[Row]:
    """One row a model, values in their units."""
    return [
        {
            "id": entry.card.id,
            "test_accuracy": entry.card.headline.value,
            **{f"{limit.name}_{limit.unit}": limit.need for limit in entry.card.limits if limit.unit == "bytes"},
            **{name: figure.value for name in ("macs", "instructions") if (figure := entry.card.figures.get(name))},
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
            "macs_limit": plan.job.target.budget.macs,
            "latency_limit_ms": plan.job.target.budget.latency_ms,
        }
        for plan, done in plans
    ]


def print_search(state: SearchState, *, all_members: bool) -> None:
    """A search: how far it is, its rungs, its front as table and as chart, and how accuracy grew."""
    from microzoo.build.show import summary

    if state.problem is not None:
        print_lines([f"{state.job}: {state.problem}"])
    else:
        print_lines([state.job, f"  {', '.join(summary(state))}", f"  {state.history}"])
        if state.about:
            print_lines([f"  {state.about}"])
    for other in state.other_histories:
        print_lines([f"  of another spec, seed or version: {other.path} ({other.trainings:,} trainings)"])
    if state.found:
        print_table("trainings by rung", [asdict(rung) for rung in state.rungs])
        _print_front(state, all_members)
        print_lines(_climbs(state))
    print_lines([""])


def _print_front(state: SearchState, all_members: bool) -> None:
    if not state.front:
        print_lines(["nothing on the front yet: no training that came through fits the target", ""])
        return
    shown = state.front if all_members else state.front[:FRONT_ROWS]
    listed = "" if len(shown) == len(state.front) else f", the {len(shown)} most accurate (--all: every one)"
    print_table(f"front: {len(state.front)} candidates{listed}", [asdict(member) for member in shown])
    print_lines([*_front_chart(state), ""])


def _front_chart(state: SearchState) -> list[str]:
    """Accuracy against that resource of which the front needs the greater share."""
    from microzoo import terminal

    flash_share = max(member.flash_bytes for member in state.front) / state.flash_limit_bytes
    ram_share = max(member.ram_bytes for member in state.front) / state.ram_limit_bytes
    by_flash = flash_share >= ram_share
    spots = [
        terminal.Spot(each.flash_bytes if by_flash else each.ram_bytes, 1 - each.expected_error, each.on_front)
        for each in state.candidates
    ]
    pen = terminal.strokes(sys.stdout.encoding)
    x_words = (
        f"{'flash' if by_flash else 'RAM'}, bytes; limit {state.flash_limit_bytes if by_flash else state.ram_limit_bytes:,} B"
    )
    y_words = f"accuracy expected at the top rung ({pen.front} front, {pen.other} beaten)"
    return terminal.scatter(spots, x_words, y_words, _chart_width(), CHART_HEIGHT, pen)


def _climbs(state: SearchState) -> list[str]:
    """A line a rung: first and best accuracy, and the way between them over the epochs that the whole search spent."""
    from microzoo import terminal

    pen = terminal.strokes(sys.stdout.encoding)
    lines = [f"best validation accuracy over {state.epochs_spent:,.6g} epochs, by rung (height: logarithm of the error)"]
    for rung in state.rungs:
        points = [
            (item.spent_epochs, item.validation_accuracy)
            for item in state.trainings
            if item.rung == rung.rung and item.fits and item.failure is None
        ]
        if points:
            course = terminal.climb(points, state.epochs_spent, max(10, _chart_width() - 40), pen)
            ends = f"{points[0][1]:7.2%}", f"{max(accuracy for _, accuracy in points):.2%}"
            lines.append(f"  rung {rung.rung}, {rung.epochs:>5g} epochs  {ends[0]} {pen.upright}{course}{pen.upright} {ends[1]}")
    return lines


def _chart_width() -> int:
    return max(40, min(CHART_WIDTH, shutil.get_terminal_size((CHART_WIDTH, 24)).columns))


def print_lines(lines: Sequence[str]) -> None:
    """Plain text; what the terminal's encoding lacks is replaced, never an error."""
    encoding = sys.stdout.encoding or "ascii"
    for line in lines:
        sys.stdout.write(line.encode(encoding, "replace").decode(encoding) + "\n")


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
    if isinstance(value, float) and ("accuracy" in key or key.endswith("error")):
        return f"{value:.2%}"
    if isinstance(value, int | float):
        return f"{int(value):,}" if float(value).is_integer() else f"{value:,.4g}"
    return str(value)
