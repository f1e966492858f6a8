"""Where modules are and what they consist of, read without running a line of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gpwf.steps.callables.definitions import definition, read_names
from gpwf.steps.callables.imports import imported_names
from gpwf.steps.callables.modules import ModuleNotThereError, find_module
from gpwf.steps.callables.source import read_source

BOMB = "raise RuntimeError('this was run')\n"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder on the Python path."""
    monkeypatch.syspath_prepend(tmp_path)
    read_names.cache_clear()
    return tmp_path


def write(place: Path, **files: str) -> None:
    """Write modules: ``a__b="…"`` is ``a/b.py``."""
    for name, text in files.items():
        path = place / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def package(place: Path, name: str, **files: str) -> None:
    write(place / name, **{"init": "", **files})
    (place / name / "init.py").rename(place / name / "__init__.py")


# ---- imports -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import a.b, c as d", {("a.b", ""), ("c", "")}),
        ("from a import (\n    b,  # one\n    c as d,\n)\n", {("a", "b"), ("a", "c")}),
        ("from a import b, \\\n    c\n", {("a", "b"), ("a", "c")}),
        ("def f():\n    from . import x\n", {("top.sub", "x")}),
        ("from ..other import x", {("top.other", "x")}),
        ("from .x import *", {("top.sub.x", "*")}),
        ("if 1: import a\nx = 1; import b", {("a", ""), ("b", "")}),
        ("try:\r\n    import a\r\nexcept ImportError:\r\n    import b\r\n", {("a", ""), ("b", "")}),
        ("important = 1\nfromage = 2\nx = 'import a'\n", set()),
        ('"""Text\nfrom the beginning to the end\n"""', set()),
        ("from(a)", set()),
        ("import a;import b", {("a", ""), ("b", "")}),
        ("import \N{GREEK SMALL LETTER ALPHA}", {("\N{GREEK SMALL LETTER ALPHA}", "")}),
    ],
)
def test_imports_are_read_from_the_text(text: str, found: set[tuple[str, str]]) -> None:
    assert set(imported_names(text.encode(), "top.sub.mod", is_package=False)) == found


def test_relative_imports_of_a_package_count_from_itself() -> None:
    names = imported_names(b"from . import x\nfrom .y import z", "top.sub", is_package=True)
    assert list(names) == [("top.sub", "x"), ("top.sub.y", "z")]


def test_what_python_parses_is_what_is_found() -> None:
    """The fast reading finds every import of a real package that parsing whole files finds."""
    import ast

    import gpwf

    for path in Path(gpwf.__file__).parent.rglob("*.py"):
        text = path.read_bytes()
        wanted = set()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                wanted |= {(alias.name, "") for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                wanted |= {(node.module, alias.name) for alias in node.names}
        assert wanted <= set(imported_names(text, "m", is_package=False)), path


# ---- modules -------------------------------------------------------------------------------------


def test_modules_are_found_without_running_their_parents(place: Path) -> None:
    package(place, "fm_kit", init=BOMB, deep__inner=BOMB)
    found = find_module("fm_kit.deep.inner")
    assert found.source == place / "fm_kit" / "deep" / "inner.py"
    assert not found.is_package
    assert find_module("fm_kit").is_package
    assert not {"fm_kit", "fm_kit.deep"} & set(sys.modules)


def test_modules_that_are_not_there_say_what_is_near(place: Path) -> None:
    package(place, "fm_near", spectra="")
    with pytest.raises(ModuleNotThereError) as caught:
        find_module("fm_near.spectre.x")
    assert (caught.value.name, caught.value.near()) == ("fm_near.spectre", "fm_near.spectra")
    with pytest.raises(ModuleNotThereError) as caught:
        find_module("fm_nearr")
    assert (caught.value.name, caught.value.near()) == ("fm_nearr", "fm_near")
    with pytest.raises(ModuleNotThereError):
        find_module("fm_near.spectra.x")
    with pytest.raises(ModuleNotThereError):
        find_module("__main__")


def test_names_of_a_module(place: Path) -> None:
    package(
        place,
        "dn_kit",
        init="from .inner import first\nfrom .stars import *\n",
        inner="import functools\n@functools.cache\ndef first(a, b=1): ...\n",
        stars="if True:\n    def second(): ...\nthird = lambda x: x\n",
        late="def __getattr__(name): ...\n",
    )
    first = definition("dn_kit", "first")
    assert (first.exists, first.module, first.line) == (True, "dn_kit.inner", 3)
    assert first.decorators == ("cache",)
    assert definition("dn_kit", "second").module == "dn_kit.stars"
    assert definition("dn_kit.stars", "third").exists is True
    assert definition("dn_kit.stars", "fourth").exists is False
    assert definition("dn_kit", "fourth").exists is None  # perhaps one of the stars
    assert definition("dn_kit.late", "anything").exists is None
    assert definition("sys", "exit").exists is None  # written in C


# ---- source --------------------------------------------------------------------------------------


def test_the_source_is_what_a_module_imports_of_its_package(place: Path) -> None:
    package(
        place,
        "sc_kit",
        main="from . import one\ndef f():\n    import sc_kit.sub.two as two\n",
        one="import json, sc_beside, numpy\n",
        sub__two="from ..three import value\nimport sc_nowhere\n",
        three="from sc_kit import one\n",
        apart=BOMB,
    )
    write(place, sc_beside="import sc_kit.four\n")
    found = read_source("sc_kit.main")
    names = {"sc_kit", "sc_kit.main", "sc_kit.one", "sc_kit.sub.two", "sc_kit.three", "sc_beside"}
    assert set(found.files) == names
    assert found.distribution == ""
    assert found.packages == ("numpy",)


def test_the_digest_follows_the_content_and_not_the_place(place: Path, tmp_path: Path) -> None:
    package(place, "sd_kit", main="from sd_kit import one", one="a = 1\n", other="")
    before = read_source("sd_kit.main").digest
    write(place, sd_kit__other="b = 1\n")
    assert read_source("sd_kit.main").digest == before
    write(place, sd_kit__one="a = 2\n")
    changed = read_source("sd_kit.main").digest
    assert changed != before
    write(place, sd_kit__one="a = 1\n")
    assert read_source("sd_kit.main").digest == before
    (place / "sd_kit" / "__init__.py").write_text("c = 1\n")
    assert read_source("sd_kit.main").digest not in (before, changed)


def test_a_single_module_and_an_installed_package(place: Path) -> None:
    write(place, so_alone="import astropy.units\n")
    alone = read_source("so_alone")
    assert (set(alone.files), alone.packages) == ({"so_alone"}, ("astropy",))
    installed = read_source("astropy.stats")
    assert installed.distribution == "astropy"
    assert {"astropy.stats", "astropy", "astropy.stats.sigma_clipping"} <= set(installed.files)
    assert {"astropy", "numpy"} <= set(installed.packages)
    assert "pytest" not in installed.packages  # its files name it, a user need not have it


def test_a_folder_hides_a_distribution_of_the_same_name(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "iminuit", raising=False)  # as in a process of its own
    package(place, "iminuit", main="x = 1\n")
    assert read_source("iminuit.main").distribution == ""


def test_nothing_heavy_is_imported_to_read_a_source() -> None:
    code = (
        "import sys; from gpwf.steps.callables.checking import look_up; "
        "from gpwf.steps.callables.source import read_source; "
        "read_source('gammapy.estimators.utils'); "
        "print(look_up('gammapy.estimators.utils:find_peaks').signature is not None, "
        "{'gammapy', 'numpy', 'astropy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True set()"
