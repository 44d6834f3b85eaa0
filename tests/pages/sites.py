"""One site of synthetic entries for all tests of a session; pages and browser share it."""

from __future__ import annotations

import functools
from pathlib import Path

from microzoo.pages.publish import build_site

from .cards import synthetic, synthetic_zoo

ROOT = Path(__file__).parents[2]
HOSTILE = "<script>document.title='hacked'</script>\"><img src=x onerror=alert(1)>"


@functools.cache
def site_of(session: Path) -> Path:
    """12 entries, and one whose words are markup, below the folder of the test session; built once."""
    folder = session / "synthetic-site"
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
    return folder / "html"
