"""What a model got right: the accuracy of each of its files, of each seed, and its confusion matrix."""

from __future__ import annotations

import math
from typing import Any

from microzoo.catalog.card import Card
from microzoo.pages.text import percent, points


def accuracies(card: Card) -> list[dict[str, Any]]:
    """A row for each file and each runtime that ran it, with the standard error that its number of inputs leaves."""
    rows = []
    for number, file in enumerate(card.files):
        for run, each in enumerate(file.accuracy):
            error = math.sqrt(each.value * (1 - each.value) / each.n)
            rows.append({"path": file.path, "run": each, "error": points(error), "at": f"files.{number}.accuracy.{run}"})
    return rows


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
        shown.append(
            {"name": card.dataset.classes[index], "cells": cells, "total": total, "recall": recall, "at": f"confusion.{index}"}
        )
    return shown
