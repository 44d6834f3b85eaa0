"""How long the site of over 200 entries takes, from the entries' files to the folder that is served.

    python benchmarks/site_build.py [--runs 3]

The median of the runs, as `zoo site` makes it: entries read and checked against their checksums, pages rendered by MkDocs, links
checked, the folder swapped in. The limit is 8 s for 200 entries. The peers are MkDocs and Material alone, with the same settings:
on as many pages of a paragraph each, and on the written pages without any entry.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from _site_lab import ROOT, big_zoo, busy, machine, median
from microzoo.catalog.store import damage, entries
from microzoo.pages import links
from microzoo.pages.publish import build_site

PLAIN = """
site_name: plain
docs_dir: pages
site_dir: html
use_directory_urls: false
theme: {name: material, font: false}
plugins: [search, offline]
not_in_nav: /models/
nav: [index.md]
"""


def main() -> int:
    """Prints the table; gives 1 where 200 entries take more than 8 s."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        count = big_zoo(folder / "zoo")
        _write_plain(folder, count)
        rows = {
            f"{count} entries, with checks": lambda: build_site(ROOT, folder / "zoo", folder / "html"),
            "of that: entries read and checked": lambda: [damage(entry) for entry in entries(folder / "zoo")],
            "of that: links checked": lambda: links.problems_apart(folder / "html"),
            "no entry": lambda: build_site(ROOT, folder / "none", folder / "empty"),
            f"MkDocs alone, {count} pages of a paragraph": lambda: _mkdocs(folder),
        }
        print(f"{machine()}, {busy()}; median of {runs} runs")
        seconds = {title: median([_seconds(work) for _ in range(runs)]) for title, work in rows.items()}
    whole, peer = next(iter(seconds.values())), list(seconds.values())[-1]
    per_entry = (whole - seconds["no entry"]) / count
    print("\n| what | seconds | against MkDocs alone |\n|---|---:|---:|")
    for title, value in seconds.items():
        print(f"| {title} | {value:.2f} | {value / peer:.2f} |")
    reckoned = seconds["no entry"] + 200 * per_entry
    print(f"\nAn entry: {1000 * per_entry:.1f} ms. 200 entries: {reckoned:.1f} s, of 8 s.")
    return int(reckoned > 8)


def _write_plain(folder: Path, count: int) -> None:
    (folder / "mkdocs.yml").write_text(PLAIN, encoding="utf-8")
    (folder / "pages" / "models").mkdir(parents=True)
    (folder / "pages" / "index.md").write_text("# Plain\n\nA paragraph.\n", encoding="utf-8")
    for index in range(count):
        (folder / "pages" / "models" / f"{index}.md").write_text(f"# Model {index}\n\nA paragraph of words.\n", encoding="utf-8")


def _mkdocs(folder: Path) -> None:
    shutil.rmtree(folder / "plain", ignore_errors=True)
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder / "plain")]
    subprocess.run(command, cwd=folder, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, check=True)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
