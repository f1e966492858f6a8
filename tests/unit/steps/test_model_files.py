"""Model files are read without gammapy, within bounds; what products hold is known early."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from gpwf.core.contents import Contents, Need
from gpwf.steps.model_files import model_names, read_models
from gpwf.steps.registry import load_catalog

BOMB = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (BOMB, "more than 1000000 values"),
        ("[" * 100_000, "nested more than 100 deep"),
        ("- " * 100_000 + "a", "nested more than 100 deep"),
        ("&a [*a]", "inside its own anchor"),
        ("{a: b, c: d: e}", "not a YAML file"),
        ("- 2001-99-99", "month must be"),
        ("a: *b", "undefined alias"),
    ],
)
def test_what_must_not_be_loaded_is_told(text: str, what: str, tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    path.write_text(text)
    data, message = read_models(path)
    assert data is None
    assert what in message


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    assert "cannot be read" in read_models(tmp_path / "none.yaml")[1]
    assert "cannot be read" in read_models(tmp_path)[1]
    path = tmp_path / "models.yaml"
    path.write_bytes(b"\xff\xfe")
    assert "cannot be read" in read_models(path)[1]
    with path.open("wb") as stream:
        stream.truncate(20_000_000)
    assert "larger than" in read_models(path)[1]


def test_shared_parts_and_aliases_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    path.write_text("- {name: a, spectral: &s {type: pl}}\n- {name: b, spectral: *s}\n")
    data, message = read_models(path)
    assert message == ""
    assert data[1]["spectral"] == {"type": "pl"}


def test_a_file_is_read_again_only_when_it_changed(tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    path.write_text("- {name: a}")
    first, _ = read_models(path)
    assert read_models(path)[0] is first
    path.write_text("- {name: b}")
    os.utime(path, ns=(1, 1))
    assert read_models(path)[0] == [{"name": "b"}]


@pytest.mark.parametrize(
    ("data", "names"),
    [
        ([{"name": "a"}, {"name": "b"}], {"a", "b"}),
        ({"components": [{"name": "a"}], "covariance": "c.dat"}, {"a"}),
        ([{"name": "a"}, {"type": "SkyModel"}], None),
        ([{"name": "a"}, {"name": 3}], None),
        ([{"name": "a"}, "b"], None),
        ([], None),
        ({"models": []}, None),
        ("a", None),
        (None, None),
    ],
)
def test_names_of_components(data: Any, names: set[str] | None) -> None:
    assert model_names(data) == names


# ---- what the step types say ---------------------------------------------------------------------

CATALOG = load_catalog()
EDGES = {"min": "1 TeV", "max": "10 TeV", "nbins": 1}


def settled(tag: str, config: dict[str, Any], base: Path = Path("/nowhere")) -> Any:
    found = CATALOG.settle(tag, config, base=base)
    assert not found.problems
    return found.settings


def test_models_declare_their_names(tmp_path: Path) -> None:
    component = {"name": "crab", "type": "SkyModel", "spectral": {"type": "pl"}}
    background = {"type": "FoVBackgroundModel", "datasets_names": ["stack"]}
    inline = settled("models", {"inline": [component, background]})
    crab = frozenset({"crab"})
    told = Contents(models=crab | {"stack-bkg"}, sources=crab, path=("inline",))
    assert CATALOG.declares("models", inline)["models"] == told
    from_file = settled("models", {"file": "models.yaml"}, tmp_path)
    assert CATALOG.declares("models", from_file)["models"].models is None  # reported elsewhere
    (tmp_path / "models.yaml").write_text("components:\n- {name: crab, type: SkyModel}\n")
    told = Contents(models=crab, path=("file",))  # without a spectrum it is no source
    assert CATALOG.declares("models", from_file)["models"] == told


@pytest.mark.parametrize("tag", ["datasets", "data-reduction"])
def test_datasets_declare_their_energies(tag: str) -> None:
    region = {"lon": "83.6 deg", "lat": "22 deg", "radius": "0.1 deg"}
    axis = {"min": "100 GeV", "max": "40 TeV", "nbins": 24}
    settings = settled(tag, {"geom": {"axes": {"energy": axis}}, "on_region": region})
    told = Contents(energies=(0.1, 40), path=("geom", "axes", "energy"))
    assert CATALOG.declares(tag, settings) == {"datasets": told}


def test_a_fit_keeps_the_names_of_its_models() -> None:
    assert CATALOG.declares("fit", settled("fit", {})) == {"models": Contents(ports=("models",))}


@pytest.mark.parametrize(
    ("tag", "config", "needs"),
    [
        ("flux-points", {"source": "crab", "energy": EDGES}, [("source",)]),
        ("light-curve", {"source": "crab", "energy_edges": EDGES}, [("source",)]),
        ("plot", {"kind": "sed", "source": "crab"}, [("source",)]),
        ("plot", {"kind": "sed"}, []),
        ("simulate", {"sources": ["crab", "vela"]}, [("sources", 0), ("sources", 1)]),
        ("simulate", {"sources": "all"}, []),
        ("fit", {}, []),
    ],
)
def test_steps_tell_which_settings_name_models(
    tag: str, config: dict[str, Any], needs: list[Any]
) -> None:
    found = [need for need in CATALOG.requires(tag, settled(tag, config)) if need.model]
    assert [(need.port, need.path) for need in found] == [("models", path) for path in needs]
    assert [need.model for need in found] == ["crab", "vela"][: len(needs)]


@pytest.mark.parametrize(
    ("tag", "config", "path", "energies"),
    [
        ("fit", {"fit_range": {"min": "1 TeV"}}, ("fit_range",), (1, None)),
        ("fit", {"fit_range": {"max": "500 GeV"}}, ("fit_range",), (None, 0.5)),
        ("flux-points", {"source": "a", "energy": EDGES}, ("energy",), (1, 10)),
        (
            "light-curve",
            {"source": "a", "energy_edges": {"edges": ["1 TeV", "2 TeV", "5 TeV"]}},
            ("energy_edges",),
            (1, 5),
        ),
    ],
)
def test_steps_tell_which_energies_they_ask_for(
    tag: str, config: dict[str, Any], path: Any, energies: Any
) -> None:
    (found,) = [need for need in CATALOG.requires(tag, settled(tag, config)) if need.energies]
    assert found == Need(port="datasets", path=path, energies=energies)


def test_a_range_without_bounds_asks_for_nothing() -> None:
    assert CATALOG.requires("fit", settled("fit", {})) == []


def test_every_setting_called_source_names_a_model() -> None:
    """The rule of `Step.requires`: a step type that means something else must say so itself."""
    known = {"flux-points", "light-curve", "plot"}
    having = {
        tag for tag in CATALOG.tags() if "source" in type(CATALOG.step(tag)).Settings.model_fields
    }
    assert known <= having
    for tag in having:
        field = type(CATALOG.step(tag)).Settings.model_fields["source"]
        assert "model" in (field.description or "").lower(), tag
