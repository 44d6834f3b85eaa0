"""What a card must hold so that its page can be made, beyond what its schema demands: each lack is named with entry and field."""

from __future__ import annotations

import json

from microzoo.catalog.card import Card
from microzoo.errors import SiteError


def check(card: Card) -> None:
    """Raises SiteError naming entry and field of the first thing that is missing or makes no sense."""
    size = len(card.dataset.classes)
    listed = {file.path for file in card.files}
    runs = [(f"files[{number}].accuracy", run) for number, file in enumerate(card.files) for run in file.accuracy]
    for wrong, words in (
        (not card.layers, "layers is empty"),
        (not card.seeds, "seeds is empty"),
        (
            len(card.confusion) != size or any(len(row) != size for row in card.confusion),
            f"confusion is not {size} x {size}, one row and column a class",
        ),
        (not any(map(sum, card.confusion)), "confusion counts nothing"),
        (
            bool(listed) and card.headline_file not in listed,
            f'headline_file = "{card.headline_file}" is not among files',
        ),
        *((not run.n > 0, f"{place}: n = {run.n}") for place, run in (("headline", card.headline), *runs)),
        *((not each.have > 0, f"limits: {each.name} has {each.have:g}") for each in card.limits),
        (max((layer.live_bytes for layer in card.layers), default=1) < 1, "layers: no live_bytes"),
        *((not layer.output_shape, f"layers[{at}].output_shape is empty") for at, layer in enumerate(card.layers)),
    ):
        if wrong:
            raise SiteError(f"{card.id}/card.json: {words}", "build the entry again")


def genotype(card: Card) -> str:
    """The architecture's JSON, laid out for people. Raises SiteError where it is none."""
    try:
        return json.dumps(json.loads(card.architecture), indent=1)
    except json.JSONDecodeError as error:
        raise SiteError(f"{card.id}/card.json: architecture is not JSON: {error}", "build the entry again") from error
