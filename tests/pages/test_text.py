import pytest

from microzoo.pages import text


@pytest.mark.parametrize(
    ("value", "words"),
    [(0, "0 B"), (432, "432 B"), (1023, "1023 B"), (12_288, "12.0 KB"), (65_536, "64.0 KB"), (1_310_720, "1.25 MB")],
)
def test_size_counts_in_1024(value, words):
    assert text.size(value) == words


@pytest.mark.parametrize(("value", "words"), [(432, "432"), (85_200, "85.2 K"), (3_400_000, "3.40 M"), (1.5e9, "1.50 G")])
def test_short_counts_in_1000(value, words):
    assert text.short(value) == words


def test_few_inputs_give_one_decimal():
    assert text.percent(350 / 360, 360) == "97.2\N{NO-BREAK SPACE}%"
    assert text.percent(0.93254, 10_000) == "93.25\N{NO-BREAK SPACE}%"


@pytest.mark.parametrize(
    ("value", "words"),
    [(100.0, "100"), (0.3, "0.3"), (0.003, "0.003"), (2e-05, "0.00002"), (1234.56789, "1,234.56789"), (64, "64"), (-1.5, "-1.5")],
)
def test_what_was_set_keeps_every_digit_without_an_exponent(value, words):
    assert text.given(value) == words


def test_exact_keeps_every_digit():
    assert text.exact(12_345, "bytes") == "12,345 B"
    assert text.exact(3_400_017, "macs") == "3,400,017 MACs"


@pytest.mark.parametrize(
    ("value", "words"), [(0.25, "0.25 ms"), (99.54, "99.5 ms"), (999.4, "999 ms"), (999.6, "1,000 ms"), (1018.3, "1,018 ms")]
)
def test_a_time_never_has_an_exponent(value, words):
    assert text.quantity(value, "ms") == words


@pytest.mark.parametrize(("seconds", "words"), [(42, "42 s"), (312, "5.2 min"), (7980, "2.2 h")])
def test_duration(seconds, words):
    assert text.duration(seconds) == words
