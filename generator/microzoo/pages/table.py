"""The table of entries and the scatter of a dataset: what the home, dataset and target pages show of a card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from microzoo.catalog.card import Card, Kind
from microzoo.catalog.store import Entry
from microzoo.errors import SiteError
from microzoo.pages.figures import figure_value, limit
from microzoo.pages.plot import Mark, scatter, symbol
from microzoo.pages.text import grouped, percent, points, short, size


@dataclass(frozen=True)
class Row:
    """One line of the table: words to show, and numbers to sort and filter by."""

    id: str
    name: str
    href: str
    dataset: str
    dataset_title: str
    target: str
    target_title: str
    accuracy: float
    accuracy_words: str
    n: int
    spread_words: str
    spread_mean: float
    ram: float
    ram_words: str
    ram_kind: Kind
    flash: float
    flash_words: str
    flash_kind: Kind
    macs: float
    macs_words: str
    bytes: int
    bytes_words: str


@dataclass(frozen=True)
class Front:
    """The scatter of one dataset with its legend of targets."""

    dataset: str
    title: str
    svg: Markup
    legend: tuple[tuple[Markup, str], ...]


def page_of(card: Card) -> str:
    """Address of a model's page, from the root of the site."""
    return f"models/{card.id}/index.html"


def tflite_bytes(card: Card) -> int:
    """Size of the entry's .tflite. Raises SiteError where it lists none."""
    found = next((file.bytes for file in card.files if file.format == "tflite"), None)
    if found is None:
        raise SiteError(f"{card.id}/card.json: files has no .tflite", "build the entry again")
    return found


def spread_words(card: Card) -> str:
    """Mean and standard deviation on validation, in percent: "93.10 ± 0.21 % (3)"; one seed has no deviation."""
    spread = card.validation_int8
    if spread.standard_deviation is None:
        return f"{percent(spread.mean)} ({spread.n})"
    return f"{points(spread.mean)} ± {points(spread.standard_deviation)}\N{NO-BREAK SPACE}% ({spread.n})"


def row(card: Card, root: str) -> Row:
    """root: relative address of the site's root from the page that shows the row, "" or "../"..."""
    ram, flash, macs = limit(card, "ram"), limit(card, "flash"), figure_value(card, "macs")
    file_bytes = tflite_bytes(card)
    return Row(
        id=card.id,
        name=card.id.split("/")[-1],
        href=root + page_of(card),
        dataset=card.dataset.name,
        dataset_title=card.dataset.title,
        target=card.target.name,
        target_title=card.target.title,
        accuracy=card.headline.value,
        accuracy_words=percent(card.headline.value, card.headline.n),
        n=card.headline.n,
        spread_words=spread_words(card),
        spread_mean=card.validation_int8.mean,
        ram=ram.need,
        ram_words=size(ram.need),
        ram_kind=ram.kind,
        flash=flash.need,
        flash_words=size(flash.need),
        flash_kind=flash.kind,
        macs=macs,
        macs_words=short(macs),
        bytes=file_bytes,
        bytes_words=size(file_bytes),
    )


def rows(entries: Sequence[Entry], root: str) -> tuple[Row, ...]:
    """By dataset, then target from small to large, the most accurate first."""
    order = target_names(entries)
    found = [row(entry.card, root) for entry in entries]
    return tuple(sorted(found, key=lambda row: (row.dataset, order.index(row.target), -row.accuracy, row.id)))


def front(entries: Sequence[Entry], dataset: str, targets: Sequence[str], root: str, *, width: float = 720) -> Front:
    """Accuracy against RAM of a dataset's entries. targets: all names, so that each keeps its mark on every page."""
    shown = [entry.card for entry in entries if entry.card.dataset.name == dataset]
    assert shown, dataset
    marks = [
        Mark(limit(card, "ram").need, card.headline.value, targets.index(card.target.name), _words(card), root + page_of(card))
        for card in sorted(shown, key=lambda card: card.id)
    ]
    used = [name for name in targets if any(card.target.name == name for card in shown)]
    title = shown[0].dataset.title
    legend = tuple((symbol(targets.index(name)), name) for name in used)
    svg = scatter(
        marks,
        title=f"{title}: accuracy against RAM",
        x_label="RAM on the target, activations and runtime",
        width=width,
        height=300,
    )
    return Front(dataset, title, svg, legend)


def target_names(entries: Sequence[Entry]) -> tuple[str, ...]:
    """Names of all targets, the smallest RAM first: the order of marks and legends."""
    known = {entry.card.target.name: entry.card.target.ram_bytes for entry in entries}
    return tuple(sorted(known, key=lambda name: (known[name], name)))


def _words(card: Card) -> str:
    ram, flash = limit(card, "ram"), limit(card, "flash")
    return (
        f"{card.id}: {percent(card.headline.value, card.headline.n)}, {size(ram.need)} RAM ({grouped(ram.need)} B, {ram.kind}), "
        f"{size(flash.need)} flash"
    )
