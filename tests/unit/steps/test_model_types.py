"""Types, parameters and units of models are checked before the run, without gammapy."""

from __future__ import annotations

from typing import Any

import pytest
from spectra import problems

from gpwf.steps import model_types


def found(component: dict[str, Any]) -> dict[str, str]:
    return problems("models", {"inline": [{"name": "crab", **component}]})


def sky(*parameters: dict[str, Any], kind: str = "pl", **parts: Any) -> dict[str, Any]:
    spectral = {"type": kind, "parameters": list(parameters)}
    return {"type": "SkyModel", "spectral": spectral, **parts}


AT = "inline.0.spectral.parameters.0"


@pytest.mark.parametrize(
    ("component", "expected"),
    [
        (sky(), {}),
        (sky({"name": "index", "value": 2.3, "min": 1, "frozen": True, "link": "a"}), {}),
        (sky({"name": "amplitude", "value": 1, "unit": "cm-2 s-1 MeV-1"}), {}),
        (sky({"name": "amplitude", "value": 1, "unit": "cm-2 s-1 TeV-1 sr-1"}), {}),
        (sky({"name": "amplitude", "value": 1, "unit": "TeV"}), {f"{AT}.unit": "GP303"}),
        (sky({"name": "amplitude", "value": 1, "unit": "cm-2 s-1"}), {f"{AT}.unit": "GP303"}),
        (sky({"name": "amplitude", "value": 1, "unit": "no unit at all"}), {}),  # gammapy's to say
        (sky({"name": "reference", "value": 1, "unit": "deg"}), {f"{AT}.unit": "GP303"}),
        (sky({"name": "index", "value": 5.0000000001, "max": 5}), {}),
        (sky({"name": "index", "value": 5.1, "max": 5}), {f"{AT}.value": "GP304"}),
        (sky({"name": "index", "min": 3, "max": 3}), {AT: "GP304"}),
        (sky({"name": "indx", "value": 2}), {f"{AT}.name": "GP304"}),
        (sky({"value": 2}), {AT: "GP304"}),
        (sky({"name": "index", "vlaue": 2}), {f"{AT}.vlaue": "GP301"}),
        (sky("index"), {AT: "GP302"}),  # type: ignore[arg-type]
        (sky(kind="power-lew"), {"inline.0.spectral.type": "GP304"}),
        (sky({"name": "whatever", "value": 2}, kind="templateND"), {}),  # its data decide
        (sky(spatial={"type": "point", "parameters": []}), {}),
        (sky(spatial={"type": "pont"}), {"inline.0.spatial.type": "GP304"}),
        (sky(spatial={"parameters": []}), {"inline.0.spatial": "GP304"}),
        (sky(temporal="exp-decay"), {"inline.0.temporal": "GP302"}),
        ({"type": "SkyModel", "spectral": {"type": "pl"}}, {}),
        (
            {"type": "SkyModel", "spectral": {"type": "pl", "parameters": {"index": 2}}},
            {"inline.0.spectral.parameters": "GP302"},
        ),
        ({"type": "SkyModel", "spectrl": {"type": "pl"}}, {"inline.0": "GP304"}),
        ({"type": "SkyMadel", "spectral": {"type": "pl"}}, {"inline.0.type": "GP304"}),
        ({"type": "FoVBackgroundModel", "datasets_names": ["a"]}, {}),
        (
            {
                "type": "fov-bkg",
                "datasets_names": ["a"],
                "spectral": {"type": "pl-norm", "parameters": [{"name": "amplitude", "value": 1}]},
            },
            {"inline.0.spectral.parameters.0.name": "GP304"},
        ),
    ],
)
def test_components_are_checked(component: dict[str, Any], expected: dict[str, str]) -> None:
    assert found(component) == expected


def test_a_gammapy_of_another_version_is_asked_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_types.metadata, "version", lambda name: "2.2.1")
    assert found(sky(kind="power-lew")) == {}


def test_the_components_of_a_file_are_checked_too(tmp_path: Any) -> None:
    from gpwf.steps.registry import load_catalog

    path = tmp_path / "models.yaml"
    path.write_text("components:\n- {name: crab, type: SkyModel, spectral: {type: power-lew}}\n")
    (item,) = load_catalog().settle("models", {"file": "models.yaml"}, base=tmp_path).problems
    assert item.path == ("file",)
    assert item.message == ("models.yaml: model 'crab', spectral part: unknown type 'power-lew'")
