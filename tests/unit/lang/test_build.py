"""From a file and a command line to a specification: what the conformance cases do not show."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from gpwf.core.catalog import StepCatalog
from gpwf.errors import DocumentError
from gpwf.lang import check_document, check_workflow, read_workflow

LINE = """gpwf: 1
params: {data: $GPWF_TEST_DATA/dl3, file: {type: path, default: m.yaml}, e_min: 1 TeV}
steps:
  - {tag: observations, config: {datastore: "${params.data}"}}
  - tag: datasets
    config: {energy: {min: "${params.e_min}", max: 10 TeV}}
  - {tag: models, config: {file: "${params.file}"}}
  - {tag: fit, description: the fit, config: {label: "${env.GPWF_TEST_LABEL ?? none}"}}
outputs: {models: fit.models}
execution: {jobs: 3, log_level: debug}
"""


def write(folder: Path, text: str = LINE, name: str = "crab.gpwf.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_specification(
    tmp_path: Path, catalog: StepCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPWF_TEST_DATA", "/data")
    monkeypatch.delenv("GPWF_TEST_LABEL", raising=False)
    path = write(tmp_path)
    spec = read_workflow(path, catalog)
    assert spec.name == "crab"
    assert spec.path == path
    assert spec.text == LINE
    assert spec.sources == {str(path): hashlib.sha256(LINE.encode()).hexdigest()}
    assert spec.environment == {"GPWF_TEST_DATA": "/data", "GPWF_TEST_LABEL": None}
    assert spec.params == {"data": "$GPWF_TEST_DATA/dl3", "file": "m.yaml", "e_min": "1 TeV"}
    assert [step.name for step in spec.steps] == ["observations", "datasets", "models", "fit"]
    assert spec.step("fit").description == "the fit"
    assert spec.step("fit").settings["label"] == "none"
    assert spec.step("models").settings["file"] == str(tmp_path / "m.yaml")
    assert spec.step("fit").outputs == {"models": "models", "fit": "fit-result"}
    assert (spec.outputs["models"].step, spec.outputs["models"].product) == ("fit", "models")
    assert (spec.execution.jobs, spec.execution.log_level) == (3, "debug")
    assert spec.overrides == {}


def test_places_and_origins(tmp_path: Path, catalog: StepCatalog) -> None:
    spec = read_workflow(write(tmp_path), catalog, params={"e_min": "2 TeV"})
    step = spec.step("datasets")
    assert (step.spans[""].line, step.spans[""].column) == (5, 5)
    assert (step.spans["energy.min"].line, step.spans["energy.min"].column) == (6, 28)
    origin = step.origins["energy.min"]
    assert origin.source == "command line"
    assert origin.span == step.spans["energy.min"]
    assert "-p e_min=2 TeV" in origin.detail
    assert step.origins["energy.max"].source == "workflow"
    assert step.origins["energy.nbins"].source == "step default"
    assert spec.param_origins["e_min"].source == "command line"
    assert spec.param_origins["data"].source == "workflow"
    assert spec.overrides == {"params": {"e_min": "2 TeV"}}


def test_missing_file(tmp_path: Path, catalog: StepCatalog) -> None:
    with pytest.raises(DocumentError, match="No such file") as caught:
        read_workflow(tmp_path / "no.yaml", catalog)
    assert [item.code for item in caught.value.diagnostics] == ["GP101"]
    _, found = check_workflow(tmp_path, catalog)
    assert [item.code for item in found] == ["GP101"]
    assert str(tmp_path) in found[0].message


def test_path_on_the_command_line_counts_from_where_it_was_typed(
    tmp_path: Path, catalog: StepCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    spec = read_workflow(write(tmp_path), catalog, params={"file": "mine.yaml"})
    assert spec.step("models").settings["file"] == str(tmp_path / "elsewhere" / "mine.yaml")
    spec = read_workflow(write(tmp_path), catalog, params={"file": "$HOME/mine.yaml"})
    assert spec.step("models").settings["file"] == "$HOME/mine.yaml"


def test_params_file(tmp_path: Path, catalog: StepCatalog) -> None:
    folder = tmp_path / "sets"
    folder.mkdir()
    file = write(folder, "e_min: 3 TeV\nfile: ./own.yaml\n", "low.yaml")
    spec = read_workflow(write(tmp_path), catalog, params_files=[file])
    assert spec.params["e_min"] == "3 TeV"
    assert spec.step("models").settings["file"] == str(folder / "own.yaml")
    assert spec.step("datasets").origins["energy.min"].source == "params file"
    assert spec.sources[str(file)] == hashlib.sha256(file.read_bytes()).hexdigest()
    both = read_workflow(write(tmp_path), catalog, params_files=[file], params={"e_min": "4 TeV"})
    assert both.params["e_min"] == "4 TeV"


def test_problem_in_a_params_file_has_its_place_there(tmp_path: Path, catalog: StepCatalog) -> None:
    file = write(tmp_path, "e_min: 3 deg\nnone: 1\n", "low.yaml")
    _, found = check_workflow(write(tmp_path), catalog, params_files=[file])
    assert [(item.code, str(item.span), item.source_line) for item in found] == [
        ("GP408", f"{file}:1:8", "e_min: 3 deg"),
        ("GP405", f"{file}:2:1", "none: 1"),
    ]


@pytest.mark.parametrize(
    ("path", "text", "step", "setting", "value"),
    [
        ("steps.fit.config.tolerance", "1e-3", "fit", "tolerance", 1e-3),
        ("steps.fit.config.fit_range.min", "2 TeV", "fit", "fit_range.min", "2.0 TeV"),
        ("steps.fit.config.fit_range", "{min: 3 TeV, nbins: 7}", "fit", "fit_range.nbins", 7),
        ("steps.fit.config.label", "'007'", "fit", "label", "007"),
        ("steps.observations.config.obs_ids", "[1, 2]", "observations", "obs_ids", [1, 2]),
        ("defaults.datasets.stack", "false", "datasets", "stack", False),
        ("params.e_min", "500 GeV", "datasets", "energy.min", "0.5 TeV"),
    ],
)
def test_set(
    tmp_path: Path, catalog: StepCatalog, path: str, text: str, step: str, setting: str, value: Any
) -> None:
    spec = read_workflow(write(tmp_path), catalog, sets=[(path, text)])
    found: Any = spec.step(step).settings
    for part in setting.split("."):
        found = found[part]
    assert found == value
    assert spec.step(step).origins[setting].source == "command line"
    assert spec.overrides == {"set": [[path, text]]}


def test_set_of_outputs_and_policy(tmp_path: Path, catalog: StepCatalog) -> None:
    sets = [("outputs.best", "fit.fit"), ("steps.fit.retries", "2"), ("name", "other")]
    spec = read_workflow(write(tmp_path), catalog, sets=sets)
    assert spec.outputs["best"].product == "fit"
    assert spec.step("fit").policy.retries == 2
    assert spec.name == "other"


def test_a_set_is_validated_like_the_document(tmp_path: Path, catalog: StepCatalog) -> None:
    _, found = check_workflow(write(tmp_path), catalog, sets=[("steps.fit.retries", "many")])
    assert [(item.code, item.span) for item in found] == [("GP203", None)]
    assert found[0].message.startswith("command line: --set steps.fit.retries=many: ")


def test_a_profile_may_repair_what_the_document_has_wrong(catalog: StepCatalog) -> None:
    text = LINE.replace("10 TeV", "10 deg") + (
        "profiles: {good: {steps: {datasets: {config: {energy: {max: 9 TeV}}}}}}\n"
    )
    spec, _ = check_document(text, catalog)
    assert spec is None
    spec, found = check_document(text, catalog, profile="good")
    assert found == []
    assert spec is not None
    assert spec.step("datasets").settings["energy"]["max"] == "9.0 TeV"


def test_diagnostics_are_sorted_and_show_their_line(catalog: StepCatalog) -> None:
    text = LINE.replace("tag: fit", "tag: fit, nmae: x").replace("10 TeV", "10 deg")
    _, found = check_document(text, catalog, path=Path("w.yaml"), params={"x": "1"})
    assert [item.code for item in found] == ["GP405", "GP303", "GP201"]
    assert found[1].source_line == text.splitlines()[5]
    assert found[1].step == "datasets"
    assert str(found[2]).startswith("w.yaml:8:16: GP201")
