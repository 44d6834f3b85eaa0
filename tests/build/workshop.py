"""One small real build, shared: digits on the 8 KB part, a few candidates, a few epochs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FAMILY = """
dataset = "digits"
targets = ["cortex-m0plus-8k"]
[search]
evaluations = 9
epochs = 2
random_parents = 2
reference_widths = [1.0]
parallel = 2
[train]
epochs = 4
batch_size = 64
seeds = 2
[select]
finalists = 2
"""


@dataclass(frozen=True)
class Workshop:
    """A folder with specs of its own, and the command `zoo` in it. The site's sources are the project's."""

    folder: Path

    def zoo(self, *arguments: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "microzoo", *arguments]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=600, check=False)
        assert code is None or done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def spec(self, text: str, name: str = "demo") -> Path:
        path = self.folder / "specs" / f"{name}.toml"
        path.write_text(text, encoding="utf-8")
        return path


def make_workshop(folder: Path) -> Workshop:
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("targets", "datasets"):
        shutil.copytree(ROOT / "specs" / part, folder / "specs" / part)
    shutil.copytree(ROOT / "site", folder / "site")
    shutil.copy(ROOT / "mkdocs.yml", folder)
    workshop = Workshop(folder)
    workshop.spec(FAMILY)
    return workshop
