import re
import xml.etree.ElementTree as ET
from pathlib import Path

from microzoo.pages.picture import DARK, LIGHT, RULES, Held, picture
from microzoo.pages.rungs import Training

CSS = (Path(__file__).parents[2] / "site/pages/assets/microzoo.css").read_text(encoding="utf-8")
SPACE = "{http://www.w3.org/2000/svg}"


def rules(css):
    """Selector and declarations, the first one of each selector."""
    found = {}
    for selector, body in re.findall(r"^\s*([.:\[][^{}]*?) \{([^{}]*)\}", css, re.MULTILINE):
        found.setdefault(selector.strip(), {each.strip() for each in body.split(";") if each.strip()})
    return found


def test_colours_and_rules_are_those_of_the_style_sheet():
    site = rules(CSS)
    assert LIGHT.keys() == DARK.keys()
    assert {f"--mz-{name}: light-dark({light}, {DARK[name]})" for name, light in LIGHT.items()} <= site[":root"]
    own = {".mz-svg", ".mz-svg .mz-head", ".mz-paper"}
    for selector, body in rules(RULES).items():
        if selector == ".mz-svg text":
            assert body <= site[selector]
        elif selector not in own:
            assert body == {each for each in site[selector] if not each.startswith("background")}, selector


def test_the_document_is_well_formed_whatever_its_words():
    held = [Held(2048, 1024, 0.9, 0, True), Held(4096, 4096, 0.95, 1, True), Held(8192, 4096, 0.7, 0, False)]
    trainings = [Training(2, 0.8, 0, "random"), Training(8, 0.95, 1, "random")]
    words = ["<script>alert(1)</script> & \x1b[31mred\x00", "]]>"]
    document = picture(title="a & <b>", lines=words, held=held, trainings=trainings, rung_epochs={0: 2.0, 1: 6.0})
    root = ET.fromstring(document.encode())
    texts = [node.text for node in root.iter(f"{SPACE}text")]
    assert "a & <b>" in texts and "<script>alert(1)</script> &  [31mred " in texts
    assert list(root.iter(f"{SPACE}script")) == []
    assert "rung 1: 6 epochs each" in texts and "Accuracy against RAM (pale: not on the front)" in texts
    assert "http" not in document.replace("http://www.w3.org/2000/svg", ""), "needs nothing from elsewhere"


def test_marks_lie_where_their_numbers_say():
    """Two charts of 524 px: x from 64 to 504 within each; flash from 2 to 8 KB is two octaves, so 4 KB lies at 284."""
    held = [Held(2048, 1024, 0.9, 0, True), Held(4096, 2048, 0.95, 0, True), Held(8192, 4096, 0.92, 0, False)]
    root = ET.fromstring(picture(title="t", lines=[], held=held, trainings=[], rung_epochs={0: 2.0}).encode())
    flash, ram = (node for node in root.iter(f"{SPACE}g") if node.get("role") == "img")
    assert flash.get("transform").startswith("translate(24 ") and ram.get("transform").startswith("translate(572 ")
    for chart in (flash, ram):
        places = {
            node.find(f"{SPACE}path/{SPACE}title").text.split(" ")[0]: float(re.search(r"\(([\d.]+)", node.get("transform"))[1])
            for node in chart.iter(f"{SPACE}g")
            if node.find(f"{SPACE}path/{SPACE}title") is not None
        }
        assert [places[f"{name}\N{NO-BREAK SPACE}%"] for name in ("90.00", "95.00", "92.00")] == [64, 284, 504]
        assert "validation accuracy" in [node.text for node in chart.iter(f"{SPACE}text")], (
            "one rung: nothing is expected, all known"
        )


def test_nothing_held_and_nothing_trained_can_be_drawn():
    ET.fromstring(picture(title="t", lines=["x"], held=[], trainings=[], rung_epochs={0: 1.0}).encode())
