"""Predicted against found: a small difference is neither hidden nor written as a signed nothing."""

import pytest

from microzoo.pages.compared import compared

from .cards import synthetic


@pytest.mark.parametrize(
    ("predicted", "found", "words"),
    [(4_689_684, 4_689_695, "-0.0002"), (1_001, 1_000, "+0.1"), (1_100, 1_000, "+10.0"), (10_004, 10_000, "+0.04")],
)
def test_the_difference_has_a_digit_that_says_something(predicted, found, words):
    card = synthetic().card
    figures = card.figures | {
        "predicted_macs": card.figures["predicted_macs"].model_copy(update={"value": predicted}),
        "macs": card.figures["macs"].model_copy(update={"value": found}),
    }
    row = next(row for row in compared(card.model_copy(update={"figures": figures})) if row["title"] == "Multiply-accumulates")
    assert row["difference"] == f"{words}\N{NO-BREAK SPACE}%"
