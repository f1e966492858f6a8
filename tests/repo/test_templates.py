"""What `gpwf init` writes is valid, and comes with the package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import gpwf
from gpwf.api.init_templates import TEMPLATES
from gpwf.api.scaffold import init

ROOT = Path(__file__).parents[2]
CASES = [
    pytest.param(name, target, id=f"{name}-{target}")
    for name, template in TEMPLATES.items()
    for target in template.targets
]


def test_the_templates_of_the_language_are_there() -> None:
    assert set(TEMPLATES) == {"crab-1d", "3d", "multi-target", "joint", "command", "simulate"}


@pytest.mark.parametrize(("template", "target"), CASES)
def test_a_new_workflow_is_valid(template: str, target: str, tmp_path: Path) -> None:
    """No error and no warning, whether or not the data are here."""
    workflow = init(template, tmp_path, targets=[target])[0].path
    assert [str(item) for item in gpwf.read(workflow).validate(data=False)] == []


@pytest.mark.parametrize("template", TEMPLATES)
def test_the_template_as_it_comes_is_valid(template: str, tmp_path: Path) -> None:
    workflow = init(template, tmp_path)[0].path
    assert [str(item) for item in gpwf.read(workflow).validate(data=False)] == []


@pytest.mark.parametrize("template", ["command", "simulate"])
def test_templates_without_data_find_everything(template: str, tmp_path: Path) -> None:
    workflow = init(template, tmp_path)[0].path
    assert [str(item) for item in gpwf.read(workflow).validate()] == []


@pytest.mark.science
@pytest.mark.parametrize(("template", "target"), CASES)
def test_a_new_workflow_finds_its_data(template: str, target: str, tmp_path: Path) -> None:
    workflow = init(template, tmp_path, targets=[target])[0].path
    assert [str(item) for item in gpwf.read(workflow).validate()] == []


def test_the_wheel_holds_the_templates(tmp_path: Path) -> None:
    """Every file of the folder is in the wheel that a user installs."""
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "gpwf", source / "gpwf", ignore=ignore)
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    done = subprocess.run(
        build, cwd=source, capture_output=True, text=True, check=False, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    templates = {
        path.relative_to(source).as_posix()
        for path in (source / "gpwf" / "api" / "templates").rglob("*")
        if path.is_file()
    }
    assert len(templates) > len(TEMPLATES)
    assert templates <= names
