"""Documents that try to take for ever: each must end, with a specification or a diagnostic."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpwf.core.catalog import StepCatalog
from gpwf.lang import check_document, check_workflow
from gpwf.lang.builder import Limits

STEPS = "steps:\n  - {tag: models, config: {file: '${params.p%s}'}}\n"


def codes(text: str, catalog: StepCatalog) -> list[str]:
    return [item.code for item in check_document(text, catalog)[1]]


def test_a_long_chain_of_parameters(catalog: StepCatalog) -> None:
    lines = [f"  p{n}: '${{params.p{n + 1}}}'\n" for n in range(2000)]
    text = "gpwf: 1\nparams:\n" + "".join(lines) + "  p2000: a.yaml\n" + STEPS % 0
    spec, found = check_document(text, catalog)
    assert not found
    assert spec is not None
    assert spec.params["p0"] == "a.yaml"
    assert list(spec.params)[:2] == ["p0", "p1"]


def test_a_long_circle_of_parameters(catalog: StepCatalog) -> None:
    lines = [f"  p{n}: '${{params.p{(n + 1) % 2000}}}'\n" for n in range(2000)]
    assert codes("gpwf: 1\nparams:\n" + "".join(lines) + STEPS % 0, catalog) == ["GP404"]


def test_lists_of_lists_of_parameters(catalog: StepCatalog) -> None:
    lines = [f"  p{n + 1}: [" + ", ".join([f"'${{params.p{n}}}'"] * 20) + "]\n" for n in range(20)]
    text = "gpwf: 1\nparams:\n  p0: [x]\n" + "".join(lines) + STEPS % 20
    assert "GP110" in codes(text, catalog)


def test_texts_of_texts_of_parameters(catalog: StepCatalog) -> None:
    lines = [f"  p{n + 1}: '" + f"${{params.p{n}}}" * 20 + "'\n" for n in range(20)]
    text = "gpwf: 1\nparams:\n  p0: xxxx\n" + "".join(lines) + STEPS % 20
    assert "GP403" in codes(text, catalog)


def test_parameters_that_grow_deep(catalog: StepCatalog) -> None:
    lines = [f"  p{n + 1}: {'[' * 50}'${{params.p{n}}}'{']' * 50}\n" for n in range(20)]
    text = "gpwf: 1\nparams:\n  p0: [x]\n" + "".join(lines) + STEPS % 20
    assert "GP110" in codes(text, catalog)


def test_looked_up_names_that_look_up_names(catalog: StepCatalog) -> None:
    lines = [f"  p{n}: '${{params[params.n{n}]}}'\n  n{n}: p{n + 1}\n" for n in range(300)]
    text = "gpwf: 1\nparams:\n" + "".join(lines) + "  p300: a.yaml\n" + STEPS % 0
    assert set(codes(text, catalog)) <= {"GP404", "GP411"}


def test_many_unknown_keys(catalog: StepCatalog) -> None:
    text = "gpwf: 1\nsteps: [{tag: fit}]\n" + "".join(f"k{n}: 1\n" for n in range(20_000))
    assert 100 < len(codes(text, catalog)) < 300


def test_many_unknown_names(catalog: StepCatalog) -> None:
    names = "".join(f"  q{n}: {n}\n" for n in range(5000))
    wrong = ", ".join(f"'${{params.r{n}}}'" for n in range(5000))
    steps = f"steps:\n  - {{tag: observations, config: {{datastore: a, obs_ids: [{wrong}]}}}}\n"
    found = codes("gpwf: 1\nparams:\n" + names + steps, catalog)
    assert 400 < len(found) < 600


def test_text_that_is_almost_a_path(catalog: StepCatalog) -> None:
    text = "gpwf: 1\nparams: {p: '" + "a/" * 500_000 + " '}\n" + STEPS % ""
    spec, _ = check_document(text, catalog)
    assert spec is not None


def test_many_steps(catalog: StepCatalog) -> None:
    lines = [f"  - {{name: m{n}, tag: models, config: {{file: a}}}}\n" for n in range(500)]
    spec, found = check_document("gpwf: 1\nsteps:\n" + "".join(lines), catalog)
    assert spec is not None
    assert len(spec.steps) == 500
    assert not found


def test_no_more_of_a_file_is_read_than_the_limit(
    catalog: StepCatalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_all(path: Path) -> bytes:
        raise AssertionError(f"all of {path} is read")

    monkeypatch.setattr(Path, "read_bytes", read_all)
    path = tmp_path / "w.yaml"
    with path.open("wb") as stream:
        stream.truncate(10**12)
    assert [item.code for item in check_workflow(path, catalog)[1]] == ["GP110"]


def test_too_many_expressions(catalog: StepCatalog) -> None:
    text = "gpwf: 1\nname: '" + "${a.b}" * 5_001 + "'\n" + STEPS % ""
    found = check_document(text, catalog)[1]
    assert [item.code for item in found] == ["GP110"]
    assert str(found[0].span) == f"<text>:2:{8 + 6 * 5_000}"


def test_a_file_at_the_limit_is_read(catalog: StepCatalog, tmp_path: Path) -> None:
    path = tmp_path / "w.yaml"
    head = "gpwf: 1\nsteps: []\n# "
    path.write_text(head + "x" * (Limits().max_bytes - len(head)))
    assert "GP110" not in [item.code for item in check_workflow(path, catalog)[1]]
    path.write_text(path.read_text() + "x")
    assert "GP110" in [item.code for item in check_workflow(path, catalog)[1]]
