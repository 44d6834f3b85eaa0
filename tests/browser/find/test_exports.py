"""CSV and JSON of the finder against the rows of the server."""

import csv
import io
import json

import pytest

from .oracle import milliseconds, shown

pytestmark = pytest.mark.browser


def download(page, format_):
    with page.expect_download() as caught:
        page.locator(f"[data-export={format_}]").click()
    return caught.value.suggested_filename, caught.value.path().read_bytes().decode("utf-8")


def test_csv_and_json_hold_what_is_shown_in_its_order(view, found):
    page = view("#?clock=50&dataset=mnist&sort=-flash")
    expected = [next(row for row in found if row.id == name) for name in shown(page)]
    assert len(expected) > 4
    name, text = download(page, "csv")
    assert name == "microzoo.csv" and text.count("\r\n") == len(expected) + 1
    table = list(csv.DictReader(io.StringIO(text)))
    name, text = download(page, "json")
    exported = json.loads(text)
    assert name == "microzoo.json" and exported["view"] == {"clock": "50", "dataset": "mnist", "sort": "-flash"}
    assert len(table) == len(exported["models"]) == len(expected)
    for line, each, model in zip(table, exported["models"], expected, strict=True):
        took = milliseconds(model, 50, None)
        wanted = {
            "id": model.id, "dataset": model.dataset, "target": model.target, "core": model.core,
            "accuracy_int8_test": model.accuracy, "test_inputs": model.n, "accuracy_int8_validation_mean": model.spread_mean,
            "accuracy_int8_validation_sd": model.spread_deviation, "seeds": model.seeds,
            "ram_bytes": model.ram.value, "ram_kind": model.ram.kind,
            "flash_bytes": model.flash.value, "flash_kind": model.flash.kind,
            "macs": model.macs.value, "instructions_emulated": model.instructions.value,
            "munas_ram_bytes": model.paper_ram.value, "munas_size_bytes": model.paper_size.value,
            "tflite_bytes": model.bytes, "built": model.date or None,
        }  # fmt: skip
        assert {key: each[key] for key in wanted} == wanted
        assert each["milliseconds_estimated"] == (None if took is None else pytest.approx(took))
        assert each["page"].endswith(model.href) and each["page"].startswith("file:")
        assert line == {key: "" if value is None else str(value) for key, value in each.items()} or _same(line, each)
    assert any(row.instructions.value is None for row in expected), "a missing figure is among them"


def _same(line, each):
    """Whether a line of CSV holds the values of an object of JSON."""
    for key, value in each.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            if float(line[key]) != value:
                return False
        elif line[key] != ("" if value is None else value):
            return False
    return set(line) == set(each)


def test_an_anchor_in_the_address_is_no_part_of_the_exported_view(view):
    view()
    page = view("#models")
    assert json.loads(download(page, "json")[1])["view"] == {}


def test_an_empty_view_exports_nothing_but_is_still_a_file(view):
    page = view("#?q=nothing+like+it")
    empty = download(page, "csv")[1]
    assert empty.count("\r\n") == 1
    assert json.loads(download(page, "json")[1])["models"] == []
    page.fill("[name=q]", "")
    assert download(page, "csv")[1].splitlines()[0] == empty.strip(), "the columns are named all the same"
