"""Lighthouse on the home page with over 200 entries and on a model's page, as a phone and as a computer, over http with gzip.

    python benchmarks/lighthouse.py [--runs 3] [--site FOLDER] [--page PAGE] [--only CATEGORIES] [--form desktop] [--json FILE]

Performance, accessibility and best practices, 0 to 100, the median of the runs; they should be 95 or more. Lighthouse reckons
what it measures here down to a slow phone on a slow network ("phone") or to an ordinary computer ("desktop"); "seen" is when this
machine had drawn the first content, without that. The peer is the theme's shortest written page: what the theme alone costs.
Needs npm's lighthouse (sh tools/web.sh) and Chromium; nothing is downloaded. On a busy machine the performance says little.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from _site_lab import NODE_PACKAGES, ROOT, big_zoo, busy, find_chromium, find_node, machine, median, serving

CATEGORIES = ("performance", "accessibility", "best-practices")
PEER = "develop/decisions/uv.html"
FORMS = {"phone": (), "desktop": ("--preset=desktop",)}


def main() -> int:
    """Prints the table; gives 1 where a category is below 95."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--site", type=Path, help="a site that is built already, in place of the synthetic one")
    parser.add_argument(
        "--page", action="append", help="a page of it, in place of the home page and a model's; may be given more than once"
    )
    parser.add_argument("--only", default=",".join(CATEGORIES), help="categories, with commas between them")
    parser.add_argument("--form", choices=FORMS, action="append")
    parser.add_argument("--json", type=Path, help="where to write all figures and the audits that cost points")
    options = parser.parse_args()
    if not (find_node() and find_chromium() and (NODE_PACKAGES / "lighthouse").is_dir()):
        print("lighthouse: needs npm's lighthouse (sh tools/web.sh), Node.js 22 and Chromium; not measured", file=sys.stderr)
        return 0 if os.environ.get("CI") != "true" else 1
    with tempfile.TemporaryDirectory() as folder:
        site = options.site or _built(Path(folder))
        pages = options.page or ["index.html", _model(site), PEER]
        found = [
            _figures(site, page, form, options.only.split(","), options.runs, Path(folder))
            for page in pages
            for form in options.form or FORMS
        ]
    _print(found, options.runs)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return int(any(score < 95 for row in found for score in row["scores"].values()))


def _built(folder: Path) -> Path:
    from microzoo.pages.publish import build_site

    big_zoo(folder / "zoo")
    build_site(ROOT, folder / "zoo", folder / "html")
    return folder / "html"


def _model(site: Path) -> str:
    """A published model's page with most to show: the heaviest."""
    pages = site.glob("models/*/*/*/index.html")
    return max(pages, key=lambda page: page.stat().st_size).relative_to(site).as_posix()


def _figures(site: Path, page: str, form: str, categories: list[str], runs: int, folder: Path) -> dict[str, Any]:
    reports, sent = [], []
    for _ in range(runs):
        with serving(site) as host:
            reports.append(_report(host.address + page, form, categories, folder))
            sent.append(reports[-1]["audits"].get("total-byte-weight", {}).get("numericValue", 0))
    scores = {name: median([100 * report["categories"][name]["score"] for report in reports]) for name in categories}
    lost = {
        f"{name}: {reference['id']}": report["audits"][reference["id"]].get("displayValue")
        or _where(report["audits"][reference["id"]])
        for report in reports
        for name in categories
        for reference in report["categories"][name]["auditRefs"]
        if reference["weight"]
        and (report["audits"][reference["id"]]["score"] or 0) < 0.9
        and report["audits"][reference["id"]]["score"] is not None
    }
    seen = [item["observedFirstContentfulPaint"] for report in reports for item in _metrics(report)]
    return {
        "page": page,
        "form": form,
        "scores": scores,
        "kilobytes": round(median(sent) / 1000, 1),
        "seen_ms": round(median(seen)) if seen else None,
        "lost": lost,
        "lighthouse": reports[0]["lighthouseVersion"],
        "browser": reports[0]["environment"]["hostUserAgent"].split("Chrome/")[-1].split()[0],
        "setting": f"{machine()}, {busy()}",
    }


def _metrics(report: dict[str, Any]) -> list[dict[str, float]]:
    items = report["audits"].get("metrics", {}).get("details", {}).get("items", [])
    return [item for item in items if "observedFirstContentfulPaint" in item]


def _where(audit: dict[str, Any]) -> str:
    """The elements that an audit found fault with."""
    items = audit.get("details", {}).get("items", [])
    return "; ".join(item.get("node", {}).get("snippet", "")[:160] for item in items[:3])


def _report(address: str, form: str, categories: list[str], folder: Path) -> dict[str, Any]:
    place = folder / "report.json"
    command = [
        str(find_node()),
        str(NODE_PACKAGES / "lighthouse" / "cli" / "index.js"),
        address,
        "--quiet",
        "--no-enable-error-reporting",
    ]
    command += ["--output=json", f"--output-path={place}", f"--only-categories={','.join(categories)}", *FORMS[form]]
    command += ["--chrome-flags=--headless=new --no-sandbox --disable-gpu"]
    environment = os.environ | {"CHROME_PATH": str(find_chromium())}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise SystemExit(f"lighthouse: {address}: {done.stderr.strip()[-1500:]}")
    report: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
    return report


def _print(found: list[dict[str, Any]], runs: int) -> None:
    first = found[0]
    print(f"{first['setting']}; Lighthouse {first['lighthouse']}, Chromium {first['browser']}, median of {runs} runs")
    peers = {row["form"]: row for row in found if row["page"] == PEER}
    heads = [*first["scores"], "KB sent", "seen, ms", "KB against the peer"]
    print(f"\n| page | as | {' | '.join(heads)} |\n|---|---|{'---:|' * len(heads)}")
    for row in found:
        peer = peers.get(row["form"])
        ratio = f"{row['kilobytes'] / peer['kilobytes']:.2f}" if peer and peer["kilobytes"] else ""
        scores = " | ".join(f"{score:.0f}" for score in row["scores"].values())
        print(f"| {row['page']} | {row['form']} | {scores} | {row['kilobytes']} | {row['seen_ms'] or ''} | {ratio} |")
    for row in found:
        for audit, words in row["lost"].items():
            print(f"{row['page']}, {row['form']}: {audit}: {words}")


if __name__ == "__main__":
    sys.exit(main())
