"""The short form of the step models: a few lines per source."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import pytest
from spectra import problems, run

from gpwf.errors import StepError, StepInputError
from gpwf.steps.model_sources import EBL_FILES
from gpwf.steps.registry import load_catalog
from gpwf.steps.settle import restore, settle
from gpwf.store import formats

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")

HERE = {"lon": "83.633 deg", "lat": "60 deg"}
POWER_LAW = {"type": "power-law", "index": 2.3, "amplitude": "3e-11 cm-2 s-1 TeV-1"}
needs_data = pytest.mark.skipif(
    not os.environ.get("GAMMAPY_DATA"), reason="GAMMAPY_DATA is not set"
)


def models(source: dict[str, Any], base: Path = Path("/nowhere")) -> Any:
    return run("models", {"sources": {"crab": source}}, {}, base=base)["models"]


def wrong(source: dict[str, Any]) -> dict[str, str]:
    found = problems("models", {"sources": {"crab": source}})
    return {name.removeprefix("sources.crab."): code for name, code in found.items()}


def files(config: dict[str, Any], base: Path = Path("/nowhere")) -> Any:
    step = load_catalog().step("models")
    return step.external_files(restore(step, settle(step, config, base=base).settings))


def test_words_are_those_of_gammapy() -> None:
    from gammapy.modeling.models import SPATIAL_MODEL_REGISTRY, SPECTRAL_MODEL_REGISTRY

    from gpwf.steps.model_sources import _WORDS

    for part, registry in (
        ("spectral", SPECTRAL_MODEL_REGISTRY),
        ("spatial", SPATIAL_MODEL_REGISTRY),
    ):
        for tag in _WORDS[part].values():
            assert registry.get_cls(tag)


def test_parameters_have_units_bounds_and_states() -> None:
    spectral = {
        "type": "exp-cutoff",
        "index": {"value": 2.1, "min": 1, "max": 4, "error": 0.1},
        "amplitude": "3e-17 cm-2 s-1 MeV-1",
        "reference": "300 GeV",
        "lambda_": {"value": "0.1 TeV-1", "min": "1e-8 MeV-1", "frozen": True},
    }
    found = models({"spectral": spectral})["crab"]
    model = found.spectral_model
    assert found.spatial_model is None
    assert (model.index.value, model.index.min, model.index.max) == (2.1, 1, 4)
    assert model.index.error == 0.1
    assert model.amplitude.quantity.to_value("TeV-1 s-1 cm-2") == pytest.approx(3e-11)
    assert (model.reference.value, str(model.reference.unit)) == (300, "GeV")
    assert model.reference.frozen
    assert model.lambda_.frozen
    assert model.lambda_.min == pytest.approx(0.01)


def test_the_decadic_curvature_is_that_of_gammapy() -> None:
    from gammapy.modeling.models import LogParabolaSpectralModel

    curved = {"type": "log-parabola", "amplitude": "1e-11 cm-2 s-1 TeV-1", "alpha": 2.5}
    ours = models({"spectral": curved | {"beta_log10": {"value": 0.24, "min": 0, "max": 1}}})
    beta = ours["crab"].spectral_model.beta
    theirs = LogParabolaSpectralModel.from_log10(
        amplitude="1e-11 cm-2 s-1 TeV-1", reference="10 TeV", alpha=2.5, beta=0.24
    )
    assert beta.value == pytest.approx(theirs.beta.value, rel=1e-15)
    assert (beta.min, beta.max) == (0, pytest.approx(1 / math.log(10)))
    assert wrong({"spectral": curved | {"beta": 0.1, "beta_log10": 0.2}}) == {
        "spectral.beta_log10": "GP306"
    }


def test_a_position_is_frozen_or_stays_near() -> None:
    from gammapy.modeling.models import PointSpatialModel

    frozen = models({"spectral": POWER_LAW, "position": HERE})["crab"].spatial_model
    assert isinstance(frozen, PointSpatialModel)
    assert frozen.frame == "icrs"
    assert not frozen.parameters.free_parameters
    free = models(
        {
            "spectral": POWER_LAW,
            "position": HERE,
            "free_position": True,
            "position_margin": "0.2 deg",
        }
    )["crab"].spatial_model
    assert (free.lat_0.min, free.lat_0.max) == (pytest.approx(59.8), pytest.approx(60.2))
    assert free.lat_0.error == 0.01
    # a degree of longitude is half as long at 60 deg
    assert (free.lon_0.min, free.lon_0.max) == (pytest.approx(83.233), pytest.approx(84.033))
    assert free.lon_0.error == pytest.approx(0.02)
    near_pole = {"lon": "10 deg", "lat": "-89.8 deg"}
    polar = models({"spectral": POWER_LAW, "position": near_pole, "free_position": True})
    latitude = polar["crab"].spatial_model.lat_0
    assert (latitude.min, latitude.max) == (-90, pytest.approx(-89.3))


@pytest.mark.parametrize(
    ("spatial", "name", "value"),
    [
        ({"type": "gaussian", "sigma": "6 arcmin"}, "sigma", 6),
        ({"type": "disk", "r_0": "0.3 deg"}, "r_0", 0.3),
        ({"type": "shell", "radius": "0.5 deg", "width": "0.1 deg"}, "width", 0.1),
        ({"type": "point"}, "lon_0", 83.633),
    ],
)
def test_shapes(spatial: dict[str, Any], name: str, value: float) -> None:
    found = models({"spectral": POWER_LAW, "position": HERE, "spatial": spatial})["crab"]
    assert getattr(found.spatial_model, name).value == value


def test_light_curve_responses_and_datasets() -> None:
    source = {
        "spectral": POWER_LAW,
        "position": HERE,
        "temporal": {"type": "exp-decay", "t0": "2 h", "t_ref": "59000 d"},
        "apply_irf": {"psf": False},
        "datasets_names": ["hess"],
    }
    found = models(source)["crab"]
    assert found.temporal_model.t0.quantity.to_value("min") == 120
    assert found.apply_irf == {"exposure": True, "psf": False, "edisp": True}
    assert found.datasets_names == ["hess"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"spectral": {"type": "power-lew"}}, {"spectral.type": "GP304"}),
        ({"spectral": {}}, {"spectral": "GP304"}),
        ({"spectral": {"type": ["pl"]}}, {"spectral": "GP304"}),
        ({"spectral": {"type": "pl", "indx": 2}}, {"spectral.indx": "GP304"}),
        ({"spectral": {"type": "pl", "amplitude": 2}}, {"spectral.amplitude": "GP303"}),
        ({"spectral": {"type": "pl", "amplitude": "2 TeV"}}, {"spectral.amplitude": "GP303"}),
        ({"spectral": {"type": "pl", "amplitude": "2 bananas"}}, {"spectral.amplitude": "GP303"}),
        ({"spectral": {"type": "pl", "index": True}}, {"spectral.index": "GP302"}),
        ({"spectral": {"type": "pl", "index": [2]}}, {"spectral.index": "GP302"}),
        ({"spectral": {"type": "pl", "index": {"vale": 2}}}, {"spectral.index.vale": "GP301"}),
        (
            {"spectral": {"type": "pl", "index": {"value": 2, "min": "1 TeV"}}},
            {"spectral.index.min": "GP303"},
        ),
        (
            {"spectral": {"type": "pl", "index": {"value": 2, "min": 3, "max": 5}}},
            {"spectral.index": "GP304"},
        ),
        (
            {
                "spectral": {
                    "type": "pl",
                    "amplitude": {"value": "2 m-2 s-1 eV-1", "max": "1 m-2 s-1 eV-1"},
                }
            },
            {"spectral.amplitude": "GP304"},
        ),
        (
            {"spectral": {"type": "pl", "index": {"value": 4, "min": 5, "max": 3}}},
            {"spectral.index": "GP304"},
        ),
        ({"spectral": {"type": "pl"}, "spatial": {"type": "gauss"}}, {"spatial": "GP306"}),
        ({"spectral": {"type": "pl"}, "free_position": True}, {"free_position": "GP306"}),
        (
            {"spectral": {"type": "pl"}, "position": HERE, "spatial": {"type": "const"}},
            {"position": "GP306"},
        ),
        ({"spectral": {"type": "pl"}, "apply_irf": {"pfs": False}}, {"apply_irf.pfs": "GP301"}),
        (
            {"spectral": {"type": "pl"}, "spectral_template": "x.txt"},
            {"spectral_template": "GP306"},
        ),
        (
            {"spectral": {"type": "pl"}, "spatial": {"type": "template", "filename": "x.fits"}},
            {"spatial.filename": "GP304"},
        ),
        ({"spectral": {"type": "pl"}, "ebl": {"redshift": 0}}, {"ebl.redshift": "GP304"}),
        (
            {"spectral": {"type": "pl"}, "ebl": {"redshift": 1, "model": "x"}},
            {"ebl.model": "GP304"},
        ),
    ],
)
def test_mistakes_are_found_before_the_run(
    source: dict[str, Any], expected: dict[str, str]
) -> None:
    assert wrong(source) == expected


def test_one_of_the_three_is_given() -> None:
    assert problems("models", {}) == {"": "GP306"}
    both = {"sources": {"a": {"spectral": POWER_LAW}}, "file": "x.yaml"}
    assert problems("models", both) == {"": "GP306"}
    assert problems("models", {"sources": {}}) == {"sources": "GP304"}


def test_a_name_may_be_a_value_but_keys_hold_no_expressions() -> None:
    named = {"name": "crab-hess", "spectral": POWER_LAW}
    assert models(named).names == ["crab-hess"]
    source = {"spectral": POWER_LAW}
    assert problems("models", {"sources": {"crab-${x}": source}}) == {"sources.crab-${x}": "GP304"}
    twice = {"a": named, "crab-hess": source}
    assert set(problems("models", {"sources": twice}).values()) == {"GP304"}
    assert problems("models", {"sources": {" ": source}}) == {"sources": "GP304"}


def test_what_is_left_out_is_not_complained_of(caplog: pytest.LogCaptureFixture) -> None:
    models({"spectral": {"type": "power-law"}})
    assert caplog.records == []
    inline = [{"name": "a", "type": "SkyModel", "spectral": {"type": "pl", "parameters": []}}]
    run("models", {"inline": inline}, {})
    assert len(caplog.records) == 3  # once each, as gammapy has it


# ---- absorption ----------------------------------------------------------------------------------


def test_our_files_of_absorption_are_those_of_gammapy() -> None:
    from gammapy.modeling.models import EBL_DATA_BUILTIN

    assert {name: f"$GAMMAPY_DATA/ebl/{file}" for name, file in EBL_FILES.items()} == (
        EBL_DATA_BUILTIN
    )


@needs_data
def test_absorption_is_that_of_gammapy(tmp_path: Path) -> None:
    from astropy import units as u
    from gammapy.modeling.models import EBLAbsorptionNormSpectralModel, PowerLawSpectralModel

    ebl = {"redshift": 0.116, "model": "franceschini", "norm": 0.9, "free": True}
    found = models({"spectral": POWER_LAW, "ebl": ebl})
    spectrum = found["crab"].spectral_model
    absorption = EBLAbsorptionNormSpectralModel.read_builtin("franceschini", 0.116, 0.9)
    plain = PowerLawSpectralModel(index=2.3, amplitude="3e-11 cm-2 s-1 TeV-1")
    energy = np.geomspace(0.1, 30, 20) * u.TeV
    np.testing.assert_array_equal(spectrum(energy), (plain * absorption)(energy))
    norm = found.parameters["alpha_norm"]
    assert (norm.frozen, norm.min, norm.error) == (False, 0, 0.1)
    assert found.parameters["redshift"].frozen
    # the product holds the table: nobody needs the file any more
    formats.write("models", found, tmp_path, {})
    again = formats.read("models", tmp_path, lambda digest: Path(digest))
    np.testing.assert_array_equal(again["crab"].spectral_model(energy), spectrum(energy))
    assert again.parameters["alpha_norm"].error == 0.1
    assert not again.parameters["alpha_norm"].frozen


@needs_data
def test_a_redshift_outside_the_table_is_refused() -> None:
    with pytest.raises(StepError, match=r"'crab': the redshift 4\.5 is outside ebl_dom.*3\.99"):
        models({"spectral": POWER_LAW, "ebl": {"redshift": 4.5}})
    low = {"spectral": POWER_LAW, "ebl": {"redshift": 0.001}}
    with pytest.raises(StepError, match=r"redshift 0\.001 is outside"):
        models(low)


def test_files_of_absorption_that_are_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAMMAPY_DATA", str(tmp_path))
    config = {"sources": {"a": {"spectral": POWER_LAW, "ebl": {"redshift": 0.1}}}}
    with pytest.raises(StepInputError, match=r"no such file.*ebl_dominguez11") as caught:
        files(config)
    assert "there is none" in (caught.value.hint or "")
    (tmp_path / "ebl").mkdir()
    (tmp_path / "ebl" / EBL_FILES["finke"]).write_bytes(b"")
    with pytest.raises(StepInputError) as caught:
        files(config)
    assert "there are finke in" in (caught.value.hint or "")
    (tmp_path / "ebl" / EBL_FILES["dominguez"]).write_bytes(b"")
    assert [item.name for item in files(config)] == [f"$GAMMAPY_DATA/ebl/{EBL_FILES['dominguez']}"]
    monkeypatch.delenv("GAMMAPY_DATA")
    with pytest.raises(StepInputError, match="GAMMAPY_DATA is not set"):
        files(config)


@needs_data
def test_a_redshift_that_is_not_given_is_told() -> None:
    name = f"$GAMMAPY_DATA/ebl/{EBL_FILES['dominguez']}"
    spectral = {
        "type": "compound",
        "model1": {"type": "pl"},
        "model2": {"type": "ebl-norm", "filename": name},
        "operator": "mul",
    }
    component = {"name": "a", "type": "SkyModel", "spectral": spectral}
    with pytest.warns(UserWarning, match="absorption has no 'redshift'; 0.1 is taken"):
        found = run("models", {"inline": [component]}, {})["models"]
    assert found["a"].spectral_model.model2.redshift.value == 0.1


@needs_data
def test_absorption_in_gammapys_yaml(tmp_path: Path) -> None:
    """Full paths of another machine are looked for in the data; no parameter is ignored."""
    from gammapy.modeling.models import (
        EBLAbsorptionNormSpectralModel,
        Models,
        PowerLawSpectralModel,
        SkyModel,
    )

    ebl = EBLAbsorptionNormSpectralModel.read_builtin("dominguez", redshift=0.2)
    ebl.alpha_norm.frozen, ebl.alpha_norm.max = False, 2
    one = Models([SkyModel(PowerLawSpectralModel() * ebl, name="one")])
    one.write(tmp_path / "models.yaml")
    text = (tmp_path / "models.yaml").read_text()
    elsewhere = text.replace(os.environ["GAMMAPY_DATA"], "/elsewhere")
    assert elsewhere != text
    (tmp_path / "models.yaml").write_text(elsewhere)
    config = {"file": str(tmp_path / "models.yaml")}
    assert files(config)[-1].path.is_file()
    found = run("models", config, {})["models"]
    assert found.parameters["redshift"].value == 0.2
    assert (found.parameters["alpha_norm"].frozen, found.parameters["alpha_norm"].max) == (False, 2)
    spoilt = elsewhere.replace("name: index", "name: indx")
    (tmp_path / "models.yaml").write_text(spoilt)
    with pytest.raises(StepError, match="model1 has no parameter 'indx'"):
        run("models", config, {})
