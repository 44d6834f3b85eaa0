"""The rule in tests/conftest.py: a missing tool skips its tests with the reason; in CI a skip is a failure, except for CUDA."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

TESTS = """
import pytest

@pytest.mark.arm
def test_needs_the_arm_compiler():
    raise AssertionError("it must not run: PATH is empty")

@pytest.mark.cuda
def test_needs_a_gpu():
    pytest.skip("no second CUDA device")

@pytest.mark.xfail(strict=True)
def test_known_fault():
    raise AssertionError("a known fault")

def test_plain():
    pass
"""


def run_pytest(folder: Path, environment: dict[str, str], *, workers: bool) -> tuple[int, str]:
    """Runs the tests in `folder` under the project's conftest.py with an empty PATH."""
    shutil.copy(ROOT / "tests" / "conftest.py", folder / "conftest.py")
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    arm\n    cuda\n")
    plugins = ["-n", "2"] if workers else ["-p", "no:xdist"]
    inherited = {name: value for name, value in os.environ.items() if name != "CI" and not name.startswith("PYTEST")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-ra", "-p", "no:cacheprovider", *plugins, str(folder)],
        cwd=folder,
        env=inherited | {"PATH": str(folder)} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stdout + done.stderr


def test_a_missing_tool_skips_with_a_reason(tmp_path):
    (tmp_path / "test_it.py").write_text(TESTS)
    code, output = run_pytest(tmp_path, {}, workers=False)
    assert code == 0, output
    assert "1 passed, 2 skipped, 1 xfailed" in output
    assert "arm-none-eabi-gcc is not installed (Debian: gcc-arm-none-eabi)" in output


@pytest.mark.parametrize("workers", [False, True], ids=["one process", "xdist"])
def test_in_ci_a_skip_is_a_failure_except_for_cuda(tmp_path, workers):
    (tmp_path / "test_it.py").write_text(TESTS)
    code, output = run_pytest(tmp_path, {"CI": "true"}, workers=workers)
    assert code == 1, output
    assert "1 passed, 1 skipped, 1 xfailed, 1 error" in output  # pytest calls a failure before the test's body an error
    assert "skipped, which is a failure in CI. Skipped: arm-none-eabi-gcc is not installed" in output


def test_in_ci_a_module_that_skips_itself_fails(tmp_path):
    (tmp_path / "test_it.py").write_text("import pytest\npytest.importorskip('no_such_package_anywhere')\n")
    code, output = run_pytest(tmp_path, {"CI": "true"}, workers=False)
    assert code != 0, output
    assert "skipped, which is a failure in CI" in output


def test_starting_pytest_does_not_import_torch(tmp_path):
    (tmp_path / "test_it.py").write_text("import sys\n\ndef test_light():\n    assert 'torch' not in sys.modules\n")
    code, output = run_pytest(tmp_path, {}, workers=False)
    assert code == 0, output
