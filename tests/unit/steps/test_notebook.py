"""The step notebook before the run: settings, names, what the text of a notebook tells."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from notebooks_made import code, text, write_notebook

from gpwf.core.catalog import SettingProblem
from gpwf.errors import StepError, StepInputError
from gpwf.steps.notebooks import kernels
from gpwf.steps.notebooks.cleaning import clean_text
from gpwf.steps.notebooks.reading import read_notebook
from gpwf.steps.registry import load_catalog
from gpwf.steps.settle import restore, settle

STEP = load_catalog().step("notebook")


def problems(base: Path, **config: Any) -> list[SettingProblem]:
    settled = settle(STEP, {"notebook": "n.ipynb", **config}, base=base)
    return list(settled.problems)


def settings_of(base: Path, **config: Any) -> Any:
    settled = settle(STEP, {"notebook": "n.ipynb", **config}, base=base)
    assert not settled.problems, settled.problems
    return restore(STEP, settled.settings)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a notebook that has two parameters."""
    cells = [
        text("# Night one"),
        code("n = 1\nlabel: str = 'x'\nflux_points = None\n%time x", "parameters"),
        code("import astropy.units as u\nfrom matplotlib import pyplot; import os.path"),
    ]
    write_notebook(tmp_path / "n.ipynb", cells)
    return tmp_path


def test_ports(folder: Path) -> None:
    settings = settings_of(folder, outputs={"table": "out/table.ecsv"})
    assert [(port.name, port.kind) for port in STEP.outputs(settings)] == [
        ("notebook", "file"),
        ("html", "file"),
        ("table", "file"),
    ]
    assert [port.name for port in STEP.inputs(settings)] == ["*"]
    assert not load_catalog().step("notebook").replaces


def test_what_enters_the_key(folder: Path) -> None:
    """The notebook by its content, and the versions of what its cells import."""
    (folder / "data").mkdir()
    (folder / "data" / "a.txt").write_text("")
    settings = settings_of(folder, inputs={"n": "data"})
    files = STEP.external_files(settings)
    assert [(item.setting, item.name) for item in files] == [
        ("notebook", "n.ipynb"),
        ("inputs.n", "a.txt"),
    ]
    packages = STEP.distributions(settings)
    assert {"gammapy", "astropy", "matplotlib", "papermill", "nbconvert", "ipykernel"} <= {
        *packages
    }
    assert len(set(packages)) == len(packages)


def test_a_notebook_that_is_not_there_is_told_with_the_files(tmp_path: Path) -> None:
    assert not problems(tmp_path)
    with pytest.raises(StepInputError, match="notebook: no such file"):
        STEP.external_files(settings_of(tmp_path))


@pytest.mark.parametrize(
    ("config", "path", "words"),
    [
        ({"parameters": {"lable": 1}}, ("parameters", "lable"), "has no parameter 'lable'"),
        ({"inputs": {"events": "e"}}, ("inputs", "events"), "has no parameter 'events'"),
        ({"parameters": {"a-b": 1}}, ("parameters", "a-b"), "no name of a variable"),
        ({"parameters": {"if": 1}}, ("parameters", "if"), "no name of a variable"),
        ({"parameters": {"n": 1}, "inputs": {"n": "x"}}, ("inputs", "n"), "`parameters` as well"),
        ({"outputs": {"html": "a.html"}}, ("outputs", "html"), "product of every notebook"),
        ({"outputs": {"a": "N.ipynb"}}, ("outputs", "a"), "the file of the output 'notebook'"),
        ({"outputs": {"a": "../a"}}, ("outputs", "a"), "leaves the folder"),
        ({"environment": ["A=1"]}, ("environment", 0), "no name of an environment variable"),
    ],
)
def test_what_is_wrong_is_told_before_the_run(
    folder: Path, config: Any, path: tuple[Any, ...], words: str
) -> None:
    found = problems(folder, **config)
    assert (path, True) in [(item.path, words in item.message) for item in found], found


