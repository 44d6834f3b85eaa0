"""Our models beside those of the µNAS paper, on the paper's definitions: RAM without the input, one byte a parameter.

A figure of the paper stands here only if it could be read somewhere that is named; what is missing is said to be missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from microzoo.catalog.card import Card
from microzoo.pages.figures import figure_at, figure_value
from microzoo.pages.table import page_of
from microzoo.pages.text import grouped, percent, points, short, size

DATASETS = ("mnist", "fashion-mnist", "cifar-10", "speech-commands", "chars74k")
"""Of the paper, by the names that a spec of ours would have."""


@dataclass(frozen=True)
class Published:
    """One row of the paper. accuracy: a share; sizes in bytes, 1 KB = 1,024 B; source: where it was read."""

    dataset: str
    accuracy: float
    paper_ram: float
    paper_size: float
    macs: float
    source: str


PUBLISHED = (
    Published("cifar-10", 0.8649, 15.4 * 1024, 11.4 * 1024, 384_000, "arXiv 2010.14246, table 2"),
    Published("speech-commands", 0.9558, 21.1 * 1024, 37 * 1024, 1_100_000, "arXiv 2010.14246, table 2"),
)


def beside_the_paper(cards: Sequence[Card], root: str, published: Sequence[Published] = PUBLISHED) -> dict[str, Any]:
    """The rows of the table: our models of the paper's datasets, each after what the paper has for its dataset."""
    groups = []
    for dataset in DATASETS:
        ours = sorted((card for card in cards if card.dataset.name == dataset), key=lambda card: card.id)
        if ours:
            theirs = [row for row in published if row.dataset == dataset]
            groups.append(
                {
                    "title": ours[0].dataset.title,
                    "theirs": [_their_row(row) for row in theirs],
                    "ours": [_our_row(card, root, theirs) for card in ours],
                }
            )
    return {"groups": groups, "root": root}


def _their_row(row: Published) -> dict[str, str]:
    return {
        "accuracy": percent(row.accuracy),
        "paper_ram": size(row.paper_ram),
        "paper_size": size(row.paper_size),
        "macs": short(row.macs),
        "source": row.source,
    }


def _our_row(card: Card, root: str, theirs: Sequence[Published]) -> dict[str, Any]:
    page = root + page_of(card)
    needs = {name: figure_value(card, name) for name in ("paper_ram", "paper_size", "macs")}
    return {
        "id": card.id,
        "href": page,
        "card": page.removesuffix("index.html") + "card.html",
        "accuracy": percent(card.headline.value, card.headline.n),
        "figures": [
            (written(needs[name]), figure_at(name))
            for name, written in (("paper_ram", size), ("paper_size", size), ("macs", short))
        ],
        "epochs": grouped(round(card.search.epochs)),
        "against": [_against(card.headline.value, needs, row) for row in theirs],
    }


def _against(accuracy: float, needs: dict[str, float], row: Published) -> str:
    """In words: "1.20 points less accurate, with 0.76 times the RAM, 0.36 times the size, 0.27 times the MACs"."""
    off = accuracy - row.accuracy
    difference = "as accurate" if abs(off) < 5e-5 else f"{points(abs(off))} points {'more' if off > 0 else 'less'} accurate"
    ratios = ", ".join(
        f"{needs[name] / value:.2f} times the {words}"
        for name, value, words in (
            ("paper_ram", row.paper_ram, "RAM"),
            ("paper_size", row.paper_size, "size"),
            ("macs", row.macs, "MACs"),
        )
    )
    return f"{difference}, with {ratios}"
