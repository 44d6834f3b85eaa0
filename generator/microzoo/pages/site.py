"""Entries and specs to the pages of the site, as HTML, with the files that they offer. Whoever renders the frame puts them in."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from html import unescape
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

import microzoo
from microzoo.catalog.archive import Archive
from microzoo.catalog.card import Card
from microzoo.catalog.index import Versions
from microzoo.catalog.layouts import archives, can_be_laid_out
from microzoo.catalog.store import BUILD, CARD, Entry
from microzoo.catalog.versions import publish
from microzoo.errors import SiteError
from microzoo.pages import cardpage, learn, text
from microzoo.pages.boards import Board, target_boards
from microzoo.pages.downloads import checked_path
from microzoo.pages.forked import begin
from microzoo.pages.model import description, files_folder, model_context, page_title
from microzoo.pages.paper import beside_the_paper
from microzoo.pages.reference import schema_pages
from microzoo.pages.rivals import Rival
from microzoo.pages.standing import Peers
from microzoo.pages.table import AXES, beside, front, page_of, rows, target_names
from microzoo.pages.take import take_context
from microzoo.pages.tryout import try_outs, wanted_runtime
from microzoo.spec.cores import DEFAULT_CPI
from microzoo.spec.dataset import DatasetSpec
from microzoo.spec.models import TargetSpec

_HEADING = re.compile(r'<h([23]) id="([^"]+)"[^>]*>(.*?)</h\1>', re.DOTALL)
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_TAG = re.compile(r"<[^>]+>")


@dataclass(frozen=True)
class Page:
    """One generated page. `path` from the site's root, ends in .html; `html` starts with its <h1>."""

    path: str
    title: str
    description: str
    html: str
    wide: bool = False
    """Whether it wants the width that the navigation beside it would take."""
    searched: str = ""
    """What a search should index in place of `html`, where that is mostly numbers; "" is all of it."""

    @property
    def headings(self) -> tuple[tuple[int, str, str], ...]:
        """(2 or 3, anchor, words) of each heading that has an anchor, for a table of contents."""
        found = _HEADING.findall(self.html)
        return tuple((int(level), anchor, unescape(_TAG.sub("", words)).strip()) for level, anchor, words in found)


@dataclass(frozen=True)
class Taking:
    """What downloads need besides the entries. former: versions of a former site by ID, whose files are put there by others."""

    address: str = ""
    """Absolute address of the site, "" where it is not known."""
    licence: str = ""
    """The text that goes into bundles; "" is none."""
    former: Mapping[str, Versions] = field(default_factory=dict)
    most: int | None = None
    """How many earlier versions of an entry stay; None is all."""


@dataclass(frozen=True)
class Rendered:
    """The generated part of the site. `fragments` go into written pages where these say `<!-- zoo:NAME -->`."""

    pages: tuple[Page, ...]
    fragments: dict[str, str]
    files: dict[str, Path] = field(default_factory=dict)
    """Path from the site's root -> the file to copy there."""
    archives: dict[str, bytes] = field(default_factory=dict)
    """Path from the site's root -> what is made for the site and stands nowhere else."""
    documents: dict[str, Callable[[], str]] = field(default_factory=dict)
    """Path from the site's root -> what renders a whole HTML document, which needs no frame. May raise SiteError."""
    scripts: dict[str, bytes] = field(default_factory=dict)
    """Path from the site's root -> what a page loads when its model is tried."""


