"""The drawings of the page on the search, and the table of the page on the paper."""

import itertools
import re
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from microzoo.pages.learn import CLASSES, EXAMPLE, INPUT_SHAPE, KINDS, evolution, fragments, genotype, lowered
from microzoo.pages.paper import Published, beside_the_paper
from microzoo.space.lowering import lower
from microzoo.space.morphisms import morphisms
from microzoo.space.sampling import MICROZOO_SPACE, sample
from microzoo.spec.models import SearchSpec

from .cards import synthetic

PAGES = Path(__file__).parents[2] / "site" / "pages"


def boxes(root):
    """(x, y, width, height) of every box."""
    return [tuple(float(node.get(key)) for key in ("x", "y", "width", "height")) for node in root.iter("rect")]


def apart(one, other):
    return (
        one[0] + one[2] <= other[0]
        or other[0] + other[2] <= one[0]
        or one[1] + one[3] <= other[1]
        or other[1] + other[3] <= one[1]
    )


@pytest.mark.parametrize("drawn", [genotype(EXAMPLE), lowered(EXAMPLE), evolution(SearchSpec())])
def test_boxes_lie_inside_and_apart_and_hold_their_words(drawn):
    root = ET.fromstring(str(drawn))
    width, height = map(float, root.get("viewBox").split()[2:])
    found = boxes(root)
    assert all(x >= 0 and y >= 0 and x + w <= width and y + h <= height for x, y, w, h in found)
    assert all(apart(*pair) for pair in itertools.combinations(found, 2))
    for group in root.iter("g"):
        if (rect := group.find("rect")) is not None:
            room = float(rect.get("x")) + float(rect.get("width"))
            for words in group.iter("text"):
                assert float(words.get("x")) + 6.2 * len(words.text) <= room, words.text


def test_any_genotype_of_the_space_can_be_drawn():
    rng = np.random.default_rng(2)
    for _ in range(40):
        example = sample(rng, MICROZOO_SPACE)
        root = ET.fromstring(str(genotype(example)))
        assert len(boxes(root)) == len(example.blocks) + 2


def test_the_lowered_network_is_the_programs_own():
    graph = lower(EXAMPLE, INPUT_SHAPE, CLASSES)
    titles = [
        node.find("title").text for node in ET.fromstring(str(lowered(EXAMPLE))).iter("g") if node.find("title") is not None
    ]
    assert titles[1:] == [op.name for op in graph.ops]
    assert {type(op) for op in graph.ops} <= set(KINDS)


def test_the_numbers_are_those_of_the_spec():
    text = "".join(ET.fromstring(str(evolution(SearchSpec(population=41, tournament=9, reduction=4, epochs=1.5)))).itertext())
    for words in ("the newest 41;", "9 drawn", "1 in 4 rises", "1.5 epochs"):
        assert words in text


def test_every_morphism_of_the_program_stands_on_the_page():
    counts = Counter(name for name, _ in morphisms(np.random.default_rng(0), EXAMPLE, MICROZOO_SPACE))
    shown = dict(re.findall(r'<th scope="row">([^<]+)</th><td class="mz-number">(\d+)</td>', fragments()["moves"]))
    assert shown == {name: str(count) for name, count in counts.items()} | {"in all": str(counts.total())}
    prose = (PAGES / "algorithm.md").read_text(encoding="utf-8")
    assert all(f"<!-- zoo:{name} -->" in prose for name in fragments())


def test_figures_beside_the_paper_by_hand():
    card = synthetic("mnist", "tiny-2k").card
    figures = card.figures
    figures = figures | {
        name: figures[name].model_copy(update={"value": value})
        for name, value in (("paper_ram", 512), ("paper_size", 3072), ("macs", 25_000))
    }
    card = card.model_copy(update={"figures": figures, "headline": card.headline.model_copy(update={"value": 0.98})})
    row = Published("mnist", 0.99, 1024, 2048, 100_000, "by hand")
    (group,) = beside_the_paper([card, synthetic("digits").card], "../", [row])["groups"]
    assert (group["theirs"][0]["paper_ram"], group["theirs"][0]["macs"]) == ("1.0 KB", "100.0 K")
    (ours,) = group["ours"]
    assert ours["against"] == ["1.00 points less accurate, with 0.50 times the RAM, 1.50 times the size, 0.25 times the MACs"]
    assert ours["href"] == "../models/mnist/tiny-2k/brisk-wren/index.html" and ours["figures"][0] == (
        "512 B",
        "figures.paper_ram.value",
    )
    assert beside_the_paper([synthetic("digits").card], "")["groups"] == []
    assert beside_the_paper([card], "", [])["groups"][0]["theirs"] == []
