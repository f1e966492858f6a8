"""The catalogue: built-in steps, plug-ins, and what it must never import."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from gpwf.errors import GpwfError, StepInputError, UsageError
from gpwf.steps import registry
from gpwf.steps.base import Step
from gpwf.steps.registry import Catalog, load_catalog
from gpwf.steps.settings import Field, InputPath, Section, StepSettings


class Files(Section):
    """Files below a section."""

    second: InputPath = Field(description="x")


class FileSettings(StepSettings):
    """Files at every depth."""

    first: InputPath = Field(description="x")
    files: tuple[Files, ...] = Field((), description="x")


class Reader(Step):
    """Reads files.

    Second paragraph.
    """

    tag = "reader"
    version = "3"
    title = "Read"
    group = "data"
    Settings = FileSettings

    def run(self, settings: Any, inputs: Any, ctx: Any) -> dict[str, Any]:
        return {}


class NotAStep:
    """Not a step."""


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> list[metadata.EntryPoint]:
    """Pretend that plug-ins are installed."""
    points: list[metadata.EntryPoint] = []

    def entry_points(*, group: str) -> Sequence[metadata.EntryPoint]:
        assert group == registry.ENTRY_POINTS
        return points

    monkeypatch.setattr(registry.metadata, "entry_points", entry_points)
    monkeypatch.setitem(sys.modules, "plugin_of_a_test", sys.modules[__name__])
    return points


def point(name: str, value: str) -> metadata.EntryPoint:
    return metadata.EntryPoint(name=name, value=value, group=registry.ENTRY_POINTS)


@pytest.fixture
def catalog(plugins: list[metadata.EntryPoint]) -> Catalog:
    plugins.append(point("reader", "plugin_of_a_test:Reader"))
    return load_catalog()


def test_a_plugin_brings_a_step(catalog: Catalog) -> None:
    assert "reader" in catalog.tags()
    assert "observations" in catalog.tags()
    assert catalog.tags() == sorted(catalog.tags())
    assert (catalog.version("reader"), catalog.title("reader")) == ("3", "Read")
    assert catalog.help("reader") == "Reads files.\n\nSecond paragraph."
    implementation = catalog.implementation("reader")
    assert implementation["class"] == "Reader"
    assert implementation["package"] == "an unknown distribution"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("no_such_module_of_a_test:Step", "cannot be loaded from no_such_module_of_a_test:Step"),
        ("plugin_of_a_test:Missing", "cannot be loaded"),
        ("plugin_of_a_test:NotAStep", "is no Step class"),
        ("plugin_of_a_test:Reader", "has the tag 'reader', not 'broken'"),
    ],
)
def test_a_broken_plugin_is_named(
    plugins: list[metadata.EntryPoint], value: str, message: str
) -> None:
    plugins.append(point("broken", value))
    catalog = load_catalog()
    assert "broken" in catalog.tags()
    with pytest.raises(GpwfError, match="broken") as caught:
        catalog.step("broken")
    assert message in caught.value.message


def test_a_tag_has_one_step(plugins: list[metadata.EntryPoint]) -> None:
    plugins.append(point("fit", "plugin_of_a_test:Reader"))
    with pytest.raises(GpwfError, match="'fit' is in both gpwf and"):
        load_catalog()


def test_an_unknown_tag_has_a_suggestion(catalog: Catalog) -> None:
    with pytest.raises(UsageError) as caught:
        catalog.step("observatons")
    assert caught.value.hint == "did you mean 'observations'?"


def test_settings_that_are_files_are_external_files(catalog: Catalog, tmp_path: Path) -> None:
    for name in ("one.txt", "two.txt"):
        (tmp_path / name).write_text("x")
    config = {"first": "one.txt", "files": [{"second": "two.txt"}]}
    settled = catalog.settle("reader", config, base=tmp_path)
    files = catalog.external_files("reader", settled.settings)
    assert [(item.setting, item.name) for item in files] == [
        ("first", "one.txt"),
        ("files.0.second", "two.txt"),
    ]
    assert catalog.index_files("reader", settled.settings) == files


@pytest.mark.parametrize(
    ("path", "message", "hint"),
    [
        ("gone/one.txt", "first: no such file: {base}/gone/one.txt", "as far as {base}"),
        (".", "first: {base} is not a file", "give the path of a file"),
        ("$NOWHERE/x", "the environment variable NOWHERE is not set", "export NOWHERE="),
    ],
)
def test_a_file_that_is_not_there(
    catalog: Catalog,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    message: str,
    hint: str,
) -> None:
    monkeypatch.delenv("NOWHERE", raising=False)
    settled = catalog.settle("reader", {"first": path}, base=tmp_path)
    assert settled.problems == ()
    with pytest.raises(StepInputError) as caught:
        catalog.external_files("reader", settled.settings)
    assert message.format(base=tmp_path) in caught.value.message
    assert hint.format(base=tmp_path) in (caught.value.hint or "")
    assert caught.value.setting == "first"


def test_the_ports_of_observations_depend_on_its_settings(catalog: Catalog) -> None:
    base = Path("/")
    free = catalog.settle("observations", {}, base=base).settings
    bound = catalog.settle("observations", {"datastore": "x"}, base=base).settings
    assert [port.name for port in catalog.inputs("observations", free)] == ["datastore"]
    assert list(catalog.inputs("observations", bound)) == []


def test_checks_of_observations(catalog: Catalog) -> None:
    config = {"obs_ids": [1, 2, 1], "obs_file": "x"}
    problems = catalog.settle("observations", config, base=Path("/")).problems
    assert [(item.path, item.code) for item in problems] == [
        (("obs_file",), "GP306"),
        (("obs_ids", 2), "GP306"),
    ]


def test_checks_of_simulate_observations(catalog: Catalog) -> None:
    target = {"lon": "1 deg", "lat": "1 deg"}
    config = {
        "models": {"component": []},
        "target": target,
        "pointings": [target],
        "irfs": {"energy": {"min": "0.1 TeV", "max": "50 TeV", "nbins": 5}},
    }
    problems = catalog.settle("simulate-observations", config, base=Path("/")).problems
    assert [(item.path, item.code) for item in problems] == [
        (("pointings",), "GP306"),
        (("models", "components"), "GP304"),
        (("irfs", "energy_true"), "GP306"),
    ]
    missing = catalog.settle("simulate-observations", {"models": [1]}, base=Path("/")).problems
    assert [(item.path, item.code) for item in missing] == [
        (("target",), "GP305"),
        (("models", 0), "GP304"),
    ]


def test_the_catalogue_imports_nothing_heavy() -> None:
    """All steps, with schema and settings, in a process of their own."""
    script = (
        "import sys\n"
        "from gpwf.steps.registry import load_catalog\n"
        "catalog = load_catalog()\n"
        "for tag in catalog.tags():\n"
        "    catalog.schema(tag), catalog.implementation(tag)\n"
        "heavy = {'gammapy', 'astropy', 'numpy', 'scipy', 'matplotlib', 'regions', 'networkx'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_makers_of_a_kind_are_known() -> None:
    catalog = load_catalog()
    makers = {"catalog-models", "find-peaks", "fit", "merge-models", "models"}
    assert set(catalog.makers("models")) == makers
    assert list(catalog.makers("no-such-kind")) == []


def test_a_unit_that_only_astropy_knows_is_found() -> None:
    catalog = load_catalog()
    assert catalog.unit_fallback("furlong") is None
    unit = catalog.unit_fallback("kmol")
    assert unit is not None
    assert unit.physical_type == "amount of substance"
    assert unit.factor == 1000
