"""The step python before the run: what is told of a function without running it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from gpwf.core.catalog import SettingProblem
from gpwf.errors import StepInputError
from gpwf.steps.callables.kinds import KINDS
from gpwf.steps.registry import Catalog, load_catalog
from gpwf.store import formats

MODULE = '''
"""Runs nothing that a check could see."""
import functools
from pt_kit.elsewhere import borrowed
from numpy import sin

raise RuntimeError("this was run")

def rows(datasets, models=None, *, threshold=5.0, context=None): ...
def draw(count, rng): ...
def legacy(count, seed=None): ...
def anything(table, **others): ...
def by_position(table, /, x=1): ...
def read(catalogue): ...
@functools.cache
def cached(x): ...
@unknown.decorator
def odd(x): ...
class Maker:
    def __init__(self, size): ...
number = 3
'''


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Catalog:
    """Return a catalogue beside a package on the Python path."""
    folder = tmp_path / "pt_kit"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "spectra.py").write_text(MODULE)
    (folder / "elsewhere.py").write_text("def borrowed(x): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    return load_catalog()


def settle(catalog: Catalog, name: str = "rows", **config: Any) -> Any:
    target = name if ":" in name else f"pt_kit.spectra:{name}"
    given = {"callable": target, "outputs": {"table": "table"}, **config}
    return catalog.settle("python", given, base=Path("/nowhere"))


def problems(catalog: Catalog, name: str = "rows", **config: Any) -> list[SettingProblem]:
    return list(settle(catalog, name, **config).problems)


def told(found: list[SettingProblem]) -> list[tuple[str, str]]:
    return [(item.code, ".".join(str(part) for part in item.path)) for item in found]


DATASETS = {"inputs": {"datasets": "datasets"}}


def test_a_function_that_fits(catalog: Catalog) -> None:
    settled = settle(catalog, **DATASETS, arguments={"threshold": 3}, files={})
    assert not settled.problems
    assert len(settled.settings["source_digest"]) == 64
    assert settled.types["source_digest"] == "source digest"
    ports = catalog.inputs("python", settled.settings)
    assert [(port.name, port.kind, port.optional, port.multiple) for port in ports] == [
        ("datasets", "datasets", False, False)
    ]
    assert [(p.name, p.kind) for p in catalog.outputs("python", settled.settings)] == [
        ("table", "table")
    ]
    assert "pt_kit" not in sys.modules


def test_an_input_with_a_default_may_stay_open_and_one_in_brackets_takes_several(
    catalog: Catalog,
) -> None:
    settled = settle(catalog, inputs={"datasets": ["datasets"], "models": "models"})
    ports = catalog.inputs("python", settled.settings)
    assert [(port.name, port.optional, port.multiple) for port in ports] == [
        ("datasets", False, True),
        ("models", True, False),
    ]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("pt_kit.spectra", "a module, a colon"),
        ("pt_kit.spectra.rows", "did you mean 'pt_kit.spectra:rows'?"),
        ("scripts/spectra.py:rows", "not a file"),
        ("spectra.py:rows", "not a file"),
        ("pt_kit.spectra:rows()", "a module, a colon"),
        ("pt kit:rows", "a module, a colon"),
        (":rows", "a module, a colon"),
        ("a." * 3000 + "b:rows", "a module, a colon"),
        ("\0:rows", "a module, a colon"),
        ("..pt_kit.spectra:rows", "a module, a colon"),
    ],
)
def test_a_name_that_is_none(catalog: Catalog, name: str, words: str) -> None:
    if name == "pt_kit.spectra":
        words = "did you mean 'pt_kit:spectra'?"
    found = catalog.settle("python", {"callable": name, "outputs": {"t": "table"}}, base=Path("/"))
    assert told(list(found.problems)) == [("GP304", "callable")]
    assert words in str(found.problems[0].hint)


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("pt_kti.spectra:rows", "no module 'pt_kti'", "did you mean 'pt_kit'?"),
        ("qqqzzz:rows", "no module 'qqqzzz'", "PYTHONPATH"),
        ("pt_kit.spektra:rows", "no module 'pt_kit.spektra'", "did you mean 'pt_kit.spectra'?"),
        ("pt_kit.spectra.deeper:rows", "no module", "has no module of this name"),
        ("pt_kit.spectra:row", "has no function 'row'", "did you mean 'rows'?"),
        ("pt_kit.spectra:zzz", "has no function 'zzz'", "it has Maker, anything"),
        ("__main__:rows", "no module '__main__'", ""),
    ],
)
def test_a_function_that_is_not_there(catalog: Catalog, name: str, message: str, hint: str) -> None:
    (found,) = problems(catalog, name)
    assert (found.code, found.path) == ("GP307", ("callable",))
    assert message in found.message
    assert hint in str(found.hint)


@pytest.mark.parametrize(
    ("name", "config", "found"),
    [
        ("rows", {}, [("GP305", "arguments.datasets")]),
        ("rows", DATASETS | {"arguments": {"treshold": 1}}, [("GP301", "arguments.treshold")]),
        ("rows", {"inputs": {"dataset": "datasets"}}, None),
        ("rows", DATASETS | {"arguments": {"datasets": 1}}, [("GP306", "arguments.datasets")]),
        ("rows", DATASETS | {"arguments": {"context": 1}}, [("GP306", "arguments.context")]),
        ("rows", DATASETS | {"seed": 1}, [("GP306", "seed")]),
        ("draw", {"arguments": {"count": 1}}, [("GP305", "seed")]),
        ("draw", {"arguments": {"count": 1}, "seed": 1}, []),
        ("draw", {"arguments": {"count": 1, "rng": 1}}, [("GP306", "arguments.rng")]),
        ("legacy", {"arguments": {"count": 1, "seed": 1}}, [("GP306", "arguments.seed")]),
        ("legacy", {"arguments": {"count": 1}, "seed": 0}, []),
        ("legacy", {"arguments": {"count": 1}, "seed": -1}, [("GP304", "seed")]),
        ("anything", {"inputs": {"table": "table"}, "arguments": {"any": 1}}, []),
        ("anything", {"arguments": {"any": 1}}, [("GP305", "arguments.table")]),
        ("by_position", {"inputs": {"table": "table"}}, [("GP306", "inputs.table")]),
        ("by_position", {}, [("GP306", "callable")]),
        ("cached", {}, [("GP305", "arguments.x")]),
        ("odd", {"arguments": {"y": 1}}, []),  # the decorator may change what it takes
        ("borrowed", {"arguments": {"y": 1}}, [("GP301", "arguments.y"), ("GP305", "arguments.x")]),
        ("sin", {"arguments": {"y": 1}}, []),  # written in C
        ("number", {}, []),  # the run will say that it is no function
        ("Maker", {}, [("GP305", "arguments.size")]),
        ("read", {"files": {"catalogue": "c.txt"}}, []),
        ("read", {"files": {"catalog": "c.txt"}}, None),
        ("anything", {"arguments": {"table": 1, "a-b": 1}}, [("GP304", "arguments.a-b")]),
        ("anything", {"arguments": {"table": 1, "class": 1}}, [("GP304", "arguments.class")]),
    ],
)
def test_arguments_are_those_of_the_function(
    catalog: Catalog, name: str, config: dict[str, Any], found: list[tuple[str, str]] | None
) -> None:
    got = problems(catalog, name, **config)
    if found is None:  # misspelt: both what is there and what is missing
        assert [item.code for item in got] == ["GP301", "GP305"]
        assert "did you mean" in str(got[0].hint)
        return
    assert told(got) == found


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({"callable": 3}, ("GP302", "callable")),
        ({"callable": ["pt_kit.spectra:rows"]}, ("GP302", "callable")),
        ({"callable": None}, ("GP302", "callable")),
        ({"inputs": ["table"]}, ("GP302", "inputs")),
        ({"inputs": {"table": {}}}, ("GP302", "inputs.table")),
        ({"outputs": "table"}, ("GP302", "outputs")),
        ({"arguments": [1]}, ("GP302", "arguments")),
        ({"files": {"table": 3}}, ("GP302", "files.table")),
        ({"seed": "x"}, ("GP302", "seed")),
    ],
)
def test_values_of_the_wrong_type(
    catalog: Catalog, config: dict[str, Any], found: tuple[str, str]
) -> None:
    given = {"callable": "pt_kit.spectra:anything", "outputs": {"t": "table"}, **config}
    settled = catalog.settle("python", given, base=Path("/"))
    assert told(list(settled.problems)) == [found]


def test_a_module_that_is_no_python(catalog: Catalog, tmp_path: Path) -> None:
    (tmp_path / "pt_kit" / "broken.py").write_text("x = 1\ndef g(: ...\n")
    (found,) = problems(catalog, "pt_kit.broken:g")
    assert (found.code, found.path) == ("GP307", ("callable",))
    assert f"({tmp_path / 'pt_kit' / 'broken.py'}:2)" in found.message
    (tmp_path / "pt_kit" / "empty.py").write_text("")
    (found,) = problems(catalog, "pt_kit.empty:g")
    assert found.message == "'pt_kit.empty' has no function 'g'"


@pytest.mark.parametrize(
    ("config", "found", "hint"),
    [
        ({"outputs": {}}, ("GP304", "outputs"), "None"),
        ({"outputs": {"t": "tabel"}}, ("GP304", "outputs.t"), "did you mean 'table'?"),
        ({"outputs": {"t": "flux_points"}}, ("GP304", "outputs.t"), "'flux-points'?"),
        ({"outputs": {"t": "zzz"}}, ("GP304", "outputs.t"), "kinds: observations"),
        ({"outputs": {"t": "any"}}, ("GP304", "outputs.t"), "None"),
        ({"outputs": {"1t": "table"}}, ("GP304", "outputs.1t"), "None"),
        ({"outputs": {"t": ["table"]}}, ("GP302", "outputs.t"), "None"),
        ({"inputs": {"table": ["table", "table"]}}, ("GP302", "inputs.table"), "None"),
        ({"inputs": {"table": "tables"}}, ("GP304", "inputs.table"), "did you mean 'table'?"),
        ({"source_digest": "abc"}, ("GP304", "source_digest"), "None"),
        ({"source_digest": "0" * 64}, ("GP306", "source_digest"), "leave `source_digest` out"),
        ({"settings": {}}, ("GP301", "settings"), "known settings"),
    ],
)
def test_what_else_cannot_work(
    catalog: Catalog, config: dict[str, Any], found: tuple[str, str], hint: str
) -> None:
    got = problems(catalog, "anything", **{"inputs": {"table": "table"}, **config})
    assert told(got) == [found]
    assert hint in str(got[0].hint)


def test_the_kinds_are_those_of_the_store() -> None:
    assert set(KINDS) == set(formats.kinds())


def test_a_written_digest_is_kept_and_must_be_the_same(catalog: Catalog) -> None:
    first = settle(catalog, **DATASETS).settings["source_digest"]
    again = settle(catalog, **DATASETS, source_digest=first)
    assert not again.problems
    assert again.settings["source_digest"] == first


def test_another_catalogue_looks_at_the_code_again(catalog: Catalog, tmp_path: Path) -> None:
    first = settle(catalog, **DATASETS).settings["source_digest"]
    path = tmp_path / "pt_kit" / "spectra.py"
    path.write_text(path.read_text().replace("models=None", "model=None"))
    assert settle(catalog, **DATASETS).settings["source_digest"] == first
    later = load_catalog()
    assert settle(later, **DATASETS).settings["source_digest"] != first
    assert told(problems(later, **DATASETS, arguments={"models": 1})) == [
        ("GP301", "arguments.models")
    ]


def test_packages_and_record_follow_the_function(catalog: Catalog) -> None:
    own = settle(catalog, **DATASETS).settings
    assert "gammapy" in catalog.packages("python", own)
    found = catalog.implementation("python", own)
    assert found["callable"] == "pt_kit.spectra:rows"
    assert len(found["callableSource"]) == 64
    assert "callablePackage" not in found
    other = settle(
        catalog, "astropy.stats:sigma_clip", arguments={"data": []}, outputs={"t": "table"}
    ).settings
    assert "pyerfa" in catalog.packages("python", other)
    assert catalog.implementation("python", other)["callablePackage"] == "astropy"
    assert "callable" not in catalog.implementation("python")
    assert set(catalog.implementation("fit", {})) == set(catalog.implementation("fit"))


def test_files_and_folders_enter_by_content(catalog: Catalog, tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "a.txt").write_text("a")
    config = {"callable": "pt_kit.spectra:read", "outputs": {"t": "table"}}
    settled = catalog.settle(
        "python", {**config, "files": {"catalogue": "lists"}}, base=tmp_path
    ).settings
    (file,) = catalog.external_files("python", settled)
    assert (file.setting, file.name) == ("files.catalogue", "a.txt")
    gone = catalog.settle("python", {**config, "files": {"catalogue": "b"}}, base=tmp_path).settings
    with pytest.raises(StepInputError, match="no such file"):
        catalog.external_files("python", gone)
    assert catalog.files_key("python", settled, {}) != catalog.files_key("python", gone, {})
