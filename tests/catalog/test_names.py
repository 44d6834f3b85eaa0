import json
import random
import re
from pathlib import Path

import pytest

from microzoo.catalog.names import DEEPEST, ID_RULE, LONGEST_PATH, PATH_RULE, clash, is_id, path_problem

GOOD = ("card.json", "c/model.c", "models/a/b/c/versions/0123/model_float.onnx", "Makefile", "a-b_c.d.e", "_x", "connect.h")
BAD = (
    "", ".", "..", "../x", "x/..", "x/../y", "/etc/passwd", "//host/x", "a//b", "a/", "./a", "a/./b", ".hidden", "a/.git/config",
    "c:/x", "c:x", "\\\\host\\x", "a\\b", "a\\..\\..\\b", "a b", "a\nb", "a\x00b", "a%2e%2e/b", "a?b", "a#b", "~/x", "-rf", "x.",
    "x..", "con", "CON.txt", "a/nul", "aux.c", "lpt1.x", "é", "a\u202eb", "http://x/y", "a" * (LONGEST_PATH + 1),
    "/".join("a" * (DEEPEST + 1)),
)  # fmt: skip


@pytest.mark.parametrize("path", GOOD)
def test_paths_that_are_fine(path):
    assert path_problem(path) is None
    assert re.search(PATH_RULE, path), "the rule of the schema says the same"


@pytest.mark.parametrize("path", BAD)
def test_paths_that_are_refused(path):
    assert path_problem(path)
    if len(path) <= LONGEST_PATH:
        assert not re.search(PATH_RULE.removesuffix("$") + r"\Z", path), "the rule of the schema says the same"


def test_whatever_passes_stays_in_its_folder():
    """Random paths of what matters to paths: those that pass are where they seem to be."""
    rng = random.Random(6)
    pieces = ["a", "B1", ".", "..", "/", "//", "\\", ":", "c", "con", "-", "_", "%2e", " ", "x.y", "\0"]
    passed = 0
    for _ in range(20_000):
        path = "".join(rng.choices(pieces, k=rng.randint(1, 9)))
        problem = path_problem(path)
        assert (problem is None) == bool(re.search(PATH_RULE.removesuffix("$") + r"\Z", path)), path
        if problem is None:
            passed += 1
            place = Path("/base") / path
            assert place.parts[:2] == ("/", "base") and ".." not in place.parts and place.as_posix() == f"/base/{path}"
            assert json.loads(json.dumps(path)) == path and path.isascii() and path.isprintable()
    assert passed > 300


def test_ids():
    assert is_id("fashion-mnist/cortex-m4-64k/accurate") and re.search(ID_RULE, "a/b/c_1")
    for text in ("", "a/b", "a/b/c/d", "A/b/c", "a/b/c ", "a/../c", "a/b/c\n", "con/b/c", "/a/b/c", "a//c"):
        assert not is_id(text), text


def test_files_that_would_lie_on_one_another():
    assert clash(["a", "b/c", "b/d", "e"]) is None
    assert clash(["a", "b", "a"]) == "a"
    assert clash(["model.c", "Model.c"]) == "Model.c", "one file on a disk that does not tell cases apart"
    assert clash(["c", "c/model.c"]) == "c/model.c"
    assert clash(["c/model.c", "C"]) == "C"
