"""A card against a measurement of its files: every number that is not the same, and which of these are no fault of the entry.

Excused is what another machine may rightly find: a runtime or a tool that is not installed on one of the two, and another version
of a tool, where the two methods say the same apart from versions. Everything else is a fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from pydantic import BaseModel

from microzoo.catalog.card import Accuracy, Card, Figure
from microzoo.errors import MeasurementError
from microzoo.measure.entry import Measurement
from microzoo.measure.verdict import limits
from microzoo.spec.models import TargetSpec

PREDICTED = "predicted_"
"""Begins the names of the search's figures: of its graph, which an entry does not hold, so they stand as published."""
EXACT = ("generated", "TensorFlow", "WebAssembly,")
"""Kinds of runtimes that give the same bits in every version, on every machine: generated C, that in WebAssembly, and TFLM's
reference kernels."""
_NOT_HAD = re.compile(r"\bnot (measured|compared|emulated|estimated): ")
_VERSION = re.compile(r"\b\d\w*(?:\.\w+)+")
_CHAIN = re.compile(r"\w+_invoke(?: > [^\s;]+)*")


@dataclass(frozen=True)
class Difference:
    """One number that is not what the card says. `excused`: why that is no fault of the entry, else empty."""

    entry: str
    what: str
    published: str
    found: str
    excused: str = ""


def compare(card: Card, target: TargetSpec, again: Measurement) -> list[Difference]:
    """All differences. target: as the card records it. again: the card's files, measured here; its figures include the card's
    predicted ones.
    """
    sides = _Sides(card, again)
    figures = list(sides.figures())
    excused = {difference.what for difference in figures if difference.excused}
    believed = again.figures | {name: card.figures[name] for name in excused if name in card.figures}
    return [
        *sides.accuracies(),
        *figures,
        *sides.headline(),
        *sides.limits(target, believed),
        *sides.rows("layers", card.layers, again.layers),
        *sides.rows("input", (card.input,), (again.input,)),
        *sides.rows("output", (card.output,), (again.output,)),
    ]


