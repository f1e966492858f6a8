"""What `gpwf validate` says of mistakes that gammapy finds late or never, with the real step types.

Every case is a workflow that is right but for one line, and names code, line, column and words, so
that it cannot fail for another reason.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

Gpwf = Callable[..., Result]

RIGHT = """\
gpwf: 1
params:
  e_min: {type: energy, default: 1 TeV}
steps:
  - tag: observations
    config: {datastore: store, obs_ids: [3, 7], required_irf: [aeff]}
  - tag: datasets
    config:
      geom: {axes: {energy: {min: 0.1 TeV, max: 40 TeV, nbins: 24}}}
      on_region: {center: {lon: 83.63 deg, lat: 22.01 deg}, radius: 0.11 deg}
      background: {method: reflected, parameters: {max_region_number: 5}}
      safe_mask: {methods: [aeff-max], parameters: {aeff_percent: 10}}
  - tag: models
    config: {inline: [{name: crab, type: SkyModel, spectral: {type: pl}}]}
  - tag: fit
    config: {fit_range: {min: "${params.e_min}", max: 30 TeV}, backend: minuit}
  - tag: flux-points
    config:
      source: crab
      energy: {min: 1 TeV, max: 30 TeV, nbins: 8}
      parameters: {norm: {scan_min: 0.1}}
  - tag: light-curve
    config:
      energy_edges: {min: 1 TeV, max: 30 TeV, nbins: 1}
      time_intervals: {by: run}
      source: crab
  - tag: plot
    config: {kind: sed, source: crab}
