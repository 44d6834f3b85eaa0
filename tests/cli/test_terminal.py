from __future__ import annotations

import os
import subprocess
import sys

import pytest

from microzoo.terminal import ASCII, UNICODE, Spot, climb, scatter, strokes


@pytest.mark.parametrize(
    ("encoding", "pen"), [("utf-8", UNICODE), ("ascii", ASCII), ("latin-1", ASCII), (None, ASCII), ("no-such", ASCII)]
)
def test_the_encoding_decides(encoding, pen):
    assert strokes(encoding) == pen


def test_both_sets_of_strokes_match():
    assert len(ASCII.levels) == len(UNICODE.levels) and ASCII.levels.isascii()
    assert all(
        len(stroke) == 1 for pen in (ASCII, UNICODE) for stroke in (pen.front, pen.other, pen.upright, pen.flat, pen.corner)
    )


def test_spots_lie_where_their_numbers_say():
    """1 to 16 KB is four octaves over 40 gaps, 4 KB two of them: column 20. 0.75 is half of 0.5 to 1: row 2 of 0 to 4."""
    spots = [
        Spot(1024, 0.5, True),
        Spot(4096, 0.75, True),
        Spot(16_384, 1.0, True),
        Spot(8192, 0.75, False),
        Spot(99, 0.9, False),
    ]
    lines = scatter(spots, "flash", "accuracy", 50, 9, ASCII)
    assert lines[0] == "accuracy"
    cells = [line[9:].ljust(41) for line in lines[1:6]]
    assert [(row, column, mark) for row, line in enumerate(cells) for column, mark in enumerate(line) if mark != " "] == [
        (0, 40, "o"),
        (2, 20, "o"),
        (2, 30, "."),
        (4, 0, "o"),
    ]
    assert lines[1].startswith("100.00% |") and lines[5].startswith(" 50.00% |")
    assert lines[6] == " " * 8 + "+" + "-" * 41
    assert lines[7] == " " * 9 + "1,024 B" + " " * 26 + "16,384 B"
    assert max(map(len, lines)) <= 50


def test_a_front_member_hides_what_it_covers():
    lines = scatter([Spot(10, 0.5, True), Spot(10, 0.5, False), Spot(20, 0.9, True)], "x", "y", 30, 8, UNICODE)
    assert "".join(lines).count(UNICODE.front) == 2 and UNICODE.other not in "".join(lines)


def test_one_spot_and_equal_spots_have_a_chart():
    for spots in ([Spot(10, 0.5, True)], [Spot(10, 0.5, True)] * 3):
        lines = scatter(spots, "x", "y", 30, 8, ASCII)
        assert sum("50.00%" in line for line in lines) == 1 and sum("o" in line for line in lines) == 1


def test_a_tenth_that_learnt_nothing_does_not_flatten_the_rest():
    spots = [Spot(10, 0.1, True), *(Spot(20.0 + index, 0.8 + index / 100, True) for index in range(10))]
    lines = scatter(spots, "x", "y", 40, 10, ASCII)
    assert lines[6].startswith("<80.00% |o")


def test_climb_by_hand():
    """Errors 0.4, 0.2, 0.1 by epochs 1, 2 and 4 of 4: log 1, log 2 and log 4 of log 4, which is none, half and all of 7 steps."""
    assert climb([(1, 0.6), (2, 0.8), (4, 0.9)], 4, 4, UNICODE) == "▁▅▅█"
    assert climb([(1, 0.6), (2, 0.8), (4, 0.9)], 4, 4, ASCII) == "_++@"


def test_climb_never_falls_and_begins_with_the_first_point():
    assert climb([(3, 0.5), (4, 0.3)], 4, 4, ASCII) == "  @@"
    assert climb([], 4, 4, ASCII) == "    "
    assert climb([(1, 0.5), (2, 1.0)], 2, 2, ASCII) == "_@"


def test_help_names_the_options_and_says_what_several_jobs_give():
    environment = {**os.environ, "COLUMNS": "200"}
    command = [sys.executable, "-m", "microzoo", "search", "show", "--help"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    words = " ".join(done.stdout.split())
    assert "\x1b" not in done.stdout
    for option in ("--work", "--svg FILE", "--json", "--seed", "--all"):
        assert option in words
    assert "Several jobs: a file each" in words and "goes on undisturbed" in words
    whole = subprocess.run(
        [sys.executable, "-m", "microzoo", "search"], check=False, capture_output=True, text=True, env=environment
    )
    assert "show" in whole.stderr
