"""Settled settings with their origins."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import pytest

from gpwf.core.spec import WorkflowSpec
from gpwf.errors import UsageError
from gpwf.lang import read_workflow
from gpwf.report.show import show_data, shown_steps
from gpwf.report.show_text import show_text
from gpwf.steps.registry import load_catalog

sys.path.append(str(Path(__file__).parents[1] / "lang"))

from fake_catalog import FakeCatalog

TEXT = """\
gpwf: 1
name: many
params: {e_min: 1 TeV, api_token: abcdef}
tables: {targets: {crab: {ids: [1]}, vela: {ids: [2, 3]}, twin: {ids: [1]}}}
defaults: {fit: {tolerance: 0.5}}
profiles: {quick: {steps: {datasets: {config: {stack: false}}}}}
steps:
  - tag: observations
    foreach: {target: "${tables.targets}"}
    config: {datastore: data, obs_ids: "${target.ids}"}
  - {tag: datasets, config: {energy: {min: "${params.e_min}"}}}
  - {tag: models, config: {file: m.yaml}}
  - {tag: fit, foreach: {seed: {range: {start: 0, count: 4}}}, config: {label: "n ${seed}"}}
  - {tag: plot, when: false, config: {title: "${params.api_token}"}}
"""


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WorkflowSpec:
    monkeypatch.chdir(tmp_path)
    Path("w.yaml").write_text(TEXT)
    Path("p.yaml").write_text("e_min: 2 TeV\n")
    return read_workflow(
        Path("w.yaml"),
        FakeCatalog(),
        sets=[("steps.fit.config.fit_range.min", "3 TeV")],
        profile="quick",
        params_files=[Path("p.yaml")],
    )


def origins(spec: WorkflowSpec, name: str) -> dict[str, tuple[str, str]]:
    (step,) = shown_steps(spec, name)
    assert step.first is not None
    return {
        item.name: (item.origin.source, str(item.origin.span or "")) for item in step.first.settings
    }


def test_every_value_knows_its_origin(spec: WorkflowSpec) -> None:
    fit = origins(spec, "fit")
    assert fit["tolerance"] == ("defaults", "w.yaml:5:29")
    assert fit["label"] == ("workflow", "w.yaml:13:80")
    assert fit["fit_range.min"] == ("command line", "")
    assert fit["fit_range.nbins"] == ("step default", "")
    datasets = origins(spec, "datasets")
    assert datasets["stack"] == ("profile", "w.yaml:6:55")
    assert datasets["energy.min"] == ("params file", "w.yaml:11:44")
    assert origins(spec, "observations")["obs_ids"] == ("workflow", "w.yaml:10:40")
    step = next(step for step in spec.steps if step.name == "datasets")
    assert step.variants[0].origins["energy.min"].detail == "${params.e_min}; p.yaml:1:8"


def test_a_position_without_a_section_keeps_its_places(tmp_path: Path) -> None:
    """``{lon, lat, radius}`` is settled as ``center.lon`` ..., which is written nowhere."""
    region = "{lon: 83.63 deg, lat: 22.01 deg, radius: 0.1 deg}"
    text = "gpwf: 1\nsteps:\n- {tag: observations, config: {datastore: d}}\n- tag: datasets\n"
    path = tmp_path / "w.yaml"
    path.write_text(f"{text}  config:\n    type: 1d\n    on_region: {region}\n")
    found = origins(read_workflow(path, load_catalog()), "datasets")
    assert found["on_region.center.lon"] == ("workflow", f"{path}:7:22")
    assert found["on_region.center.lat"] == ("workflow", f"{path}:7:38")
    assert found["on_region.center.frame"] == ("step default", "")
    assert found["on_region.radius"] == ("workflow", f"{path}:7:57")


def test_expressions_and_options_are_told(spec: WorkflowSpec) -> None:
    data = show_data(spec, shown_steps(spec, "fit"))
    settings = {item["name"]: item for item in data["steps"][0]["variants"][0]["settings"]}
    assert settings["fit_range.min"]["detail"] == "--set steps.fit.config.fit_range.min=3 TeV"
    assert settings["label"]["detail"] == "n ${seed}"
    assert settings["label"]["value"] == "n 0"
    assert data["params"][0] == {
        "name": "e_min", "value": "2 TeV", "source": "params file", "detail": None,
        "file": "p.yaml", "line": 1, "column": 8,
    }  # fmt: skip


def test_variants_of_a_scatter_are_folded(spec: WorkflowSpec) -> None:
    (step,) = shown_steps(spec, "observations")
    assert (step.n_points, step.n_variants, step.axes) == (3, 2, {"target": 3})
    assert step.first is not None
    assert step.first.n_points == 2  # crab and its twin
    assert {item.name: item.n_values for item in step.first.settings}["obs_ids"] == 2
    assert step.others == ()
    (step,) = shown_steps(spec, "observations", every=True)
    assert [item.labels for item in step.others] == [{"target": "vela"}]
    assert [(item.name, item.value) for item in step.others[0].settings] == [("obs_ids", [2, 3])]


def test_a_part_of_a_scatter(spec: WorkflowSpec) -> None:
    (step,) = shown_steps(spec, "fit[seed=2]")
    assert (step.n_points, step.n_variants, step.axes) == (3, 1, {"target": 3, "seed": 1})
    assert step.first is not None
    assert step.first.labels == {"target": "crab", "seed": "2"}
    assert {item.name: item.value for item in step.first.settings}["label"] == "n 2"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fits", "no such step"),
        ("fit[x=1]", "no such axis"),
        ("fit[seed=9]", "does not run there"),
        ("fit[seed", "no form STEP"),
    ],
)
def test_what_is_not_there_is_refused(spec: WorkflowSpec, name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        shown_steps(spec, name)


def test_the_text_for_people(spec: WorkflowSpec) -> None:
    lines = [" ".join(line.split()) for line in click.unstyle(show_text(spec)).splitlines()]
    assert lines[0] == "many (w.yaml)"
    assert "e_min 2 TeV params file p.yaml:1:8" in lines
    assert "observations target 3" in lines
    assert "2 variants, which differ in obs_ids (2)" in lines
    assert "datasets from datasets.datasets" in lines
    assert "left out: a condition does not hold" in lines
    assert "not set: fit_range.max" in lines
    assert "label * n 0 workflow w.yaml:13:80 n ${seed}" in lines
    every = click.unstyle(show_text(spec, "fit", every=True)).splitlines()[-5:]
    assert every[0].split() == ["target", "seed", "places", "label"]
    assert [line.split() for line in every[1:]] == [
        ["crab", str(seed), "3", "n", str(seed)] for seed in range(4)
    ]


def test_secrets_stay_out(spec: WorkflowSpec) -> None:
    assert "abcdef" not in show_text(spec)
    assert "abcdef" not in str(show_data(spec, shown_steps(spec)))