"""

# (what is right, what is wrong, code, text at the place, words of the message, words of the hint)
MISTAKES = {
    "axis-rises": (
        "min: 0.1 TeV, max: 40 TeV",
        "min: 40 TeV, max: 0.1 TeV",
        "GP306",
        "{min: 40 TeV",
        "min (40.0 TeV) must be less than max (0.1 TeV)",
        "",
    ),
    "empty-axis": (
        "energy: {min: 1 TeV, max: 30 TeV",
        "energy: {min: 30 TeV, max: 30 TeV",
        "GP306",
        "{min: 30 TeV",
        "must be less than",
        "",
    ),
    "ring-in-1d": (
        "method: reflected, parameters: {max_region_number: 5}",
        "method: ring, parameters: {r_in: 0.5 deg, width: 0.3 deg}",
        "GP306",
        "ring, param",
        "background method 'ring' needs maps",
        "reflected",
    ),
    "no-radius": (
        ", radius: 0.11 deg",
        "",
        "GP305",
        "on_region",
        "missing required setting 'radius'",
        "",
    ),
    "unit-of-energy": (
        "max: 30 TeV}, backend",
        "max: 30 deg}, backend",
        "GP303",
        "30 deg",
        "fit_range.max: unit 'deg' is not a unit of energy",
        "expected an energy such as '1 TeV'",
    ),
    "unit-of-a-parameter": (
        "default: 1 TeV",
        "default: 1 deg",
        "GP408",
        "1 deg}\nsteps",
        "unit 'deg' is not a unit of energy",
        "",
    ),
    "unit-of-angle": (
        "radius: 0.11 deg",
        "radius: 0.11 TeV",
        "GP303",
        "0.11 TeV",
        "on_region.radius: unit 'TeV' is not a unit of angle",
        "",
    ),
    "misspelt-maker-parameter": (
        "aeff_percent: 10",
        "aeff_percnt: 10",
        "GP301",
        "aeff_percnt",
        "'aeff_percnt'",
        "did you mean 'aeff_percent'?",
    ),
    "misspelt-background-parameter": (
        "max_region_number: 5",
        "max_regions_number: 5",
        "GP301",
        "max_regions_number",
        "'max_regions_number'",
        "did you mean 'max_region_number'?",
    ),
    "parameter-of-another-method": (
        "aeff_percent: 10",
        "bias_percent: 5",
        "GP306",
        "5}}\n  - tag: models",
        "'bias_percent' has no meaning for 'aeff-max', only for 'edisp-bias'",
        "'safe_mask.methods'",
    ),
    "parameter-of-another-background": (
        "max_region_number: 5",
        "r_in: 0.5 deg",
        "GP306",
        "0.5 deg",
        "'r_in' is no parameter of the background method 'reflected'",
        "max_region_number",
    ),
    "misspelt-estimator-parameter": (
        "{norm: {",
        "{nrom: {",
        "GP301",
        "nrom",
        "unknown parameter 'nrom' of FluxPointsEstimator (gammapy 2.",
        "did you mean 'norm'?",
    ),
    "misspelt-parameter-of-the-norm": (
        "scan_min: 0.1",
        "scan_mn: 0.1",
        "GP301",
        "scan_mn",
        "unknown parameter 'scan_mn' of Parameter",
        "did you mean 'scan_min'?",
    ),
    "type-of-an-estimator-parameter": (
        "{norm: {scan_min: 0.1}}",
        "{sum_over_energy_groups: maybe}",
        "GP302",
        "maybe",
        "sum_over_energy_groups: expected true or false, not a text",
        "",
    ),
    "setting-among-the-parameters": (
        "{norm: {scan_min: 0.1}}",
        "{n_sigma: 2}",
        "GP306",
        "2}",
        "'n_sigma' cannot be given among the parameters",
        "write 'n_sigma' beside 'parameters'",
    ),
    "unknown-source": (
        "source: crab\n      energy:",
        "source: carb\n      energy:",
        "GP512",
        "carb",
        "source: fit.models holds no model 'carb'",
        "did you mean 'crab'?",
    ),
    "unknown-source-of-a-light-curve": (
        "{by: run}\n      source: crab",
        "{by: run}\n      source: vela",
        "GP512",
        "vela",
        "holds no model 'vela'",
        "models: crab",
    ),
    "unknown-source-of-a-plot": (
        "kind: sed, source: crab",
        "kind: sed, source: Crab Nebula",
        "GP512",
        "Crab Nebula",
        "holds no model 'Crab Nebula'",
        "",
    ),
    "range-turned-round-by-a-parameter": (
        "default: 1 TeV",
        "default: 41 TeV",
        "GP306",
        '{min: "${params.e_min}", max: 30 TeV}',
        "must be less than",
        "",
    ),
    "fit-range-outside-the-axis": (
        '{min: "${params.e_min}", max: 30 TeV}',
        "{min: 50 TeV}",
        "GP306",
        "{min: 50 TeV}",
        "fit_range: above 50 TeV lies outside datasets.datasets: 0.1 to 40 TeV",
        "",
    ),
    "points-outside-the-axis": (
        "energy: {min: 1 TeV, max: 30 TeV",
        "energy: {min: 1 GeV, max: 30 GeV",
        "GP306",
        "{min: 1 GeV",
        "energy: 0.001 to 0.03 TeV lies outside datasets.datasets",
        "",
    ),
    "method-of-another-minimiser": (
        "backend: minuit",
        "options: {method: Powell}",
        "GP306",
        "Powell",
        "'method' has no meaning for the backend 'minuit', only for 'scipy'",
        "backend: scipy",
    ),
    "unit-of-time": (
        "by: run",
        "width: 30 deg",
        "GP303",
        "30 deg",
        "time_intervals.width: unit 'deg' is not a unit of time",
        "",
    ),
    "id-twice": (
        "obs_ids: [3, 7]",
        "obs_ids: [3, 3]",
        "GP306",
        "3], req",
        "observation 3 is listed twice",
        "",
    ),
    "component-without-a-name": (
        "{name: crab, type: SkyModel, spectral",
        "{type: SkyModel, spectral",
        "GP304",
        "{type: SkyModel",
        "component 1 has no 'name'",
        "",
    ),
    "misspelt-model-type": (
        "spectral: {type: pl}",
        "spectral: {type: PowerLawSpectralMdel}",
        "GP304",
        "PowerLawSpectralMdel",
        "model 'crab', spectral part: unknown type 'PowerLawSpectralMdel'",
        "did you mean 'PowerLawSpectralModel'?",
    ),
    "misspelt-model-parameter": (
        "spectral: {type: pl}",
        "spectral: {type: pl, parameters: [{name: amplitde, value: 1}]}",
        "GP304",
        "amplitde",
        "model 'crab', spectral part has no parameter 'amplitde'",
        "did you mean 'amplitude'?",
    ),
    "unit-of-a-model-parameter": (
        "spectral: {type: pl}",
        "spectral: {type: pl, parameters: [{name: reference, value: 1, unit: deg}]}",
        "GP303",
        "deg}]}",
        "parameter 'reference': unit 'deg' is not a unit of energy",
        "'TeV'",
    ),
}

# the same of what the documents name outside of themselves
MISSING = {
    "no-datastore": ("datastore: store", "datastore: stroe", "stroe", "no such datastore folder"),
    "no-observation": ("obs_ids: [3, 7]", "obs_ids: [3, 8]", "8]", "no observation 8 in"),
    "no-response": ("[aeff]", "[aeff, psf]", "[aeff, psf]", "has no psf"),
    "no-models": ("inline: [{name: crab, type: SkyModel, spectral: {type: pl}}]",
                  "file: models.yaml", "models.yaml", "no such file"),
    "no-exclusion": ("method: reflected,", "exclusion: mask.fits,", "mask.fits", "no such file"),
}  # fmt: skip


def validate(gpwf: Gpwf, text: str, *options: str) -> tuple[int, list[dict[str, Any]]]:
    """Return exit code and problems of a document in the current folder."""
    Path("w.gpwf.yaml").write_text(text)
    result = gpwf("validate", *options, "w.gpwf.yaml", "--format", "json")
    return result.exit_code, json.loads(result.stdout)


def place(text: str, marked: str) -> tuple[int, int]:
    """Return line and column of a text that is there once."""
    assert text.count(marked) == 1, marked
    before = text[: text.index(marked)].splitlines(keepends=True) or [""]
    if before[-1].endswith("\n"):
        before.append("")
    return len(before), len(before[-1]) + 1


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def store(folder: Path) -> Path:
    """Return a datastore with two observations."""
    from astropy.table import Table

    from gpwf.steps.dl3 import HDU_INDEX, OBS_INDEX

    path = folder / "store"
    path.mkdir()
    (path / "run.fits").write_bytes(b"")
    ids, types = [3, 3, 3, 7, 7, 7], ["events", "gti", "aeff"] * 2
    names = {"FILE_DIR": [""] * 6, "FILE_NAME": ["run.fits"] * 6}
    Table({"OBS_ID": ids, "HDU_TYPE": types, **names}).write(path / HDU_INDEX, format="fits")
    pointings = {"RA_PNT": [83.0, 83.0], "DEC_PNT": [22.0, 22.0]}
    Table({"OBS_ID": [3, 7], **pointings}).write(path / OBS_INDEX, format="fits")
    return path


def test_the_right_one_has_no_problem(gpwf: Gpwf) -> None:
    assert validate(gpwf, RIGHT, "--no-data") == (0, [])


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_found_at_its_place(gpwf: Gpwf, name: str) -> None:
    right, wrong, code, marked, message, hint = MISTAKES[name]
    assert RIGHT.count(right) == 1
    text = RIGHT.replace(right, wrong)
    exit_code, (found, *more) = validate(gpwf, text, "--no-data")
    assert more == []
    assert exit_code == 2
    assert found["code"] == code
    assert message in found["message"]
    assert hint in (found["hint"] or "")
    assert (found["line"], found["column"]) == place(text, marked)


@pytest.mark.gammapy
def test_with_its_data_the_right_one_has_no_problem(gpwf: Gpwf, store: Path) -> None:
    assert validate(gpwf, RIGHT) == (0, [])


@pytest.mark.gammapy
@pytest.mark.parametrize("name", MISSING)
def test_what_is_not_there_is_found_unless_data_are_left_out(
    gpwf: Gpwf, store: Path, name: str
) -> None:
    right, wrong, marked, message = MISSING[name]
    assert RIGHT.count(right) == 1
    text = RIGHT.replace(right, wrong)
    exit_code, (found, *more) = validate(gpwf, text)
    assert (exit_code, found["code"], more) == (2, "GP601", [])
    assert message in found["message"]
    assert (found["line"], found["column"]) == place(text, marked)
    assert validate(gpwf, text, "--no-data") == (0, [])


def test_all_mistakes_of_different_steps_are_told_at_once(gpwf: Gpwf) -> None:
    text = RIGHT
    for name in ("ring-in-1d", "unknown-source", "misspelt-parameter-of-the-norm", "unit-of-time"):
        right, wrong, *_ = MISTAKES[name]
        text = text.replace(right, wrong)
    _, found = validate(gpwf, text, "--no-data")
    assert [item["code"] for item in found] == ["GP306", "GP301", "GP303"]
    # a step with other problems is not asked what it needs
    text = text.replace("scan_mn", "scan_min")
    _, found = validate(gpwf, text, "--no-data")
    assert [item["code"] for item in found] == ["GP306", "GP512", "GP303"]


def test_a_source_may_be_left_out_where_there_is_one(gpwf: Gpwf) -> None:
    background = "{name: stack-bkg, type: FoVBackgroundModel, datasets_names: [stack]}"
    text = RIGHT.replace("      source: crab\n", "").replace(
        "type: pl}}]", f"type: pl}}}}, {background}]"
    )
    assert validate(gpwf, text, "--no-data") == (0, [])
    text = text.replace(
        ", {name: stack-bkg",
        ", {name: halo, type: sky-model, spectral: {type: pl}}, {name: stack-bkg",
    )
    _, found = validate(gpwf, text, "--no-data")
    words = "source: fit.models holds several sources: crab and halo"
    assert [(item["code"], item["message"]) for item in found] == [("GP305", words)] * 2
    places = [place(text, f"config:\n      energy{key}") for key in (": {min", "_edges")]
    assert [(item["line"], item["column"]) for item in found] == places


def test_estimators_need_no_settings(gpwf: Gpwf) -> None:
    start = RIGHT.partition("  - tag: flux-points")[0]
    text = f"{start}  - tag: flux-points\n  - {{tag: light-curve}}\n"
    assert validate(gpwf, text, "--no-data") == (0, [])


def test_the_models_of_a_file_are_known_too(gpwf: Gpwf, folder: Path) -> None:
    right, wrong, *_ = MISSING["no-models"]
    text = RIGHT.replace(right, wrong).replace("crab\n      energy", "carb\n      energy")
    assert validate(gpwf, text, "--no-data") == (0, [])  # nobody knows what will be there
    (folder / "models.yaml").write_text(
        "components: [{name: crab, type: SkyModel, spectral: {type: pl}}]"
    )
    for options in ((), ("--no-data",)):
        _, found = validate(gpwf, text, *options)
        assert [item["code"] for item in found] == ["GP512"]
