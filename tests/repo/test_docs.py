"""The documents tell what is true: links lead somewhere, commands exist, examples run.

In a page's code blocks, ``sh`` and ``python`` run one after another in a folder of their own that
holds the repository's workflows; a block whose first line is ``# file: NAME`` becomes that file;
``console`` and anything else is only shown.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
    if not {"_build", "api", "cli", "steps"} & set(path.parts)
)
BIN = Path(sys.executable).parent

# Warnings are errors, except one that gammapy 2.1 gives while Python compiles it.
STRICT = ["-W", "error", "-W", "ignore:invalid escape sequence"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block: its language, its text, the line where it starts."""

    language: str
    text: str
    line: int

    @property
    def file(self) -> str | None:
        """Name of the file that the block is, if it is one."""
        first = self.text.partition("\n")[0]
        return first.removeprefix("# file: ") if first.startswith("# file: ") else None


def _blocks(page: Path) -> list[Block]:
    text = page.read_text()
    found = re.finditer(r"^( *)```(\w+)\n(.*?)^\1```$", text, flags=re.MULTILINE | re.DOTALL)
    return [
        Block(
            language=match[2],
            text=textwrap.dedent(match[3]),
            line=text.count("\n", 0, match.start()) + 1,
        )
        for match in found
    ]


def _environment(**more: str) -> dict[str, str]:
    return os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", **more}


def _run(argv: list[str], folder: Path, *, place: str, **more: str) -> str:
    done = subprocess.run(
        argv, cwd=folder, env=_environment(**more), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{place}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _write(block: Block, folder: Path) -> None:
    assert block.file is not None
    path = folder / block.file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.text)


def _follow(page: str, folder: Path, **more: str) -> None:
    """Do what a page says."""
    before = ""
    for block in _blocks(ROOT / page):
        place = f"{page}:{block.line}"
        if block.file is not None:
            _write(block, folder)
        elif block.language == "sh":
            _run(["sh", "-euc", block.text], folder, place=place, **more)
        elif block.language == "python":  # later blocks know what earlier ones made
            before += block.text
            _run([sys.executable, *STRICT, "-c", before], folder, place=place, **more)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the workflows and nothing else."""
    ignore = shutil.ignore_patterns(".gpwf", "runs")
    shutil.copytree(ROOT / "workflows", tmp_path / "workflows", ignore=ignore)
    return tmp_path


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a store that the pages share, so that the quickstart is computed once."""
    return str(tmp_path_factory.mktemp("store"))


@pytest.mark.gammapy
@pytest.mark.xdist_group("docs")
@pytest.mark.parametrize(
    "page",
    [
        "docs/tutorial/first-run.md",
        "docs/howto/run-again.md",
        "docs/howto/watch.md",
        "docs/howto/read-provenance.md",
        "docs/howto/check-record.md",
        "docs/howto/ingest.md",
        "docs/howto/archive.md",
        "docs/howto/editor.md",
        "docs/howto/command.md",
        "docs/howto/notebook.md",
        "docs/howto/one-step.md",
        "docs/howto/python.md",
        "docs/howto/controls.md",
    ],
)
def test_page_works(page: str, folder: Path, store: str) -> None:
    """Every command and every line of Python on the page runs."""
    _follow(page, folder, GPWF_STORE=store)


@pytest.mark.science
@pytest.mark.gammapy
@pytest.mark.parametrize(
    "page",
    [
        "docs/tutorial/crab.md",
        "docs/howto/own-data.md",
        "docs/howto/maps.md",
        "docs/howto/detection.md",
        "docs/howto/models.md",
        "docs/howto/errors-and-limits.md",
        "docs/howto/simulate-cta.md",
    ],
)
def test_page_works_on_real_data(page: str, folder: Path) -> None:
    """The same for the pages that need gammapy's data."""
    _follow(page, folder)


@pytest.mark.parametrize("page", ["docs/reference/language.md", "docs/howto/many-targets.md"])
def test_page_is_valid(page: str, folder: Path) -> None:
    """The workflows of a page are valid, whether or not their data are there."""
    _follow(page, folder, GAMMAPY_DATA="/nowhere")


@pytest.mark.gammapy
def test_own_step_in_a_package(folder: Path) -> None:
    """The package that the page describes installs, and its step runs."""
    page = "docs/howto/own-step.md"
    for block in _blocks(ROOT / page):
        if block.file is not None:
            _write(block, folder)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", "site"]
    _run([*install, "--no-build-isolation", "./my-steps"], folder, place=page)
    _follow(page, folder, PYTHONPATH=str(folder / "site"))


def test_step_of_contributing(tmp_path: Path) -> None:
    """The step file in CONTRIBUTING, put where it says, is a step type."""
    shutil.copytree(ROOT / "gpwf", tmp_path / "gpwf")
    (block,) = [item for item in _blocks(ROOT / "CONTRIBUTING.md") if item.file]
    _write(block, tmp_path)
    show = "from gpwf.cli import main; main()"
    argv = [sys.executable, "-c", show, "steps", "slice-energy"]
    shown = _run(argv, tmp_path, place="CONTRIBUTING.md")
    assert "edges snap" in shown


def _links(page: Path) -> list[str]:
    """Return the targets of a page's relative links, without those to generated pages."""
    text = re.sub(r"^( *)```.*?^\1```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text)
    generated = re.compile(r"^(.*reference/)?(steps|cli|api)/")
    return [target for target in targets if not generated.search(target)]


def test_links_lead_somewhere() -> None:
    """Every relative link is to a file of the repository or to a page that is generated."""
    assert not [
        f"{page.relative_to(ROOT)}: {target}"
        for page in PAGES
        for target in _links(page)
        if not (page.parent / target).exists()
    ]


def _commands() -> set[str]:
    import click

    from gpwf.cli.main import cli

    names = set()
    context = click.Context(cli)
    for name in cli.list_commands(context):
        names.add(name)
        inner = cli.get_command(context, name)
        if isinstance(inner, click.Group):
            names.update(f"{name} {sub}" for sub in inner.list_commands(click.Context(inner)))
    return names


def test_commands_exist() -> None:
    """`gpwf …` in a text is a command of gpwf."""
    known = _commands() | {"--help", "--version"}
    unknown = [
        f"{page.name}: {found}"
        for page in PAGES
        for found in re.findall(r"[`$/]\s?gpwf ([a-z-]+(?: (?:show|export))?)", page.read_text())
        if found not in known
    ]
    assert not unknown


def test_readme_has_the_two_commands() -> None:
    """The commands that `.ci/run` takes from the README are there, one line each."""
    text = (ROOT / "README.md").read_text()
    for name in ("quickstart", "test"):
        match = re.search(
            rf"^<!-- command: {name} -->\n```sh\n(.+)\n```$", text, flags=re.MULTILINE
        )
        assert match is not None, name
        for word in re.findall(r"[\w./-]+\.(?:yaml|txt)", match[1]):
            assert (ROOT / word).is_file()


def test_changelog_has_this_version() -> None:
    """The changelog has an entry for what is in the repository."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = (ROOT / "CHANGELOG.md").read_text()
    headings = re.findall(r"^## \[(.+?)\]", text, flags=re.MULTILINE)
    assert headings
    assert {"Unreleased", project["version"]} & set(headings)
    first = text.split("\n## ")[1]
    assert re.search(r"^- \S", first, flags=re.MULTILINE)
