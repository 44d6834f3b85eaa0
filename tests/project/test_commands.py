"""The commands that people and CI are told to type exist: Makefile, shell scripts, workflows, and the program's own options."""

import functools
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml

from microzoo.cli import app

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
SCRIPTS = [*sorted((ROOT / "tools").glob("*.sh")), ROOT / ".ci/run"]
(PHONY,) = re.findall(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)
INSTRUCTIONS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "Makefile", *WORKFLOWS]


def make(*arguments: str) -> str:
    """What `make` prints, as called by a person: not as a part of the `make test` that may have started this."""
    outside = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    done = subprocess.run(["make", "-C", ROOT, *arguments], env=outside, check=True, capture_output=True, text=True, timeout=60)
    return done.stdout


def test_help_lists_every_target():
    listed = re.findall(r"^make (\w+) +\S", make("help"), re.MULTILINE)
    assert listed == PHONY.split()


def test_the_targets_of_the_promise_exist():
    assert {"demo", "test", "conformance", "bench", "site", "docs", "lock", "setup", "clean", "help"} == set(PHONY.split())


@pytest.mark.parametrize("target", PHONY.split())
def test_make_can_plan_every_target(target):
    make("--dry-run", target)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_the_pages_name_only_targets_that_exist(page):
    named = set(re.findall(r"(?:^|`|no |3 )make (\w+)", (ROOT / page).read_text(), re.MULTILINE))
    assert named and named <= set(PHONY.split())


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_parse_and_are_executable(script):
    shell = Path(script.read_text().splitlines()[0].split()[-1].removeprefix("#!")).name
    assert shell in ("sh", "bash")
    subprocess.run([shell, "-n", script], check=True)
    assert script.stat().st_mode & stat.S_IXUSR


