"""Software of a recorded plan, and what differs here."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

import gpwf
from gpwf.api.reproduce_recorded import Recorded
from gpwf.api.reproduce_software import (
    SoftwareDifference,
    software_differences,
    with_present_software,
)
from gpwf.core.digests import digest_bytes
from gpwf.core.plan import Plan, Task
from gpwf.errors import UsageError
from gpwf.steps.registry import load_catalog

CATALOG = load_catalog()


def recorded(facts: dict[str, str] | None = None, **changes: Any) -> Recorded:
    settings: dict[str, Any] = {}
    fields: dict[str, Any] = {
        "id": "models",
        "step": "models",
        "tag": "models",
        "version": CATALOG.version("models"),
        "settings": settings,
        "types": {},
        "origins": {},
        "inputs": {},
        "input_ports": (),
        "output_ports": (),
        "packages": {name: metadata.version(name) for name in CATALOG.packages("models", {})},
        "implementation": CATALOG.implementation("models"),
    }
    plan = Plan(
        name="p",
        workflow_digest=digest_bytes(b""),
        tasks=(Task(**{**fields, **changes}),),
        steps=(),
    )
    return Recorded(
        path=Path("run"),
        run_id="r",
        workflow="p",
        state="ok",
        plan=plan,
        text=None,
        facts=facts or {},
        distributions={},
        products={},
    )


def differences(of: Recorded) -> list[SoftwareDifference]:
    return software_differences(of, of.plan, CATALOG)


def test_the_same_software() -> None:
    assert differences(recorded({"gpwf.version": gpwf.__version__})) == []


def test_a_package_decides() -> None:
    old = recorded(packages={"gammapy": "1.0", "no-such-package": "3"})
    found = {item.name: item for item in differences(old)}
    assert found["gammapy"].decides
    assert (found["gammapy"].recorded, found["gammapy"].present) == (
        "1.0",
        metadata.version("gammapy"),
    )
    assert found["no-such-package"].present == "not installed"
    (task,) = with_present_software(old.plan, CATALOG).tasks
    assert task.packages == {
        name: metadata.version(name) for name in CATALOG.packages("models", {})
    }


def test_the_version_of_a_step_decides_and_its_code_does_not() -> None:
    implementation = {**CATALOG.implementation("models"), "source": "0" * 64}
    found = differences(recorded(version="0", implementation=implementation))
    assert [(item.what, item.decides) for item in found] == [("step", True), ("code", False)]


def test_interpreter_and_machine_are_told() -> None:
    facts = {"python.version": "3.9.1", "platform.machine": "vax", "platform.system": ""}
    found = differences(recorded(facts))
    assert {(item.what, item.recorded) for item in found} == {
        ("python", "3.9.1"),
        ("platform", "vax"),
    }
    assert not any(item.decides for item in found)


def test_a_newer_gpwf() -> None:
    with pytest.raises(UsageError, match="made by gpwf 99"):
        differences(recorded({"gpwf.version": "99.0"}))


def test_a_step_type_that_is_not_here() -> None:
    with pytest.raises(UsageError, match="no step type strange here"):
        differences(recorded(tag="strange"))


def test_the_source_of_a_function_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "a_module_of_mine.py"
    module.write_text("def f():\n    return 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    config = {"callable": "a_module_of_mine:f", "outputs": {"x": "table"}}
    settled = load_catalog().settle("python", config, base=tmp_path).settings
    old = recorded(
        tag="python",
        version=CATALOG.version("python"),
        settings=settled,
        packages={},
        implementation=load_catalog().implementation("python", settled),
    )
    assert software_differences(old, old.plan, load_catalog()) == []
    module.write_text("def f():\n    return 2\n")
    (found,) = software_differences(old, old.plan, load_catalog())
    assert (found.what, found.name, found.decides) == ("function", "a_module_of_mine:f", True)
    (task,) = with_present_software(old.plan, load_catalog()).tasks
    assert task.settings["source_digest"] == found.present != settled["source_digest"]
    module.unlink()
    sys.modules.pop("a_module_of_mine", None)
    with pytest.raises(UsageError, match="no function a_module_of_mine:f here"):
        with_present_software(old.plan, load_catalog())
