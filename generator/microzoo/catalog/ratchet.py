"""A zoo only gets better: a search that went on replaces an entry only by one that is better on validation."""

from __future__ import annotations

from pathlib import Path

from microzoo.catalog.card import Card
from microzoo.catalog.store import CARD, read_entry


def kept_instead(zoo: Path, new: Card) -> Card | None:
    """The published card that stays in place of `new`, or None where `new` is to be written.

    Another key (spec, data or generator changed) always replaces. With the same key the mean int8 accuracy on validation over
    the seeds decides, never the test split; equal ones are written, so that a repeated build repairs.
    """
    folder = zoo / new.id
    if not (folder / CARD).is_file():
        return None
    published = read_entry(folder).card
    better = published.key == new.key and published.validation_int8.mean > new.validation_int8.mean
    return published if better else None
