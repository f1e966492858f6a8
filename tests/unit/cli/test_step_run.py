"""`gpwf step run`: settings and inputs of one step, and what comes out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from gpwf.api.one_step import OneStep
from gpwf.api.step_inputs import find_port, source_of
from gpwf.core.spec import Port
from gpwf.errors import DocumentError, UsageError
from gpwf.steps.registry import load_catalog

MODELS = """\
components:
- name: crab
  type: SkyModel
  spectral:
    type: PowerLawSpectralModel
    parameters:
    - {name: index, value: 2.3}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a current folder with the beginnings of products."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GPWF_STORE", raising=False)
    for name in ("a/datasets.yaml", "b/models.yaml", "m.yaml", "pha.fits", "t.ecsv", "n.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(MODELS if "models" in name or name == "m.yaml" else "")
    return tmp_path


def problems(*args: Any, **options: Any) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        OneStep(*args, output="out", **options).check()
    return [str(item) for item in caught.value.diagnostics]


FIT_INPUTS = [("datasets", "a"), ("models", "m.yaml")]

# ---- settings ------------------------------------------------------------------------------------


def test_environment_variables_stay_references(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their values may be secrets, and what does not say where they come from is recorded."""
    monkeypatch.setenv("HUSH", "v3ry-hidden")
    monkeypatch.setenv("ENDING", "txt")
    (folder / "conf").mkdir()
    (folder / "conf" / "n.txt").write_text("")
    (folder / "conf" / "command.yaml").write_text(
        "argv: [curl, '--user=${env.HUSH}', x]\ninputs: {n: 'n.${env.ENDING}'}\n"
        "outputs: {page: x.html}\n"
    )
    step = OneStep("command", output="out", config_file="conf/command.yaml")
    text = step.check()
    assert "hidden" not in text
    assert "--user=${env.HUSH}" in text
    assert f"{folder}/conf/n.${{env.ENDING}}" in text
    text = OneStep(
        "command",
        output="out",
        sets=[("argv", "[echo, '${env.HUSH}']"), ("outputs.page", "x.html")],
    ).check()
    assert "${env.HUSH}" in text
    assert "hidden" not in text


def test_settings_come_from_a_file_and_from_single_values(folder: Path) -> None:
    (folder / "conf").mkdir()
    (folder / "conf" / "fit.yaml").write_text("fit_range: {min: 1 TeV, max: 20 TeV}\n")
    step = OneStep(
        "fit",
        output="out",
        config_file="conf/fit.yaml",
        sets=[("fit_range.max", "10 TeV")],
        inputs=FIT_INPUTS,
    )
    text = step.check()
    assert "fit_range: {min: 1.0 TeV, max: 10.0 TeV}" in text
    assert "backend" not in text  # a default
    assert f"path: {folder / 'a'}" in text


def test_a_problem_of_a_file_lies_in_that_file(folder: Path) -> None:
    (folder / "fit.yaml").write_text("fit_range:\n  min: 1 deg\nrange: 3\n")
    assert problems("fit", config_file="fit.yaml", inputs=FIT_INPUTS) == [
        "fit.yaml:2:8: GP303 fit_range.min: unit 'deg' is not a unit of energy",
        "fit.yaml:3:1: GP301 unknown setting 'range'",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [("- 1\n", "settings are a mapping"), ("a: [1\n", "GP104"), ("a: 1\na: 2\n", "GP106")],
)
def test_a_file_that_holds_no_settings(folder: Path, text: str, words: str) -> None:
    (folder / "fit.yaml").write_text(text)
    found = problems("fit", config_file="fit.yaml", inputs=FIT_INPUTS)
    assert any(words in item for item in found), found
    assert all(item.startswith("fit.yaml:") for item in found)


def test_a_file_of_settings_that_is_not_there(folder: Path) -> None:
    (found,) = problems("fit", config_file="none.yaml", inputs=FIT_INPUTS)
    assert "GP101 none.yaml cannot be read" in found


def test_a_single_value_is_named_as_it_was_given(folder: Path) -> None:
    (found,) = problems("fit", sets=[("fit_range.min", "1 deg")], inputs=FIT_INPUTS)
    assert found.startswith("GP303 command line: --config fit_range.min=1 deg: ")


def test_paths_count_from_the_file_that_has_them(folder: Path) -> None:
    (folder / "b" / "read.yaml").write_text("file: models.yaml\n")
    text = OneStep("models", output="out", config_file="b/read.yaml").check()
    assert f"file: {folder / 'b' / 'models.yaml'}" in text
    text = OneStep("models", output="out", sets=[("file", "m.yaml")]).check()
    assert f"file: {folder / 'm.yaml'}" in text


def test_files_that_are_not_there_are_told_before_the_run(folder: Path) -> None:
    (found,) = problems("models", sets=[("file", "none.yaml")])
    assert "no such file" in found


# ---- inputs --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "text", "tag", "config"),
    [
        ("datasets", "a", "read-product", {"kind": "datasets", "path": "a"}),
        ("any", "a", "read-product", {"kind": "datasets", "path": "a"}),
        ("datasets", "pha.fits", "read-datasets", {"files": ["pha.fits"]}),
        ("models", "m.yaml", "models", {"file": "m.yaml"}),
        ("observations", "b", "observations", {"datastore": "b"}),
        ("observations", "pha.fits", "observations", {"files": ["pha.fits"]}),
        ("any", "t.ecsv", "read-product", {"kind": "table", "path": "t.ecsv"}),
        ("any", "n.txt", "read-product", {"kind": "file", "path": "n.txt"}),
        ("map", "pha.fits", "read-product", {"kind": "map", "path": "pha.fits"}),
    ],
)
def test_what_brings_an_input(
    folder: Path, kind: str, text: str, tag: str, config: dict[str, Any]
) -> None:
    found = source_of("x", kind, text, None)
    assert found.tag == tag
    plain = json.loads(json.dumps(found.config).replace(f"{folder}/", ""))
    assert plain == config


def test_the_main_file_of_a_product_stands_for_the_product(folder: Path) -> None:
    shown = folder / "run" / "products" / "fit" / "models"
    shown.mkdir(parents=True)
    (shown / "models.yaml").write_text(MODELS)
    found = source_of("models", "models", str(shown / "models.yaml"), None)
    assert found.config == {"kind": "models", "path": str(shown)}


@pytest.mark.parametrize(
    ("inputs", "message", "hint"),
    [
        ([], "the step fit needs the inputs datasets (datasets), models (models)", "add --input"),
        ([("dataset", "a")], "--input dataset: the step fit has no such input", "'datasets'?"),
        ([("datasets", "none")], "--input datasets: no such file or folder: none", None),
        ([("datasets", "fit.datasets")], "no such file or folder: fit.datasets", "`--run RUN`"),
        ([("datasets", "b")], "holds no product of kind datasets: it has no datasets.yaml", "give"),
    ],
)
def test_inputs_that_are_wrong(
    folder: Path, inputs: list[tuple[str, str]], message: str, hint: str | None
) -> None:
    with pytest.raises(UsageError) as caught:
        OneStep("fit", output="out", inputs=inputs).check()
    assert message in caught.value.message
    assert (hint is None) == (caught.value.hint is None)
    assert hint is None or hint in str(caught.value.hint)


def test_too_many_for_an_input(folder: Path) -> None:
    found = problems("fit", inputs=[*FIT_INPUTS, ("models", "b/models.yaml")])
    assert any("takes one product" in item for item in found), found


def test_any_name_will_do_where_a_step_takes_any() -> None:
    star = Port(name="*", kind="any", optional=True, multiple=True, help="")
    assert find_port("command", "spectra", [star]) is star


def test_an_unknown_step_type_has_a_near_miss(gpwf: Any) -> None:
    result = gpwf("step", "run", "fitt", "-o", "out")
    assert (result.exit_code, "did you mean 'fit'?" in result.stderr) == (2, True)


def test_a_folder_with_something_else_is_refused(folder: Path) -> None:
    step = OneStep("models", output="a", sets=[("file", "m.yaml")])
    with pytest.raises(UsageError, match=r"a is not empty: it has datasets\.yaml"):
        step.run()


def test_a_dry_run_prints_the_workflow(folder: Path, gpwf: Any) -> None:
    result = gpwf("step", "run", "models", "-c", "file=m.yaml", "-o", "out", "-n")
    assert result.exit_code == 0
    assert result.stdout.startswith("# one step, written by `gpwf step run`\ngpwf: 1\n")
    assert not (folder / "out").exists()


@pytest.mark.parametrize("tag", load_catalog().tags())
def test_every_step_type_says_what_it_needs(folder: Path, tag: str) -> None:
    """Without settings and inputs: nothing is missing, or it is told in the words of a user."""
    step, found = OneStep(tag, output="out"), ""
    try:
        found = step.check()
    except DocumentError as caught:
        found = str(caught)
    except UsageError as caught:
        found = f"{caught.message} {caught.hint}"
    needs = f"the step {tag} needs the input" in found and "--input" in found
    assert f"tag: {tag}" in found or needs or found.startswith("GP"), found


# ---- runs ----------------------------------------------------------------------------------------


@pytest.mark.gammapy
def test_a_chain_of_steps(folder: Path, gpwf: Any) -> None:
    """Models from gammapy's YAML, then a program on the product; again, and with other models."""
    code = "import sys; open('o.txt', 'w').write(open(sys.argv[1]).read().replace('crab', 'vela'))"
    settings = folder / "command.yaml"
    argv = [sys.executable, "-c", code, "${inputs.models}"]
    settings.write_text(json.dumps({"argv": argv, "outputs": {"renamed": "o.txt"}}))
    models = ("step", "run", "models", "-c", "file=m.yaml", "-o", "one", "-q")
    command = ("step", "run", "command", "-c", settings, "-i", "models=one/models", "-o", "two")
    assert gpwf(*models).exit_code == 0
    assert (folder / "one" / "models" / "models.yaml").is_file()
    assert (folder / "one" / "run" / "prov" / "prov.json").is_file()
    assert sorted(item.name for item in (folder / "one").iterdir()) == [
        "models",
        "run",
        "step.gpwf.yaml",
    ]
    result = gpwf(*command)
    assert result.exit_code == 0, result.stderr
    assert "vela" in (folder / "two" / "renamed" / "o.txt").read_text()
    result = gpwf(*command)
    assert "2 cached" in result.stderr
    assert gpwf("run", "two/step.gpwf.yaml", "--store", ".gpwf", "-q").exit_code == 0
    # one more by the name in the run; what failed has no products
    again = ("--run", "one/run", "-i", "models=models", "-o", "two")
    settings.write_text(json.dumps({"argv": ["false"], "outputs": {"renamed": "o.txt"}}))
    result = gpwf("step", "run", "command", "-c", settings, *again)
    assert result.exit_code == 1
    assert "command: failed: false ended with exit code 1" in result.stderr
    assert "gpwf step run command" not in result.stdout
    assert not (folder / "two" / "renamed").exists()


@pytest.mark.gammapy
def test_a_product_of_another_kind_is_a_clear_failure(folder: Path, gpwf: Any) -> None:
    (folder / "table.ecsv").write_text("not a table\n")
    (folder / "p").mkdir()
    (folder / "p" / "datasets.yaml").write_text("datasets: 3\n")
    for kind, path, words in (
        ("table", "table.ecsv", "table.ecsv holds no product of kind 'table'"),
        ("datasets", "p", "p holds no product of kind 'datasets'"),
    ):
        pairs = ("-c", f"kind={kind}", "-c", f"path={path}")
        result = gpwf("step", "run", "read-product", *pairs, "-o", f"out-{kind}")
        assert result.exit_code == 1
        assert words in result.stderr
        assert "Traceback" not in result.stderr