def test_the_system_script_names_its_usage():
    done = subprocess.run(["sh", ROOT / "tools/system.sh"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "build|test" in done.stderr


def system_script(tools: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """tools/system.sh on a system that has a shell, the tools it is written with, and what else lies in the folder `tools`."""
    for name in ("sh", "env", "sed", "ln"):
        (tools / name).symlink_to(next(path for folder in ("/bin", "/usr/bin") if (path := Path(folder, name)).exists()))
    command = ["/bin/sh", ROOT / "tools/system.sh", "test"]
    return subprocess.run(
        command,
        env={"PATH": str(tools), "MICROZOO_SYSTEM_DATASETS": str(tools), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def put_tool(tools: Path, name: str, body: str) -> None:
    """An executable shell script."""
    (tools / name).write_text(f"#!/bin/sh\n{body}\n")
    (tools / name).chmod(0o755)


def test_without_apt_every_missing_package_is_named_with_what_it_costs(tmp_path):
    done = system_script(tmp_path, CI="true")
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert [line.split()[1] for line in lines] == ["git", "chromium", "dataset-fashion-mnist"]
    assert 'chromium is missing (this system has no apt-get): tests marked "browser" are skipped' in lines[1]


def test_in_ci_with_apt_a_missing_package_is_fatal(tmp_path):
    put_tool(tmp_path, "apt-get", "exit 1")
    done = system_script(tmp_path, CI="true", MICROZOO_SYSTEM="no")
    assert done.returncode == 1
    assert "with CI=true nothing may be missing" in done.stderr


def test_only_what_is_missing_is_installed_and_one_bad_package_costs_no_other(tmp_path):
    # An apt-get that can install nothing but git, and that alone; an archive whose chromium is a stub that asks for a snap.
    put_tool(tmp_path, "id", "echo 0")
    stub = "chromium-headless-shell) v='(none)' ;; chromium) v=2:1snap1-0ubuntu2 ;;"
    put_tool(tmp_path, "apt-cache", f'case $2 in {stub} *) v=1:7.2 ;; esac; echo "  Candidate: $v"')
    outcome = f'case "$*" in *"s git") ln -s /bin/sh {tmp_path}/git ;; *install*) exit 100 ;; esac'
    put_tool(tmp_path, "apt-get", f'echo "$DEBIAN_FRONTEND $*" >> {tmp_path}/log; {outcome}')
    done = system_script(tmp_path)
    assert done.returncode == 0, done.stderr
    assert [line.split()[1] for line in done.stderr.splitlines()] == ["chromium", "dataset-fashion-mnist"]
    options = "noninteractive -q -y -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300"
    install = f"{options} install --no-install-recommends"
    names = ["git dataset-fashion-mnist", "git", "dataset-fashion-mnist"]
    calls = [f"{options} update", *(f"{install} {name}" for name in names)]
    assert (tmp_path / "log").read_text().splitlines() == calls


def test_chromium_comes_without_windows_where_the_archive_has_it_so(tmp_path):
    put_tool(tmp_path, "id", "echo 0")
    put_tool(tmp_path, "git", "exit 0")
    put_tool(tmp_path, "apt-cache", "case $2 in chromium*) v=156.0 ;; *) v='(none)' ;; esac; echo \"  Candidate: $v\"")
    outcome = f'case "$*" in *"s chromium-headless-shell") ln -s /bin/true {tmp_path}/chromium-headless-shell ;; esac'
    put_tool(tmp_path, "apt-get", outcome)
    done = system_script(tmp_path)
    assert done.stdout == "system: installing chromium-headless-shell\n"
    assert [line.split()[1] for line in done.stderr.splitlines()] == ["dataset-fashion-mnist"]


def test_a_system_that_has_everything_is_left_alone(tmp_path):
    for name in ("git", "google-chrome"):
        put_tool(tmp_path, name, "exit 0")
    dataset = tmp_path / "fashion-mnist" / "train-images-idx3-ubyte.gz"
    dataset.parent.mkdir()
    dataset.write_bytes(b"anything")
    put_tool(tmp_path, "apt-get", f"echo called > {tmp_path}/log")
    done = system_script(tmp_path, CI="true")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize("kept", [True, False])
def test_setup_compiles_where_python_keeps_nothing_that_it_compiles(tmp_path, kept):
    (tmp_path / "bin").mkdir()
    put_tool(tmp_path / "bin", "python", f'echo "$*" >> {tmp_path}/log')
    put_tool(tmp_path / "bin", "uv", "exit 0")
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "" if kept else "1"}
    subprocess.run(["/bin/sh", ROOT / "tools/setup.sh", tmp_path], env=environment, check=True, capture_output=True, timeout=60)
    called = [line for line in (tmp_path / "log").read_text().splitlines() if line.startswith("-m compileall")]
    assert len(called) == (0 if kept else 1) and all(line.endswith(" generator") for line in called)


@pytest.mark.parametrize("npm", [None, "echo out of reach >&2; exit 1"])
def test_without_npm_packages_one_line_says_what_is_missing(tmp_path, npm):
    (tmp_path / "bin").mkdir()
    if npm:
        put_tool(tmp_path / "bin", "npm", npm)
    for ci, expected in (("", 0), ("true", 1)):
        command = ["sh", ROOT / "tools/web.sh", tmp_path]
        done = subprocess.run(command, env=os.environ | {"CI": ci}, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == expected
        assert "out of reach" in done.stderr or not npm
        assert 'tests marked "axe" or "lighthouse" are skipped' in done.stderr.splitlines()[-1]


def test_npm_installs_what_is_locked_with_the_node_of_the_environment(tmp_path):
    (tmp_path / "bin").mkdir()
    put_tool(tmp_path / "bin", "npm", f'echo "$PWD $*" > {tmp_path}/log; node')
    put_tool(tmp_path / "bin", "node", f"echo its own >> {tmp_path}/log")
    subprocess.run(["sh", ROOT / "tools/web.sh", tmp_path], check=True, timeout=60)
    assert (tmp_path / "log").read_text() == f"{ROOT} ci --prefix tools/web --loglevel=error\nits own\n"


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_follow_githubs_schema(workflow):
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", workflow]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_start_with_no_more_than_reading(workflow):
    content = yaml.safe_load(workflow.read_text())
    assert content["permissions"] == {"contents": "read"}
    assert content["concurrency"]["group"]
    assert all("timeout-minutes" in job for job in content["jobs"].values())


@functools.cache
def options_of(command: str) -> frozenset[str]:
    """The options that `zoo COMMAND` takes; none such is a failure."""
    program = typer.main.get_command(app)
    assert command in program.commands, f"zoo has no command {command}"
    return frozenset(option for parameter in program.commands[command].params for option in parameter.opts)


def told_commands() -> list[tuple[str, str, tuple[str, ...]]]:
    """(file, command, its options) for every `zoo ...` in the instructions."""
    told = []
    for path in INSTRUCTIONS:
        for command, rest in re.findall(r"(?:`|bin/|\)/)zoo ([a-z]+)([^\n`]*)", path.read_text()):
            told.append((path.name, command, tuple(re.findall(r"--[a-z-]+", rest))))
    options = re.search(r"Options of `zoo build`:(.+?)\n\n", (ROOT / "README.md").read_text(), re.DOTALL)
    assert options is not None
    told.append(("README.md", "build", tuple(re.findall(r"--[a-z-]+", options[1]))))
    return told


@pytest.mark.parametrize(("file", "command", "options"), sorted(set(told_commands())))
def test_every_command_that_people_are_told_exists(file, command, options):
    missing = set(options) - options_of(command)
    assert not missing, f"{file}: zoo {command} has no {missing}"
