"""The kinds of page that a site has: one of each is enough where every page of a kind is made by the same template."""

from __future__ import annotations

from ..pages.sites import ROOT  # noqa: TID252  # tests are no package that could be named from its root

MODEL = "models/fashion-mnist/cortex-m4-64k/brisk-wren/index.html"
HOSTILE = "models/digits/cortex-m0plus-8k/hostile/index.html"
GENERATED = (
    "index.html",
    MODEL,
    "datasets/index.html",
    "datasets/digits.html",
    "targets/index.html",
    "targets/cortex-m4-64k.html",
    "reference/specs.html",
)
"""From entries and specs, in the small site."""
SENSED = (
    "models/geotec-har/cortex-m4-64k/steps/index.html",
    "models/fsdd/cortex-m4-64k/words/index.html",
)
"""Models of movement and of sound, in the site of what can be tried."""
_SOURCES = ROOT / "site" / "pages"
_ALL = sorted(path.relative_to(_SOURCES).with_suffix(".html").as_posix() for path in _SOURCES.rglob("*.md"))
WRITTEN = (
    *(name for name in _ALL if not name.startswith("develop/decisions/") and name != "index.html"),
    "develop/decisions/latency.html",
    "404.html",
)
"""By people, all but most of the decisions, which hold nothing but words; and the theme's own page for a missing address."""
