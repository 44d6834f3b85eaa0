"""The table of entries and the scatter of a dataset: what the home, dataset and target pages show of a card."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from markupsafe import Markup

from microzoo.catalog.card import Card, Kind
from microzoo.catalog.store import Entry
from microzoo.errors import SiteError
from microzoo.pages.chart import Written
from microzoo.pages.figures import limit
from microzoo.pages.plot import Hollow, Mark, scatter, symbol
from microzoo.pages.rivals import Rival, of_dataset
from microzoo.pages.text import grouped, percent, points, short, size

MISSING = "\N{EN DASH}"
"""What a figure without a value looks like."""


@dataclass(frozen=True)
class CostAxis:
    """What models can be compared by in a scatter. key: the table's name of it."""

    key: str
    title: str
    label: str
    written: Written


AXES = (
    CostAxis("ram", "RAM", "RAM on the target, activations and runtime", "bytes"),
    CostAxis("flash", "Flash", "flash on the target, model and runtime", "bytes"),
    CostAxis("macs", "MACs", "multiply-accumulates of one inference", "count"),
    CostAxis("instructions", "Instructions", "instructions of one inference, emulated", "count"),
    CostAxis("paper_ram", "RAM as µNAS counts it", "activations without the input, as µNAS counts them", "bytes"),
    CostAxis("paper_size", "Size as µNAS counts it", "one byte a parameter, as µNAS counts it", "bytes"),
)


@dataclass(frozen=True)
class Cell:
    """One figure of a row. value None: `title` says why, and `words` is a dash; it is sorted last."""

    value: float | None
    words: str
    title: str
    kind: Kind | None = None

    @property
    def data(self) -> str:
        """For scripts: the number with all its digits, "" where there is none."""
        return "" if self.value is None else f"{round(self.value)}" if self.value == round(self.value) else f"{self.value!r}"


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
    core: str
    clock_mhz: float
    cycles_per_instruction: float | None
    """As the target says; None in older cards: what is assumed for the core."""
    npu: bool
    accuracy: float
    accuracy_words: str
    n: int
    spread_words: str
    spread_mean: float
    spread_deviation: float | None
    seeds: int
    ram: Cell
    flash: Cell
    macs: Cell
    instructions: Cell
    paper_ram: Cell
    paper_size: Cell
    bytes: int
    bytes_words: str
    file: str
    """Name of the .tflite."""
    download: str
    """Address of the .tflite."""
    date: str
    """When it was built, "2026-11-23"; "" where that is not known."""


@dataclass(frozen=True)
class Front:
    """The scatter of one dataset with its legend of targets."""

    dataset: str
    title: str
    svg: Markup
    legend: tuple[tuple[Markup, str], ...]
    rivals: tuple[Rival, ...] = ()
    rivals_shown: bool = False
    """Whether any of them lies on the axis that is drawn."""


def page_of(card: Card) -> str:
    """Address of a model's page, from the root of the site."""
    return f"models/{card.id}/index.html"


def tflite_bytes(card: Card) -> int:
    """Size of the entry's .tflite. Raises SiteError where it lists none."""
    return _tflite(card)[1]


def spread_words(card: Card) -> str:
    """Mean and standard deviation on validation, in percent: "93.10 ± 0.21 % (3)"; one seed has no deviation."""
    spread = card.validation_int8
    if spread.standard_deviation is None:
        return f"{percent(spread.mean)} ({spread.n})"
    return f"{points(spread.mean)} ± {points(spread.standard_deviation)}\N{NO-BREAK SPACE}% ({spread.n})"


def row(entry: Entry, root: str) -> Row:
    """root: relative address of the site's root from the page that shows the row, "" or "../"...

    Raises SiteError naming entry and field where the card lacks a budget or its .tflite; a figure not to be had is a dash.
    """
    card = entry.card
    path, file_bytes = _tflite(card)
    page = page_of(card)
    return Row(
        id=card.id,
        name=card.id.split("/")[-1],
        href=root + page,
        dataset=card.dataset.name,
        dataset_title=card.dataset.title,
        target=card.target.name,
        target_title=card.target.title,
        core=card.target.core,
        clock_mhz=card.target.clock_mhz,
        cycles_per_instruction=card.target.cycles_per_instruction,
        npu=card.target.npu is not None,
        accuracy=card.headline.value,
        accuracy_words=percent(card.headline.value, card.headline.n),
        n=card.headline.n,
        spread_words=spread_words(card),
        spread_mean=card.validation_int8.mean,
        spread_deviation=card.validation_int8.standard_deviation,
        seeds=card.validation_int8.n,
        ram=_budget(card, "ram"),
        flash=_budget(card, "flash"),
        macs=_figure(card, "macs", short),
        instructions=_figure(card, "instructions", short),
        paper_ram=_figure(card, "paper_ram", size),
        paper_size=_figure(card, "paper_size", size),
        bytes=file_bytes,
        bytes_words=size(file_bytes),
        file=path,
        download=f"{root}{page.removesuffix('index.html')}files/{quote(path)}",
        date=entry.build.finished_utc[:10] if entry.build else "",
    )


