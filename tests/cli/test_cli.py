from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "numpy", "pydantic", "onnx", "onnxruntime", "sklearn", "mkdocs", "ai_edge_litert")


def test_reference_page_is_fresh(tmp_path: Path) -> None:
    page = tmp_path / "cli.md"
    command = ["-m", "typer", "microzoo.cli", "utils", "docs", "--name", "zoo", "--title", "Command line", "--output", str(page)]
    subprocess.run([sys.executable, *command], check=True, capture_output=True)
    committed = (ROOT / "site/pages/reference/cli.md").read_text(encoding="utf-8")
    assert page.read_text(encoding="utf-8") == committed, "run: make docs"


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; from typer.testing import CliRunner; from microzoo.cli import app;"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0;"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_specs_list_and_verification_need_no_torch(tmp_path: Path) -> None:
    program = (
        "import sys; from typer.testing import CliRunner; from microzoo.cli import app;"
        f"assert CliRunner().invoke(app, ['list', '--json', '--out', {str(tmp_path)!r}]).exit_code == 0;"
        f"assert CliRunner().invoke(app, ['verify', '--quick', '--out', {str(tmp_path)!r}]).exit_code == 0;"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"
