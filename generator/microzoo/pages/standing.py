"""Where a model stands among all that is published on its dataset: two small fronts with this model ringed, linked to the others.

What does not depend on the model is drawn once for each dataset, so that 200 pages cost little more than one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from microzoo.catalog.card import Card
from microzoo.pages.chart import LEFT, MARGIN_BOTTOM, MARGIN_RIGHT, share_ticks, steps, tick_percent, value_axis
from microzoo.pages.figures import LIMITS, limit
from microzoo.pages.plot import pareto
from microzoo.pages.svg import Axis, Scale, drawing, element, frame, path, xy
from microzoo.pages.table import page_of
from microzoo.pages.text import percent, size

WIDTH, HEIGHT, TOP = 440.0, 264.0, 38.0
RESOURCES = {"ram": "RAM", "flash": "flash"}
"""Name of the limit -> within a sentence."""
_DOT = "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z"


@dataclass(frozen=True)
class _Side:
    """All models of a dataset against one resource. needs: bytes, in the order of the cards; members: those on the front."""

    resource: str
    x: Axis
    y: Axis
    needs: tuple[float, ...]
    members: tuple[int, ...]
    drawn: Markup

    def place(self, index: int, accuracy: float) -> str:
        return xy(self.x.scale(self.needs[index]), self.y.scale(accuracy))


class Peers:
    """The published models of one dataset. root: relative address of the site's root from the pages that show them."""

    def __init__(self, cards: Sequence[Card], root: str) -> None:
        """cards: of one dataset, at least one."""
        assert len({card.dataset.name for card in cards}) == 1
        self.cards = sorted(cards, key=lambda card: card.id)
        self.root = root
        self.sides = tuple(self._side(resource) for resource in RESOURCES)

    def standing(self, card: Card) -> dict[str, Any]:
        """What the page of one of them shows: both drawings, and in words whether it is on the fronts and what beats it."""
        at = next(index for index, other in enumerate(self.cards) if other.id == card.id)
        return {"n": len(self.cards), "sides": [self._shown(side, at) for side in self.sides]}

    def _shown(self, side: _Side, at: int) -> dict[str, Any]:
        card, name = self.cards[at], RESOURCES[side.resource]
        ring = element(
            "g",
            element("title", f"this model: {_words(card, side.resource)}"),
            element("path", d=_DOT, class_="mz-standing-this"),
            element("circle", cx=0, cy=0, r=8, class_="mz-chosen"),
            transform=f"translate({side.place(at, card.headline.value)})",
        )
        on_front = at in side.members
        words = (
            f"{len(self.cards)} models, {len(side.members)} of them on the front; this one is {'' if on_front else 'not '}on it."
        )
        title = f"{card.dataset.title}: accuracy against {name}"
        return {
            "resource": name,
            "svg": drawing(WIDTH, HEIGHT, title, words, side.drawn, ring, class_="mz-standing", role="group"),
            "members": [self._link(index, side.resource) for index in side.members],
            "on_front": on_front,
            "better": None if on_front else self._link(self._better(side, at), side.resource),
        }

    def _better(self, side: _Side, at: int) -> int:
        """The member of the front that is the most accurate of those that need no more."""
        accuracy = [other.headline.value for other in self.cards]
        return max((index for index in side.members if side.needs[index] <= side.needs[at]), key=lambda index: accuracy[index])

    def _link(self, index: int, resource: str) -> dict[str, Any]:
        card = self.cards[index]
        return {"id": card.id, "href": self.root + page_of(card), "words": _words(card, resource)}

    def _side(self, resource: str) -> _Side:
        needs = tuple(limit(card, resource).need for card in self.cards)
        accuracies = [card.headline.value for card in self.cards]
        members = tuple(pareto(list(zip(needs, accuracies, strict=True))))
        right, bottom = WIDTH - MARGIN_RIGHT, HEIGHT - MARGIN_BOTTOM
        label = f"{LIMITS[resource]} on the target"
        x = value_axis(max(min(needs) * 0.94, 1), max(needs) * 1.06, "bytes", LEFT, right, label, log=True)
        ticks = share_ticks(min(accuracies), max(accuracies))
        y = Axis(Scale(ticks[0], ticks[-1], bottom, TOP), ticks, tick_percent, "test accuracy, int8")
        places = [(x.scale(max(need, 1)), y.scale(each)) for need, each in zip(needs, accuracies, strict=True)]
        pale = "".join(f"M{xy(*place)}h0" for index, place in enumerate(places) if index not in members)
        parts = [frame(x, y), path(steps([places[index] for index in members], right), "mz-front")]
        if pale:
            parts.append(path(pale, "mz-standing-pale"))
        for index in members:
            card = self.cards[index]
            words = _words(card, resource)
            shape = element("path", element("title", words), d=_DOT, transform=f"translate({xy(*places[index])})")
            parts.append(element("a", shape, href=self.root + page_of(card), aria_label=words, class_="mz-standing-member"))
        return _Side(resource, x, y, needs, members, element("g", *parts))


def _words(card: Card, resource: str) -> str:
    """Its name without the dataset, which all share: "tiny-2k/accurate: 98.3 %, 1.7 KB RAM"."""
    name = card.id.partition("/")[2]
    return f"{name}: {percent(card.headline.value, card.headline.n)}, {size(limit(card, resource).need)} {RESOURCES[resource]}"