def rows(entries: Sequence[Entry], root: str) -> tuple[Row, ...]:
    """By dataset, then target from small to large, the most accurate first."""
    order = target_names(entries)
    found = [row(entry, root) for entry in entries]
    return tuple(sorted(found, key=lambda row: (row.dataset, order.index(row.target), -row.accuracy, row.id)))


def front(
    entries: Sequence[Entry],
    dataset: str,
    targets: Sequence[str],
    root: str,
    *,
    width: float = 720,
    rivals: Sequence[Rival] = (),
) -> Front:
    """Accuracy against RAM of a dataset's entries. targets: all names, so that each keeps its mark on every page.

    rivals: what others have published; those of this dataset are drawn hollow.
    """
    shown = [entry.card for entry in entries if entry.card.dataset.name == dataset]
    assert shown, dataset
    axis = AXES[0]
    marks = [
        Mark(
            limit(card, axis.key).need,
            card.headline.value,
            targets.index(card.target.name),
            _words(card),
            root + page_of(card),
            card.id,
        )
        for card in sorted(shown, key=lambda card: card.id)
    ]
    used = [name for name in targets if any(card.target.name == name for card in shown)]
    title = shown[0].dataset.title
    legend = tuple((symbol(targets.index(name)), name) for name in used)
    here = of_dataset(rivals, dataset)
    svg = scatter(
        marks,
        title=f"{title}: accuracy against {axis.title}",
        x_label=axis.label,
        width=width,
        height=300,
        x_as=axis.written,
        rivals=[_hollow(rival, axis) for rival in here],
    )
    return Front(dataset, title, svg, legend, here, any(rival.on(axis.key) for rival in here))


@dataclass(frozen=True)
class Ours:
    """The model of ours to read beside a rival, its figures by the rival's count."""

    id: str
    href: str
    words: str


def beside(rivals: Sequence[Rival], shown: Sequence[Row]) -> list[tuple[Rival, Ours | None]]:
    """Each rival with our most accurate model of its dataset, in the figures that the rival gives; None where we have none."""
    found: list[tuple[Rival, Ours | None]] = []
    for rival in rivals:
        best = max((row for row in shown if row.dataset == rival.dataset), key=lambda row: row.accuracy, default=None)
        found.append((rival, None if best is None else Ours(best.id, best.href, _same_count(rival, best))))
    return found


def target_names(entries: Sequence[Entry]) -> tuple[str, ...]:
    """Names of all targets, the smallest RAM first: the order of marks and legends."""
    known = {entry.card.target.name: entry.card.target.ram_bytes for entry in entries}
    return tuple(sorted(known, key=lambda name: (known[name], name)))


def _tflite(card: Card) -> tuple[str, int]:
    """Path and size of the entry's .tflite."""
    found = next((file for file in card.files if file.format == "tflite"), None)
    if found is None:
        raise SiteError(f"{card.id}/card.json: files has no .tflite", "build the entry again")
    return found.path, found.bytes


def _budget(card: Card, name: str) -> Cell:
    need = limit(card, name)
    return Cell(need.need, size(need.need), f"{grouped(need.need)} B, {need.kind}", need.kind)


def _figure(card: Card, name: str, written: Callable[[float], str]) -> Cell:
    """A figure that a card may lack: an older one, or where a tool was missing."""
    found = card.figures.get(name)
    if found is None:
        return Cell(None, MISSING, f"the card has no figures.{name}: it was built before that was measured")
    if found.value is None:
        return Cell(None, MISSING, found.method, found.kind)
    return Cell(found.value, written(found.value), f"{grouped(found.value)}, {found.kind}", found.kind)


def _hollow(rival: Rival, axis: CostAxis) -> Hollow:
    costs = {each.key: (found[0].value, found[1]) for each in AXES if (found := rival.on(each.key))}
    here = costs.get(axis.key)
    name = rival.short + ("" if here is None or here[1] else "*")
    return Hollow(
        here[0] if here else None, rival.accuracy, name, rival.words, rival.url, json.dumps(costs, separators=(",", ":"))
    )


_COUNTS = {"weights": "paper_size", "parameters": "paper_size"}


def _same_count(rival: Rival, row: Row) -> str:
    cells = {"ram": row.ram, "flash": row.flash, "macs": row.macs, "instructions": row.instructions}
    cells |= {"paper_ram": row.paper_ram, "paper_size": row.paper_size}
    titles = {axis.key: axis.title for axis in AXES}
    keys = dict.fromkeys(_COUNTS.get(figure.on, figure.on) for figure in rival.figures)
    return ", ".join([row.accuracy_words, *(f"{titles[key]} {cells[key].words}" for key in keys)])


def _words(card: Card) -> str:
    ram, flash = limit(card, "ram"), limit(card, "flash")
    return (
        f"{card.id}: {percent(card.headline.value, card.headline.n)}, {size(ram.need)} RAM ({grouped(ram.need)} B, {ram.kind}), "
        f"{size(flash.need)} flash"
    )