@dataclass(frozen=True)
class _Sides:
    """What the card says, and what its files gave now."""

    card: Card
    again: Measurement

    def difference(self, what: str, published: object, found: object, excused: str = "") -> Difference:
        return Difference(self.card.id, what, str(published), str(found), excused)

    def accuracies(self) -> Iterator[Difference]:
        """Runtimes are matched by kind, since versions change."""
        for file in self.card.files:
            ours = {kind(accuracy.runtime): accuracy for accuracy in self.again.accuracies.get(file.path, ())}
            kinds = [kind(accuracy.runtime) for accuracy in file.accuracy]
            for index, published in enumerate(file.accuracy):
                what = f"{file.path} in {published.runtime}"
                if kinds[index] in kinds[:index]:
                    yield self.difference(what, _score(published), "a second accuracy of one runtime")
                elif kinds[index] not in ours:
                    absent = self.absent_here(file.path, kinds[index])
                    yield self.difference(what, _score(published), "not run", absent if _consistent(published) else "")
                elif _unlike(published, found := ours[kinds[index]]):
                    yield self.difference(what, _score(published), _score(found), _other_version(published, found))
            for name, found in ours.items():
                if name not in kinds:
                    what, absent = f"{file.path} in {found.runtime}", self.absent_there(file.path, name)
                    yield self.difference(what, "not published", _score(found), absent)

    def headline(self) -> Iterator[Difference]:
        """The headline and its confusion matrix. Where the two stand for different runtimes, it must agree with the card's own
        accuracy of the file.
        """
        card, again = self.card, self.again
        ours, theirs = (again.headline_file, kind(again.headline.runtime)), (card.headline_file, kind(card.headline.runtime))
        listed = self.listed(*theirs)
        named = listed is not None and listed.runtime == card.headline.runtime
        published = f"{_score(card.headline)} of {card.headline_file} in {card.headline.runtime}"
        found = f"{_score(again.headline)} of {again.headline_file} in {again.headline.runtime}"
        excused = ""
        if ours == theirs and _unlike(card.headline, again.headline):
            excused = _other_version(card.headline, again.headline) if named else ""
            yield self.difference("headline", published, found, excused)
        elif ours != theirs:
            same_run = (card.headline.n, card.headline.split) == (again.headline.n, again.headline.split)
            agrees = listed is not None and (listed.n != card.headline.n or listed == card.headline)
            if named and same_run and agrees and _consistent(card.headline):
                excused = self.absent_here(*theirs) or self.absent_there(*ours)
            yield self.difference("headline", published, found, excused)
        elif not named:
            yield self.difference("headline", published, f"no accuracy of {card.headline_file} in this runtime on the card")
        sums = sum(map(sum, card.confusion)), sum(row[i] for i, row in enumerate(card.confusion) if i < len(row))
        if card.confusion != again.confusion:
            of_headline = sums == (card.headline.n, card.headline.correct)
            yield self.difference("confusion matrix", card.confusion, again.confusion, excused if of_headline else "")

    def figures(self) -> Iterator[Difference]:
        for name, figure in self.card.figures.items():
            if name.startswith(PREDICTED):
                if figure.kind != "predicted":
                    yield self.difference(f"{name}.kind", figure.kind, "predicted")
            elif name not in self.again.figures:
                yield self.difference(name, figure.value, "no such figure")
            else:
                yield from self.figure(name, figure, self.again.figures[name])
        for name, found in self.again.figures.items():
            if name not in self.card.figures:
                yield self.difference(name, "not published", found.value, "the card does not have this figure")

    def figure(self, name: str, figure: Figure, found: Figure) -> Iterator[Difference]:
        """Kind and unit never depend on the tools at hand. The same value by another tool is no difference."""
        if figure.kind != found.kind:
            yield self.difference(f"{name}.kind", figure.kind, found.kind)
        if figure.unit != found.unit:
            yield self.difference(f"{name}.unit", figure.unit, found.unit)
        if figure.value != found.value:
            yield self.difference(name, figure.value, found.value, self.excuse(figure, found))
        elif figure.method != found.method and not self.excuse(figure, found):
            yield self.difference(f"{name}.method", figure.method, found.method)

    def excuse(self, figure: Figure, found: Figure) -> str:
        """Why two figures may differ, or empty."""
        if figure.method == found.method:
            return ""
        if _NOT_HAD.search(found.method) and (figure.value is not None or _NOT_HAD.search(figure.method)):
            return f"not measured here: {found.method}" if found.value is None else ""
        if figure.value is None:
            return f"not measured when it was built: {figure.method}" if _NOT_HAD.search(figure.method) else ""
        return self.other_runtime(figure, found) or self.other_base(figure, found) or self.other_tool(figure, found)

    def other_runtime(self, figure: Figure, found: Figure) -> str:
        """A figure on the agreement of runtimes, one of which ran only there or only here."""
        for file in self.card.files:
            for accuracy in file.accuracy:
                if accuracy.runtime in figure.method and (why := self.absent_here(file.path, kind(accuracy.runtime))):
                    return why
        for path, accuracies in self.again.accuracies.items():
            for accuracy in accuracies:
                if accuracy.runtime in found.method and (why := self.absent_there(path, kind(accuracy.runtime))):
                    return why
        return ""

    def other_base(self, figure: Figure, found: Figure) -> str:
        """A figure that is another figure + a formula, where that other one could be measured only there or only here."""
        (base, _, formula), (our_base, _, our_formula) = figure.method.partition(" "), found.method.partition(" ")
        here, there = self.again.figures.get(base), self.card.figures.get(our_base)
        lacks = (here is not None and here.value is None) or (there is not None and there.value is None)
        return f"stands on another figure here: {our_base}" if formula == our_formula and lacks else ""

    def other_tool(self, figure: Figure, found: Figure) -> str:
        """The same method with another version of a tool. Another version may find another chain of calls; the same may not."""
        published = [accuracy.runtime for file in self.card.files for accuracy in file.accuracy]
        ours = [accuracy.runtime for accuracies in self.again.accuracies.values() for accuracy in accuracies]
        if _CHAIN.sub("", figure.method) == _CHAIN.sub("", found.method):
            return ""
        same = _without_versions(figure.method, published) == _without_versions(found.method, ours)
        return f"another tool: {found.method}" if same else ""

    def limits(self, target: TargetSpec, believed: dict[str, Figure]) -> Iterator[Difference]:
        """What follows from the figures found, and from the published ones where their difference is excused."""
        try:
            expected = limits(target, believed)
        except MeasurementError as error:
            yield self.difference("limits", ", ".join(limit.name for limit in self.card.limits), error)
            return
        yield from self.rows("limits", self.card.limits, expected)

    def rows(self, what: str, published: tuple[BaseModel, ...], found: tuple[BaseModel, ...]) -> Iterator[Difference]:
        """Two lists row by row; a difference shows the fields that differ."""
        for index, (theirs, ours) in enumerate(zip_longest(published, found)):
            name = what if len(published) == len(found) == 1 else f"{what}[{index}]"
            if theirs is None or ours is None:
                yield self.difference(name, theirs or "not published", ours or "no such row")
            elif unlike := _unlike(theirs, ours):
                texts = (", ".join(f"{field} = {getattr(side, field)}" for field in unlike) for side in (theirs, ours))
                yield self.difference(name, *texts)

    def listed(self, path: str, runtime: str) -> Accuracy | None:
        """The card's accuracy of a file in a kind of runtime."""
        found = (accuracy for file in self.card.files if file.path == path for accuracy in file.accuracy)
        return next((accuracy for accuracy in found if kind(accuracy.runtime) == runtime), None)

    def absent_here(self, path: str, runtime: str) -> str:
        """Why a kind of runtime did not run this file now, or empty."""
        absent = any(one.path == path and kind(one.runtime) == runtime for one in self.again.not_run)
        return "this runtime is not on this machine" if absent else ""

    def absent_there(self, path: str, runtime: str) -> str:
        """Why a kind of runtime did not run this file when the card was written, as its known limits say, or empty."""
        said = any(text.startswith(f"{path} was not run in {runtime}") for text in self.card.known_limits)
        return "this runtime was not on the machine that built the entry" if said else ""


