import json
import re

import pytest

from microzoo.catalog.card import Figure
from microzoo.catalog.store import Entry
from microzoo.errors import SiteError
from microzoo.pages.rivals import Rival, RivalFigure
from microzoo.pages.table import AXES, beside, front, row, rows, target_names

from .cards import synthetic


def entry(tmp_path, figures=None, build=True, **names):
    made = synthetic(**names)
    card = made.card.model_copy(update={"figures": made.card.figures | (figures or {})})
    return Entry(tmp_path, card, made.build if build else None)


def counted(value, method="qemu"):
    return Figure(value=value, unit="instructions", kind="emulated", method=method)


def rival(**changes):
    figures = (
        RivalFigure(on="paper_ram", value=1024, printed="1 KB", counts="without the input"),
        RivalFigure(on="weights", value=2048, printed="2 KB", counts="packed weights"),
    )
    values = {"dataset": "digits", "name": "Other", "short": "Other", "accuracy": 0.9, "accuracy_of": "test", "source": "A paper"}
    return Rival(**values | {"url": "https://example.org", "figures": figures} | changes)


def test_a_row_holds_the_figures_of_its_card(tmp_path):
    made = entry(tmp_path, {"instructions": counted(1_234_567)})
    card, line = made.card, row(made, "../")
    assert (line.ram.value, line.ram.kind) == (card.limits[0].need, "estimated")
    assert (line.flash.value, line.macs.value) == (card.limits[1].need, card.figures["macs"].value)
    assert (line.instructions.words, line.instructions.data) == ("1.23 M", "1234567")
    assert (line.date, line.core, line.clock_mhz) == ("2026-11-23", "cortex-m4", 64)
    assert line.download == "../models/digits/cortex-m0plus-8k/brisk-wren/files/model.tflite"


def test_a_figure_without_value_is_a_dash_that_says_why(tmp_path):
    line = row(entry(tmp_path, {"instructions": counted(None, "no emulator")}, build=False), "")
    assert (line.instructions.value, line.instructions.data, line.instructions.words) == (None, "", "\N{EN DASH}")
    assert line.instructions.title == "no emulator" and line.date == ""
    older = row(entry(tmp_path), "")
    assert older.instructions.value is None and "figures.instructions" in older.instructions.title


def test_what_a_row_cannot_do_without_is_named(tmp_path):
    made = entry(tmp_path)
    for changes, words in (({"limits": ()}, 'limits has no "ram"'), ({"files": ()}, r"files has no \.tflite")):
        with pytest.raises(SiteError, match=words):
            row(Entry(tmp_path, made.card.model_copy(update=changes), made.build), "")


def test_rows_by_dataset_then_target_then_accuracy(tmp_path):
    made = [
        entry(tmp_path, dataset=d, target=t, name=f"n{i}", seed=i)
        for d in ("mnist", "digits")
        for t in ("tiny-2k", "cortex-m4-64k")
        for i in (0, 1)
    ]
    shown = rows(made, "")
    assert [line.dataset for line in shown] == ["digits"] * 4 + ["mnist"] * 4
    assert [line.target for line in shown[:4]] == ["tiny-2k"] * 2 + ["cortex-m4-64k"] * 2
    assert all(a.accuracy >= b.accuracy for a, b in ((shown[i], shown[i + 1]) for i in (0, 2, 4, 6)))


def test_a_rival_is_drawn_by_its_own_count_with_an_asterisk_on_ours(tmp_path):
    made = entry(tmp_path)
    drawn = front([made], "digits", target_names([made]), "", rivals=[rival(), rival(dataset="mnist", name="Elsewhere")])
    assert [each.name for each in drawn.rivals] == ["Other"] and drawn.rivals_shown
    assert ">Other*</text>" in drawn.svg and "Elsewhere" not in drawn.svg
    costs = {axis.key: found and (found[0].value, found[1]) for axis in AXES for found in [rival().on(axis.key)]}
    assert costs == {
        "ram": (1024, False),
        "flash": (2048, False),
        "macs": None,
        "instructions": None,
        "paper_ram": (1024, True),
        "paper_size": None,
    }
    written = json.loads(str(drawn.svg).split('data-costs="')[1].split('"')[0].replace("&#34;", '"'))
    assert written == {key: list(value) for key, value in costs.items() if value}


def test_a_rival_without_a_figure_on_the_axis_is_there_and_hidden(tmp_path):
    made = entry(tmp_path)
    only = rival(figures=(RivalFigure(on="parameters", value=9, printed="9", counts="parameters"),))
    drawn = front([made], "digits", target_names([made]), "", rivals=[only])
    assert not drawn.rivals_shown and re.search(r'class="mz-rival" [^>]*display="none"', drawn.svg)
    alone = front([made], "digits", target_names([made]), "").svg
    assert drawn.svg.split("mz-front")[0] == alone.split("mz-front")[0], "it does not widen the axes"


def test_beside_a_rival_stands_our_best_by_the_same_count(tmp_path):
    shown = rows([entry(tmp_path, name=f"n{seed}", seed=seed) for seed in range(4)], "")
    ((_, ours), (_, none)) = beside([rival(), rival(dataset="cifar10")], shown)
    best = max(shown, key=lambda line: line.accuracy)
    assert none is None and ours.id == best.id
    assert (
        ours.words
        == f"{best.accuracy_words}, RAM as µNAS counts it {best.paper_ram.words}, Size as µNAS counts it {best.paper_size.words}"
    )
