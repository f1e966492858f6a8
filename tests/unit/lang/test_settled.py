"""What settled documents keep out and refuse; that they say the same is a conformance test."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_catalog import FakeCatalog

from gpwf.core.spec import WorkflowSpec
from gpwf.errors import DocumentError, UsageError
from gpwf.lang import check_document, read_workflow
from gpwf.lang.document import read_document
from gpwf.lang.settled import differences, settled_document
from gpwf.steps.registry import load_catalog

HEAD = "gpwf: 1\n"
DATA = "  - {tag: observations, config: {datastore: data}}\n  - {tag: datasets}\n"


def settle(folder: Path, text: str, *, target: Path | None = None, **given: object) -> str:
    path = folder / "w.yaml"
    path.write_text(text)
    return settled_document(path, FakeCatalog(), folder=target or folder, **given)  # type: ignore[arg-type]


def steps(text: str) -> dict[str, dict[str, object]]:
    document = read_document(text, file="settled.yaml")
    assert not document.diagnostics
    assert document.root is not None
    return {item["name"]: item for item in document.root.plain()["steps"]}


def test_everything_is_filled_in(tmp_path: Path) -> None:
    text = settle(
        tmp_path,
        HEAD
        + "params: {r: 0.5 deg, unused: 1}\ndefaults: {datasets: {stack: false}}\n"
        + "profiles: {p: {steps: {datasets: {config: {type: 3d}}}}}\nsteps:\n"
        + '  - {tag: observations, config: {datastore: data}, when: "${params.r} < 1 deg"}\n'
        + '  - {tag: datasets, config: {on_region: {radius: "${params.r}"}}}\n',
        profile="p",
    )
    found = steps(text)
    assert found["observations"]["when"] is True
    assert found["observations"]["config"]["datastore"] == str(tmp_path / "data")  # type: ignore[index]
    assert found["datasets"]["required_products"] == {"observations": "observations.observations"}
    config = found["datasets"]["config"]
    assert (config["type"], config["stack"]) == ("3d", False)  # type: ignore[index]
    assert config["on_region"]["radius"] == "0.5 deg"  # type: ignore[index]
    assert "params:" not in text


def test_texts_stay_texts(tmp_path: Path) -> None:
    odd = ["1e-9", "no", "null", "+22:00:52", "2019-12-01", "a: #b", "$${x}", "é\\n", "0x1f", "~"]
    for title in odd:
        quoted = f'"{title}"'
        text = settle(
            tmp_path, f"{HEAD}steps:\n{DATA}  - {{tag: plot, config: {{title: {quoted}}}}}\n"
        )
        spec, problems = check_document(text, FakeCatalog(), base=tmp_path)
        assert spec is not None, problems
        expected = title.replace("$${", "${").replace("\\n", "\n")
        assert spec.step("plot").settings["title"] == expected


def test_the_environment_stays_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "abcdef")
    text = settle(
        tmp_path, f"{HEAD}steps:\n{DATA}  - {{tag: plot, config: {{title: 'x${{env.SECRET}}'}}}}\n"
    )
    assert "abcdef" not in text
    assert "x${env.SECRET}" in text


def test_another_folder_is_refused_where_it_matters(tmp_path: Path) -> None:
    scatter = (
        f"{HEAD}steps:\n  - {{tag: observations, foreach: {{d: [a.fits, b.fits]}},"
        ' config: {datastore: "${d}"}}\n'
    )
    other = tmp_path / "other"
    other.mkdir()
    assert "a.fits" in settle(tmp_path, scatter)
    with pytest.raises(UsageError, match="settings datastore of step observations") as caught:
        settle(tmp_path, scatter, target=other)
    assert str(tmp_path) in str(caught.value.hint)
    settle(tmp_path, f"{HEAD}steps:\n{DATA}", target=other)


def test_problems_are_those_of_the_workflow(tmp_path: Path) -> None:
    with pytest.raises(DocumentError) as caught:
        settle(tmp_path, f"{HEAD}steps:\n  - {{tag: nothing}}\n")
    assert len(caught.value.diagnostics) == 1


def spec_of(folder: Path, text: str) -> WorkflowSpec:
    (folder / "w.yaml").write_text(text)
    return read_workflow(folder / "w.yaml", FakeCatalog())


@pytest.mark.parametrize(
    ("old", "new", "difference"),
    [
        ("[1, 2]", "[1, 3]", "the axes differ"),
        ("stack: true", "stack: false", "the settings stack of step datasets differ"),
        ("timeout: 1 h", "timeout: 2 h", "the axes or limits of step datasets differ"),
        ("{tag: datasets", "{name: c, tag: datasets", "the steps have other names"),
        ("{x: b.observations}", "{x: a.observations}", "the outputs differ"),
        (": a.observations", ": b.observations", "the inputs of step datasets differ"),
        ("when: true", "when: false", "the places in the scatter of step b differ"),
    ],
)
def test_differences_are_found(tmp_path: Path, old: str, new: str, difference: str) -> None:
    text = (
        f"{HEAD}steps:\n"
        "  - {name: a, tag: observations, config: {datastore: d}, foreach: {s: [1, 2]}}\n"
        "  - {name: b, tag: observations, config: {datastore: d}, when: true}\n"
        "  - {tag: datasets, required_products: {observations: a.observations}, timeout: 1 h,"
        " config: {stack: true}}\n"
        "outputs: {x: b.observations}\n"
    )
    assert old in text
    one, two = spec_of(tmp_path, text), spec_of(tmp_path, text.replace(old, new, 1))
    assert differences(one, one) == []
    assert difference in differences(one, two)


def test_numbers_where_text_is_wanted_stay_texts(tmp_path: Path) -> None:
    """An argument that is a number beside one that depends on an axis."""
    path = tmp_path / "w.yaml"
    path.write_text(
        HEAD + "params: {e: 1 TeV, n: true}\nsteps:\n- tag: command\n  foreach: {k: [p, q]}\n"
        '  config: {argv: [x, "${k}", "${params.e as GeV}", "${params.n}"], outputs: {o: o.txt}}\n'
    )
    text = settled_document(path, load_catalog(), folder=tmp_path)
    config = steps(text)["command"]["config"]
    assert isinstance(config, dict)
    assert config["argv"] == ["x", "${k}", "1000.0", "true"]
