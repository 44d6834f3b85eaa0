import pytest

from microzoo.errors import SiteError
from microzoo.pages.boards import load_boards, target_boards
from microzoo.pages.rivals import load_rivals
from microzoo.spec.load import load_folder
from microzoo.spec.models import TargetSpec

from .sites import ROOT

BOARD = 'name = "A board"\ncore = "cortex-m4"\nclock_mhz = 80\nram_bytes = 65536\nflash_bytes = 262144\nsource = "https://example.org"\n'
RIVAL = (
    '[[rivals]]\ndataset = "digits"\nname = "N"\nshort = "N"\naccuracy = 0.9\naccuracy_of = "test"\nsource = "A paper, Table 1"\n'
    'url = "https://example.org"\nfigures = [{ on = "ram", value = 1, printed = "1 B", counts = "all" }]\n'
)


def test_the_boards_of_the_site_have_a_source_each_and_rise_in_ram():
    boards = load_boards(ROOT / "site" / "data" / "boards.toml")
    assert len({board.id for board in boards}) == len(boards) >= 10
    assert [board.ram_bytes for board in boards] == sorted(board.ram_bytes for board in boards)
    assert len({board.core for board in boards}) >= 5


def test_targets_and_their_boards_have_what_the_application_leaves():
    targets = load_folder(ROOT / "specs" / "targets", TargetSpec)
    found = target_boards(targets)
    assert len({board.id for board in found}) == len(found)
    for board in found:
        spec = targets[board.id.split(".")[0]]
        assert (board.ram_bytes, board.flash_bytes, board.core) == (spec.ram_limit_bytes, spec.flash_limit_bytes, spec.core)
        assert board.npu == (spec.npu is not None)
    assert {board.name for board in found if not board.is_target} == {name for spec in targets.values() for name in spec.boards}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[a]\n" + BOARD.replace("80", "0"), "a: clock_mhz"),
        ("[a]\n" + BOARD.replace("cortex-m4", "cortex-a53"), "a: core"),
        ("[a]\n" + BOARD + "price = 3\n", "a: price"),
        ("[a]\n" + BOARD.replace("https://example.org", "somebody said"), "a: source"),
        ("[A_b]\n" + BOARD, "A_b: a board's key"),
        ("[a\n", "is no TOML"),
        (None, "is missing"),
    ],
)
def test_a_wrong_board_is_named_with_its_key(tmp_path, text, words):
    file = tmp_path / "boards.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(SiteError, match=r"boards\.toml") as caught:
        load_boards(file)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_every_rival_of_the_site_says_where_its_figures_stand():
    found = load_rivals(ROOT / "site" / "data" / "rivals.toml")
    assert found
    for rival in found:
        assert rival.source in rival.words and all(figure.printed in rival.words for figure in rival.figures)
        for figure in rival.figures:
            assert sum(letter.isdigit() for letter in figure.printed), rival.name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (RIVAL.replace("0.9", "90"), "rivals.0.accuracy"),
        (RIVAL.replace('on = "ram"', 'on = "weight"'), "rivals.0.figures.0.on"),
        (RIVAL.replace("https://example.org", "http://example.org"), "N: url"),
        (RIVAL.replace('source = "A paper, Table 1"\n', ""), "rivals.0.source"),
        ("rivals = 3", "rivals"),
        ("[", "is no TOML"),
        (None, "is missing"),
    ],
)
def test_a_wrong_rival_is_named_with_its_key(tmp_path, text, words):
    file = tmp_path / "rivals.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(SiteError, match=r"rivals\.toml") as caught:
        load_rivals(file)
    assert words in str(caught.value) and "\n" not in str(caught.value)
