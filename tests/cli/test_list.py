"""`zoo list`, `show` and `verify` of a zoo that holds a damaged entry among sound ones."""

import json
import sys

import pytest

from microzoo.__main__ import main

from ..pages.cards import synthetic  # noqa: TID252  # tests are no package with a name

PLACE = "digits/cortex-m0plus-8k"
SOUND, HURT, CUT = (f"{PLACE}/{name}" for name in ("brisk-wren", "hurt", "cut"))


@pytest.fixture
def zoo(tmp_path):
    """One sound entry, one with an impossible value, one whose card ends in the middle."""
    synthetic().write(tmp_path)
    hurt = synthetic(name="hurt").write(tmp_path) / "card.json"
    card = json.loads(hurt.read_text())
    card["headline"]["value"] = 1.5
    hurt.write_text(json.dumps(card))
    cut = synthetic(name="cut").write(tmp_path) / "card.json"
    cut.write_text(cut.read_text()[:1000])
    return tmp_path


@pytest.fixture
def zoo_command(monkeypatch, capsys):
    """Runs `zoo` as the script does; gives exit code, standard output and standard error."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["zoo", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        return ended.value.code, told.out, told.err

    return run


def test_a_listing_has_the_sound_entries_and_names_each_damaged_one(zoo, zoo_command):
    code, out, err = zoo_command("list", "--out", zoo)
    assert code == 1
    assert "1 models in" in out and SOUND in out and HURT not in out
    first, second = err.splitlines()
    assert first.startswith(f"zoo: {zoo}/{CUT}/card.json:") and "is not JSON" in first
    assert second.startswith(f"{zoo}/{HURT}/card.json: headline.value: Input should be less than or equal to 1, found 1.5; ")
    assert all(line.endswith("restore the file, or delete the folder and build again") for line in (first, second))


def test_json_of_a_listing_stays_json(zoo, zoo_command):
    code, out, err = zoo_command("list", "--out", zoo, "--json")
    assert code == 1 and [row["id"] for row in json.loads(out)] == [SOUND]
    assert HURT in err and CUT in err


def test_a_sound_zoo_is_listed_without_a_word_on_stderr(tmp_path, zoo_command):
    synthetic().write(tmp_path)
    code, out, err = zoo_command("list", "--out", tmp_path, "--json")
    assert (code, [row["id"] for row in json.loads(out)], err) == (0, [SOUND], "")


def test_an_entry_is_shown_whatever_lies_beside_it(zoo, zoo_command):
    code, out, err = zoo_command("show", SOUND, "--out", zoo, "--json")
    assert (code, json.loads(out)["id"], err) == (0, SOUND, "")
    code, out, err = zoo_command("show", HURT, "--out", zoo, "--json")
    assert (code, out) == (1, "") and "headline.value" in err and len(err.splitlines()) == 1
    code, out, err = zoo_command("show", PLACE, "--out", zoo, "--json")
    assert code == 1 and json.loads(out)["id"] == SOUND and len(err.splitlines()) == 2
    code, out, err = zoo_command("show", f"{PLACE}/hart", "--out", zoo)
    assert (code, out) == (1, "") and f"no such entry in {zoo}; did you mean {HURT}?" in err


def test_a_damaged_card_is_a_difference_and_the_others_are_verified(zoo, zoo_command):
    code, out, err = zoo_command("verify", "--quick", "--out", zoo, "--json")
    told = json.loads(out)
    assert (code, err) == (1, "") and told["entries"] == [SOUND, CUT, HURT]
    found = {each["entry"]: each["found"] for each in told["differences"]}
    assert found[HURT].startswith("not possible: ") and "headline.value" in found[HURT]
    assert "is not JSON" in found[CUT] and "is not JSON" not in found[SOUND]
