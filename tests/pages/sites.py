"""Sites of synthetic entries, made once in a test session: all tests of pages and all workers share them."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from microzoo.pages.publish import build_site

from .cards import DATASETS, TARGETS, published, synthetic, synthetic_zoo
from .senses import motion, sound

ROOT = Path(__file__).parents[2]
HOSTILE = "<script>document.title='hacked'</script>\"><img src=x onerror=alert(1)>"
MANY = 200


def site_of(session: pytest.TempPathFactory) -> Path:
    """12 entries, and one whose words are markup."""
    return _once(_folder(session) / "synthetic-site", _small)


def big_site_of(session: pytest.TempPathFactory) -> Path:
    """The published zoo and 204 synthetic entries besides: what the limits on size and time are stated for."""
    return _once(_folder(session) / "big-site", _big)


def tried_site_of(session: pytest.TempPathFactory) -> Path:
    """The published zoo, entries with the files of a small model that takes other kinds of data, and one that cannot be tried."""
    return _once(_folder(session) / "tried-site", _tried)


def big_zoo(zoo: Path) -> int:
    """Writes the entries of the big site and gives their number, at least MANY."""
    count = synthetic_zoo(zoo, -(-MANY // (len(DATASETS) * len(TARGETS))))
    return count + _published(zoo)


def _published(zoo: Path) -> int:
    """Copies the published entries and gives their number."""
    cards = sorted((ROOT / "zoo").glob("*/*/*/card.json"))
    for card in cards:
        shutil.copytree(card.parent, zoo / card.parent.relative_to(ROOT / "zoo"))
    return len(cards)


def _folder(session: pytest.TempPathFactory) -> Path:
    """Below the folder of the session; a worker of xdist has one of its own inside that."""
    base = session.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def _once(folder: Path, make: Callable[[Path], None]) -> Path:
    """The site in `folder`, made by whoever comes first while the others wait. One who fails leaves the turn to the next."""
    site = folder / "html"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not site.is_dir():
            shutil.rmtree(folder, ignore_errors=True)
            make(folder)
    return site


def _small(folder: Path) -> None:
    synthetic_zoo(folder / "zoo")
    hostile = synthetic(name="hostile")
    words = {
        "known_limits": (HOSTILE,),
        "target": hostile.card.target.model_copy(update={"title": HOSTILE, "boards": (HOSTILE,)}),
        "dataset": hostile.card.dataset.model_copy(
            update={"title": f"</title>{HOSTILE}", "citation": HOSTILE, "licence_url": "javascript:alert(1)"}
        ),
    }
    type(hostile)(hostile.card.model_copy(update=words), hostile.build, hostile.files).write(folder / "zoo")
    build_site(ROOT, folder / "zoo", folder / "html")


def _big(folder: Path) -> None:
    big_zoo(folder / "zoo")
    build_site(ROOT, folder / "zoo", folder / "html")


def _tried(folder: Path) -> None:
    _published(folder / "zoo")
    published("float32", name="real", redistributable=False).write(folder / "zoo")
    published(dataset="mnist").write(folder / "zoo")
    published(dataset="mnist", name="colour", channels=3).write(folder / "zoo")
    motion().write(folder / "zoo")
    sound().write(folder / "zoo")
    synthetic("mnist", "tiny-2k", "bare").write(folder / "zoo")
    build_site(ROOT, folder / "zoo", folder / "html")


def old_site(folder: Path) -> Path:
    """What a build finds in the place of its site: one of ours, of which one page stands for all."""
    site = folder / "html"
    (site / "assets").mkdir(parents=True)
    (site / "assets" / "microzoo.css").touch()
    (site / "index.html").write_text("the old site")
    return site
