"""Where a model stands: the front by brute force, and the marks where their numbers say."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from microzoo.pages.standing import Peers

from .cards import synthetic


def card(name, accuracy, ram, flash):
    base = synthetic(name=name).card
    needs = {"ram": ram, "flash": flash}
    limits = tuple(each.model_copy(update={"need": needs.get(each.name, each.need)}) for each in base.limits)
    return base.model_copy(update={"headline": base.headline.model_copy(update={"value": accuracy}), "limits": limits})


def sides(peers, of):
    return {side["resource"]: side for side in peers.standing(of)["sides"]}


def test_who_is_on_a_front_is_found_by_comparing_all_pairs():
    rng = np.random.default_rng(5)
    cards = [
        card(f"m{index}", round(float(rng.uniform(0.9, 1)), 2), int(rng.integers(5, 12)) * 100, int(rng.integers(5, 12)) * 1000)
        for index in range(25)
    ]
    peers = Peers(cards, "../")
    for of in cards:
        for number, resource in enumerate(("RAM", "flash")):
            side = sides(peers, of)[resource]
            need, accuracy = of.limits[number].need, of.headline.value
            beating = {
                other.id
                for other in cards
                if (other.limits[number].need <= need and other.headline.value > accuracy)
                or (other.limits[number].need < need and other.headline.value >= accuracy)
            }
            twins = [other.id for other in cards if (other.limits[number].need, other.headline.value) == (need, accuracy)]
            if side["on_front"]:
                assert not beating and side["better"] is None
            else:
                assert beating or len(twins) > 1
                assert side["better"]["id"] in beating | set(twins) - {of.id}
            assert of.id in {member["id"] for member in side["members"]} or not side["on_front"]


def test_marks_lie_where_their_numbers_say_and_lead_to_their_pages():
    small, large, bad = card("small", 0.9, 1024, 4096), card("large", 0.95, 4096, 8192), card("bad", 0.91, 4096, 9000)
    side = sides(Peers([small, large, bad], "../../"), bad)["RAM"]
    root = ET.fromstring(str(side["svg"]))
    links = {node.get("href"): node for node in root.iter("a")}
    assert list(links) == [f"../../models/{each.id}/index.html" for each in (small, large)]
    at = {
        name: tuple(map(float, re.search(r"\(([\d.]+) ([\d.]+)\)", links[href].find("path").get("transform")).groups()))
        for name, href in zip(("small", "large"), links, strict=True)
    }
    ring = next(node for node in root.iter("g") if (node.get("transform") or "").startswith("translate"))
    x, y = map(float, re.search(r"\(([\d.]+) ([\d.]+)\)", ring.get("transform")).groups())
    assert at["small"][0] < at["large"][0] == pytest.approx(x)
    assert at["large"][1] < y < at["small"][1]
    assert y - at["large"][1] == pytest.approx(4 * (at["small"][1] - y), abs=0.5), "0.95 - 0.91 is four times 0.91 - 0.90"
    assert "2 of them on the front; this one is not on it" in root.find("desc").text


def test_a_model_alone_is_its_own_front():
    alone = card("alone", 0.9, 1000, 1000)
    assert all(side["on_front"] for side in sides(Peers([alone], ""), alone).values())