def render(
    entries: Sequence[Entry],
    datasets: Mapping[str, DatasetSpec],
    targets: Mapping[str, TargetSpec],
    templates: Path,
    *,
    taking: Taking | None = None,
    boards: Sequence[Board] = (),
    rivals: Sequence[Rival] = (),
    modules: Path | None = None,
) -> Rendered:
    """All generated pages. datasets, targets: specs by name; templates: the folder with the Jinja templates.

    taking: what downloads need to know besides; boards: offered on the home page besides those of the targets; rivals: what
    others have published on these datasets; modules: the folder into which npm installs what pages load, if there is one.
    Raises SiteError naming entry and field where a card lacks what its page needs.
    """
    environment = _environment(templates)
    entries = sorted(entries, key=lambda entry: entry.card.id)
    for entry in entries:
        _check_id(entry)
        for index in range(len(entry.card.files)):
            checked_path(entry.card, index)
    used = target_names(entries)
    order = sorted(targets, key=lambda name: (targets[name].budget.ram_bytes, name))
    marks = [*order, *(name for name in used if name not in targets)]
    taking, copied = taking or Taking(), _files(entries)
    with ThreadPoolExecutor(1) as pool:
        runtime = pool.submit(wanted_runtime, entries, modules)  # compression, for which Python lets other threads run
        offered = {entry.card.id: archives(entry.card, _contents(entry)) for entry in entries}
        peers = _peers(entries)
        published = publish(
            entries,
            taking.former,
            generator=f"microzoo {microzoo.__version__}",
            licence=taking.licence,
            page=page_of,
            most=taking.most,
        )
        environment.globals["try_outs"] = tried = try_outs(entries, runtime.result)

    def model_pages(some: Sequence[Entry]) -> list[Page]:
        return [_model_page(environment, entry, offered[entry.card.id], peers, known(entry.card)) for entry in some]

    def known(card: Card) -> dict[str, Any]:
        return {
            "take": take_context(card, published.by_id[card.id], _root(page_of(card)), taking.address),
            "dataset_page": card.dataset.name in datasets,
            "target_page": card.target.name in targets,
        }

    rest = begin(lambda: model_pages(entries[len(entries) // 2 :]))
    pages = model_pages(entries[: len(entries) // 2])
    pages += rest()
    pages += _dataset_pages(environment, entries, datasets, marks, rivals)
    pages += _target_pages(environment, entries, targets, order)
    html = environment.get_template("schema.html").render(kinds=schema_pages())
    pages.append(Page("reference/specs.html", "Spec reference", "Every key of a spec: type, default, meaning.", html))
    fragments = _fragments(environment, entries, marks, [*target_boards(targets)], boards, rivals)
    made = {f"{files_folder(entry.card)}/{each.name}": each.content for entry in entries for each in offered[entry.card.id]}
    fragments |= learn.fragments()
    compared = beside_the_paper([entry.card for entry in entries], "")
    fragments["paper"] = environment.get_template("paper.html").render(compared)
    cards: dict[str, Callable[[], str]] = {
        page_of(entry.card).removesuffix("index.html") + cardpage.NAME: partial(_card_page, entry) for entry in entries
    }
    return Rendered(tuple(pages), fragments, copied | published.files, made | published.made, cards, tried.scripts)


def _environment(templates: Path) -> Environment:
    if not templates.is_dir():
        raise SiteError(f"{templates}: the folder of templates is missing", "run in the root of the project")
    environment = Environment(
        loader=FileSystemLoader(templates),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    written = (text.size, text.short, text.percent, text.grouped, text.given, text.shape, text.duration)
    environment.filters.update({each.__name__: each for each in written})
    environment.filters["core_name"] = text.core_name
    return environment


def _fragments(
    environment: Environment,
    entries: Sequence[Entry],
    marks: Sequence[str],
    chips: Sequence[Board],
    boards: Sequence[Board],
    rivals: Sequence[Rival],
) -> dict[str, str]:
    """The parts of the home page."""
    names = sorted({entry.card.dataset.name for entry in entries})
    table = rows(entries, "")
    given: dict[str, dict[str, Any]] = {
        "finder": {"rows": table, "chips": chips, "boards": boards, "cores": DEFAULT_CPI.items()},
        "fronts": {"fronts": [front(entries, name, marks, "", width=480, rivals=rivals) for name in names], "axes": AXES},
        "table": {"rows": table, "show_dataset": True, "show_target": True},
        "rivals": {"rivals": beside(rivals, table), "root": ""},
    }
    return {name: environment.get_template(f"{name}.html").render(context) for name, context in given.items()}


def _model_page(
    environment: Environment,
    entry: Entry,
    offered: Sequence[Archive],
    peers: Mapping[str, Peers],
    known: Mapping[str, Any],
) -> Page:
    path = page_of(entry.card)
    context = model_context(entry, _root(path), offered, peers[entry.card.dataset.name])
    html = environment.get_template("model.html").render(context, **known)
    title, words = page_title(entry.card), description(entry.card)
    boards = ", ".join(entry.card.target.boards)
    searched = Markup("<h1>{}</h1><p>{} {}. {}</p>").format(title, words, entry.card.id, boards)
    return Page(path, title, words, html, wide=True, searched=searched)


def _peers(entries: Sequence[Entry]) -> dict[str, Peers]:
    """The models of each dataset. All their pages lie at one depth."""
    cards = [entry.card for entry in entries]
    names = sorted({card.dataset.name for card in cards})
    return {name: Peers([card for card in cards if card.dataset.name == name], _root(page_of(cards[0]))) for name in names}


def _card_page(entry: Entry) -> str:
    return cardpage.card_page(entry, _root(page_of(entry.card)), page_title(entry.card))


def _dataset_pages(
    environment: Environment,
    entries: Sequence[Entry],
    datasets: Mapping[str, DatasetSpec],
    marks: Sequence[str],
    rivals: Sequence[Rival],
) -> list[Page]:
    counts = {name: sum(entry.card.dataset.name == name for entry in entries) for name in datasets}
    html = environment.get_template("datasets.html").render(datasets=datasets, counts=counts)
    pages = [Page("datasets/index.html", "Datasets", "The datasets of the zoo.", html)]
    template = environment.get_template("dataset.html")
    for name, spec in datasets.items():
        path = f"datasets/{name}.html"
        here = [entry for entry in entries if entry.card.dataset.name == name]
        context: dict[str, Any] = {"rows": rows(here, _root(path)), "show_dataset": False, "show_target": True}
        shown = [front(here, name, marks, _root(path), rivals=rivals)] if here else []
        html = template.render(name=name, spec=spec, root=_root(path), fronts=shown, axes=AXES, **context)
        pages.append(Page(path, spec.title, spec.description or spec.title, html))
    return pages


def _target_pages(
    environment: Environment, entries: Sequence[Entry], targets: Mapping[str, TargetSpec], order: Sequence[str]
) -> list[Page]:
    counts = {name: sum(entry.card.target.name == name for entry in entries) for name in targets}
    html = environment.get_template("targets.html").render(targets=targets, order=order, counts=counts)
    pages = [Page("targets/index.html", "Targets", "The microcontroller classes of the zoo and their budgets.", html)]
    template = environment.get_template("target.html")
    for name in order:
        path, spec = f"targets/{name}.html", targets[name]
        here = rows([entry for entry in entries if entry.card.target.name == name], _root(path))
        context: dict[str, Any] = {"rows": here, "show_dataset": True, "show_target": False}
        html = template.render(name=name, spec=spec, root=_root(path), **context)
        pages.append(Page(path, spec.title, f"Budgets of {spec.title} and the models that fit it.", html))
    return pages


def _check_id(entry: Entry) -> None:
    """An ID is an address: three plain names, the first two those of dataset and target."""
    card = entry.card
    names = card.id.split("/")
    if len(names) != 3 or not all(_NAME.fullmatch(name) for name in names) or names[:2] != [card.dataset.name, card.target.name]:
        problem = f'{entry.folder}/card.json: id = "{card.id}" is not dataset/target/name of lower-case letters, digits, - and _'
        raise SiteError(problem, "rename the entry")


def _files(entries: Sequence[Entry]) -> dict[str, Path]:
    """Card, build record and the files that the card lists, below each model's page."""
    files = {}
    for entry in entries:
        names = [CARD, *([BUILD] if entry.build else []), *(file.path for file in entry.card.files)]
        for index, name in enumerate(names):
            source = entry.folder / name
            if not source.is_file():
                raise SiteError(
                    f"{entry.card.id}: {name} is missing, file {index} of the entry", "restore it or build the entry again"
                )
            files[f"{files_folder(entry.card)}/{name}"] = source
    return files


def _contents(entry: Entry) -> dict[str, bytes]:
    """The C of an entry, for its archives; nothing where it lacks a part of them."""
    if not can_be_laid_out(entry.card):
        return {}
    paths = [checked_path(entry.card, index) for index in range(len(entry.card.files))]
    return {
        path: place.read_bytes() for path in paths if path.endswith((".c", ".h")) and (place := entry.folder / path).is_file()
    }


def _root(path: str) -> str:
    """Relative address of the site's root from a page: "" or "../" once for each folder."""
    return "../" * path.count("/")
