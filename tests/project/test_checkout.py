"""What holds for the checkout as a whole: no path of one machine, one import name, a changelog that keeps up, a whole wheel."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile

import yaml

import microzoo
from microzoo.spec.models import FamilySpec

# A folder of somebody's machine: /home/<name>, /Users/<name>, /root/..., but not the end of a longer path or of an address.
PERSONAL_PATH = re.compile(r"(?<![\w.~$}/-])/(?:home|Users)/\w+|(?<![\w.~$}/-])/(?:root|work)/\w+")


def test_no_file_holds_a_path_of_somebodys_machine(source_files):
    found = []
    for path in source_files:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [
            f"{path}:{number}: {line.strip()[:100]}"
            for number, line in enumerate(text.splitlines(), 1)
            if PERSONAL_PATH.search(line)
        ]
    assert not found, "\n".join(found)


def test_the_path_rule_finds_what_it_should():
    for bad in ("/home/" + "ada/x", "see /root/" + "x", "'/Users/" + "ada'", "(/work/" + "main)"):
        assert PERSONAL_PATH.search(bad), bad
    for good in ("build/work/history", "https://example.org/home/page", "$HOME/x", "~/work/x", "--work/x"):
        assert not PERSONAL_PATH.search(good), good


def test_the_package_is_imported_as_microzoo_only(source_files):
    for path in source_files:
        if path.suffix != ".py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
            assert not any(name.split(".")[0] == "generator" for name in names), f"{path}:{node.lineno}: import it as microzoo"


def test_changelog_starts_with_this_version(root):
    first = re.search(r"^## (\S+?),? ", (root / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert first is not None
    assert first[1] == microzoo.__version__


def test_mkdocs_never_writes_into_the_sources(root):
    # MkDocs' defaults are docs/ and site/, and it empties the second one: here that would be the site's sources.
    # Read as nodes, since MkDocs' own tags (!ENV, !!python/name) have no value of their own.
    config = yaml.compose((root / "mkdocs.yml").read_text(), yaml.SafeLoader)
    plain = {key.value: value.value for key, value in config.value if isinstance(value, yaml.ScalarNode)}
    assert plain["docs_dir"] == "site/pages"
    assert plain["site_dir"] == "build/site"


def test_links_between_the_top_level_pages_lead_somewhere(root):
    for page in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", (root / page).read_text()):
            assert (root / target).exists(), f"{page}: {target} is not there"


def test_the_readmes_spec_is_valid_and_three_lines(root):
    (block,) = re.findall(r"```toml\n(.*?)```", (root / "README.md").read_text(), re.DOTALL)
    lines = [line for line in block.splitlines() if not line.startswith("#")]
    assert len(lines) == 3
    spec = FamilySpec.model_validate(tomllib.loads(block))
    assert (root / "specs/datasets" / f"{spec.dataset}.toml").is_file()
    assert all((root / "specs/targets" / f"{target}.toml").is_file() for target in spec.targets)


def test_the_wheel_holds_the_whole_package(root, tmp_path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path], cwd=root, check=True, capture_output=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name == f"microzoo-{microzoo.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith("microzoo/")}
    package = root / "generator/microzoo"
    expected = {
        f"microzoo/{path.relative_to(package).as_posix()}"
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed == expected
    assert {"microzoo/py.typed"} <= packed
    for suffix in (".c", ".h"):
        assert any(name.endswith(suffix) for name in packed), f"no {suffix} file: the runtime that every export ships is missing"