def test_a_misspelt_parameter_has_a_hint(folder: Path) -> None:
    (found,) = problems(folder, parameters={"lable": "a"})
    assert found.hint == "did you mean 'label'?"
    (found,) = problems(folder, parameters={"q": "a"})
    assert found.hint == "its cell 'parameters' sets: n, label, flux_points"


def test_without_a_tagged_cell_any_parameter_will_do(tmp_path: Path) -> None:
    write_notebook(tmp_path / "n.ipynb", [code("print(n)")])
    assert not problems(tmp_path, parameters={"n": 1, "m": 2})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "no notebook"),
        ("{", "no notebook"),
        ("[]", "it has no list of cells"),
        ('{"worksheets": []}', "nbformat 3"),
        ('{"cells": [1]}', "a cell is no mapping"),
        ("[" * 100_000, "no notebook"),
        ("\xff\xfe", "no notebook"),
    ],
)
def test_what_is_no_notebook(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "n.ipynb").write_text(content, encoding="latin-1")
    (found,) = problems(tmp_path)
    assert words in found.message
    assert found.path == ("notebook",)
    assert found.hint


@pytest.mark.parametrize("cells", [[{}], [{"source": None, "metadata": 3, "cell_type": "code"}]])
def test_torn_cells_are_read(tmp_path: Path, cells: Any) -> None:
    assert read_notebook(write_notebook(tmp_path / "n.ipynb", cells)).parameters is None


def test_another_language_needs_a_kernel(tmp_path: Path) -> None:
    write_notebook(tmp_path / "n.ipynb", [code("n <- 1", "parameters")], language="R")
    (found,) = problems(tmp_path)
    assert found.message == "the notebook is written in r, not in Python"
    assert not problems(tmp_path, kernel="ir", parameters={"n": 1})


def test_without_papermill_it_says_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = metadata.version

    def without(name: str) -> str:
        if name in ("papermill", "ipykernel"):
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", without)
    (found,) = problems(folder)
    assert found.message == "a notebook needs papermill, ipykernel, which are not installed"
    assert found.hint == "pip install 'gpwf[notebook]'"


def test_kernels_are_found_where_jupyter_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JUPYTER_PATH", raising=False)
    monkeypatch.delenv("JUPYTER_DATA_DIR", raising=False)
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    place = tmp_path / "kernels" / "gammapy-2" / "kernel.json"
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps({"argv": ["python"], "language": "Python"}))
    assert kernels.find_kernel("gammapy-2") == place
    assert kernels.kernel_language(place) == "python"
    assert "gammapy-2" in kernels.kernel_names()
    assert kernels.find_kernel("gammapy-3") is None
    write_notebook(tmp_path / "n.ipynb", [])
    files = STEP.external_files(settings_of(tmp_path, kernel="gammapy-2"))
    assert [item.name for item in files] == ["n.ipynb", "kernel.json"]


def test_a_kernel_that_is_not_there(tmp_path: Path) -> None:
    from gpwf.steps.base import StepContext

    write_notebook(tmp_path / "n.ipynb", [])
    context = StepContext(step="n", task_id="n", work_dir=tmp_path)
    with pytest.raises(StepError, match="no Jupyter kernel 'no-such'") as caught:
        STEP.run(settings_of(tmp_path, kernel="no-such"), {}, context)
    assert caught.value.hint
    assert "python3" in caught.value.hint


@pytest.mark.parametrize(
    ("given", "clean"),
    [
        ("<Line2D object at 0x7f3a5c0d1e10>", "<Line2D object at 0x0>"),
        ("value 0x7f3a5c0d1e10", "value 0x7f3a5c0d1e10"),
        ("/tmp/ipykernel_4711/2381.py:3: Warning", "ipykernel/2381.py:3: Warning"),
        ("/run/1/scratch/made/a.txt", "SCRATCH/made/a.txt"),
        (
            "\r 10%|1 | 1/10 [00:00<00:02, 4it/s]\r100%|9| 10/10 [00:01<00:00, 9it/s]",
            "100%|9| 10/10",
        ),
        ("1 < 2 [3]", "1 < 2 [3]"),
    ],
)
def test_what_differs_by_chance_is_taken_out(given: str, clean: str) -> None:
    assert clean_text(given, "/run/1/scratch") == clean
