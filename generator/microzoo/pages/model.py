"""The page of one model: everything that its template needs, computed from the card and the build record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from microzoo.catalog.archive import Archive
from microzoo.catalog.card import Card, Figure
from microzoo.catalog.store import Entry
from microzoo.pages.checks import check, genotype
from microzoo.pages.compared import compared
from microzoo.pages.diagram import architecture
from microzoo.pages.downloads import archived, download
from microzoo.pages.figures import KINDS, figure_at, limit, title, written
from microzoo.pages.headlines import bar, headlines
from microzoo.pages.layers import layer_rows, peak
from microzoo.pages.plot import history, memory
from microzoo.pages.provenance import provenance
from microzoo.pages.results import accuracies, confusion
from microzoo.pages.standing import Peers
from microzoo.pages.table import page_of, spread_words
from microzoo.pages.text import percent, quantity
from microzoo.pages.usage import usage


def model_context(entry: Entry, root: str, archives: Sequence[Archive] = (), peers: Peers | None = None) -> dict[str, Any]:
    """What `model.html` is rendered with. archives: offered besides the entry's files; peers: the models of its dataset.

    Raises SiteError naming entry and field where the card lacks something it must have.
    """
    card = entry.card
    check(card)
    return {
        "card": card,
        "build": entry.build,
        "root": root,
        "name": card.id.split("/")[-1],
        "kinds": KINDS,
        "headlines": headlines(card),
        "bars": [bar(card, each) for each in card.limits],
        "downloads": [download(card, index) for index in range(len(card.files))],
        "archives": [archived(each) for each in archives],
        "accuracies": accuracies(card),
        "figures": [_figure_row(*pair) for pair in sorted(card.figures.items(), key=lambda pair: pair[1].kind == "predicted")],
        "compared": compared(card),
        "confusion": confusion(card),
        "layers": layer_rows(card),
        "total_parameters": sum(layer.parameters for layer in card.layers),
        "total_macs": sum(layer.macs for layer in card.layers),
        "memory": memory(card.layers, limit(card, "ram").have, title="Memory over time"),
        "peak": peak(card),
        "architecture": architecture(card.layers, card.input.shape, title="Architecture"),
        "history": history(card.search.points, card.search.ordinal, title="Search history") if card.search.points else None,
        "standing": (peers or Peers([card], root)).standing(card),
        "spread": spread_words(card),
        "use": usage(card),
        "genotype": genotype(card),
        "origin": provenance(card, entry.build),
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


def _figure_row(name: str, each: Figure) -> dict[str, str]:
    return {
        "name": name,
        "title": title(name),
        "value": written(each),
        "kind": each.kind if each.value is not None else "",
        "method": each.method,
        "at": figure_at(name),
    }