def kind(runtime: str) -> str:
    """The first word of a runtime's name: what is left without its version."""
    return runtime.split(maxsplit=1)[0] if runtime.strip() else ""


def _score(accuracy: Accuracy) -> str:
    return f"{accuracy.correct}/{accuracy.n} = {accuracy.value:.6g} on {accuracy.split}"


def _consistent(accuracy: Accuracy) -> bool:
    return accuracy.n > 0 and accuracy.value == accuracy.correct / accuracy.n


def _unlike(published: BaseModel, found: BaseModel) -> list[str]:
    """Fields that differ, a runtime's name aside: its version is no claim."""
    theirs, ours = published.model_dump(), found.model_dump()
    return [field for field in theirs if field != "runtime" and theirs[field] != ours[field]]


def _other_version(published: Accuracy, found: Accuracy) -> str:
    """Another version may classify other inputs rightly, of as many and on the same split; an exact runtime may not."""
    same = published.runtime == found.runtime or kind(found.runtime) in EXACT
    whole = (published.n, published.split) == (found.n, found.split) and _consistent(published)
    return f"another tool: {found.runtime}" if whole and not same else ""


def _without_versions(method: str, runtimes: list[str]) -> str:
    for runtime in sorted(runtimes, key=len, reverse=True):
        method = method.replace(runtime, kind(runtime))
    return _VERSION.sub("#", _CHAIN.sub("#", method))
