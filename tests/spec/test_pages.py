"""The page on targets: its own lines are a target and a family that can be built."""

import re
from pathlib import Path

from microzoo.spec.load import load_jobs

ROOT = Path(__file__).parents[2]


def test_the_lines_of_the_page_on_targets_are_a_target(tmp_path):
    target, family = re.findall(r"```toml\n(.*?)```", (ROOT / "site/pages/target.md").read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets" / "my-board.toml").write_text(target)
    (tmp_path / "datasets").symlink_to(ROOT / "specs" / "datasets")
    (tmp_path / "mine.toml").write_text(family)
    (job,) = load_jobs([tmp_path / "mine.toml"])
    assert job.place == "digits/my-board"
    assert job.target.ram_limit_bytes == (32 - 8) * 1024 and job.target.flash_limit_bytes == (128 - 40) * 1024
