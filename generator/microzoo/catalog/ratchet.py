"""A zoo only gets better: a search that went on replaces its entries only by better ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from microzoo.catalog.card import Card
from microzoo.catalog.store import damage, read_entry
from microzoo.errors import CatalogError


def kept_instead(zoo: Path, new: Sequence[Card]) -> Card | None:
    """The published card that shows that all entries of this job stay as they are, or None where `new` is to be written.

    new: the cards of one dataset and target, the most accurate first. Another key (spec, data or generator changed), a damaged
    or missing entry, or one with fewer seeds is always replaced. Otherwise the mean int8 accuracy of the most accurate one on
    validation decides, never the test split; equal ones are written, so that a repeated build repairs.
    """
    published = []
    for card in new:
        try:
            entry = read_entry(zoo / card.id)
        except CatalogError:
            return None
        if entry.card.key != card.key or entry.card.siblings != card.siblings or damage(entry):
            return None
        published.append(entry.card)
    before, after = published[0].validation_int8, new[0].validation_int8
    return published[0] if before.n >= after.n and before.mean > after.mean else None
