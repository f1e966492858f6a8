"""Values that must not be recorded: how they are followed through a document, and kept out."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_catalog import FakeCatalog

from gpwf.core.spec import WorkflowSpec
from gpwf.errors import UsageError
from gpwf.lang import check_document
from gpwf.lang.settled import settled_document

HEAD = "gpwf: 1\nsteps:\n  - {tag: observations, config: {datastore: data}}\n  - {tag: datasets}\n"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY", "canary-value")
    monkeypatch.setenv("CANARY_LISTED", "listed-value")
    monkeypatch.setenv("CANARY_TOKEN", "token-value")
    monkeypatch.setenv("EMPTY", "")


def read(text: str, **given: object) -> WorkflowSpec:
    spec, problems = check_document(HEAD + text, FakeCatalog(), **given)  # type: ignore[arg-type]
    assert spec is not None, problems
    return spec


def plot(title: str) -> str:
    return f"  - {{tag: plot, config: {{title: '{title}'}}}}\n"


@pytest.mark.parametrize(
    ("title", "rest", "private"),
    [
        ("${env.CANARY}", "", {"env.CANARY"}),
        ("a ${env.CANARY} b ${env.CANARY_TOKEN}", "", {"env.CANARY", "env.CANARY_TOKEN"}),
        (
            "${params.inner}",
            "params: {outer: 'x${env.CANARY}', inner: '${params.outer}y'}\n",
            {"env.CANARY"},
        ),
        (
            "${params.m.b}",
            "params: {m: {type: mapping, default: {a: 1, b: '${env.CANARY}'}}}\n",
            {"env.CANARY"},
        ),
        ("${tables.t.r.x}", "tables: {t: [{name: r, x: '${env.CANARY}'}]}\n", {"env.CANARY"}),
        ("${env.NOT_THERE ?? none}", "", set()),
        ("${env.EMPTY}", "", set()),
        ("${env.GAMMAPY_DATA ?? none}", "", set()),
        ("${env.CANARY_LISTED}", "execution: {record_env: [CANARY_LISTED]}\n", set()),
        ("${env.CANARY_TOKEN}", "execution: {record_env: [CANARY_TOKEN]}\n", {"env.CANARY_TOKEN"}),
        ("${params.api_token}", "params: {api_token: given}\n", {"params.api_token"}),
        ("plain", "", set()),
    ],
)
def test_a_setting_knows_what_it_must_not_tell(title: str, rest: str, private: set[str]) -> None:
    spec = read(plot(title) + rest)
    assert spec.step("plot").origins["title"].private == private


def test_the_secrets_of_a_workflow_are_known_by_value() -> None:
    spec = read(
        plot("${env.CANARY} ${params.api_token} ${env.CANARY_LISTED}")
        + "params: {api_token: given-token}\n"
        + "metadata: {deep: {password: meta-secret}, author: me}\n"
        + "execution: {record_env: [CANARY_LISTED]}\n"
    )
    assert spec.secrets == {"canary-value", "given-token", "meta-secret"}
    assert read(plot("plain")).secrets == frozenset()


def test_a_path_with_a_variable_is_no_expression(tmp_path: Path) -> None:
    spec, _ = check_document(
        "gpwf: 1\nsteps: [{tag: observations, config: {datastore: $CANARY/x}}]\n",
        FakeCatalog(),
        base=tmp_path,
    )
    assert spec is not None
    assert spec.secrets == frozenset()


@pytest.mark.parametrize(
    "text",
    [
        "params: {n: {type: int, default: '${env.CANARY}'}}\n" + "",
        "params: {n: {type: int, min: 1, default: 2}}\n",
    ],
)
def test_no_problem_quotes_a_secret(text: str) -> None:
    spec, problems = check_document(
        HEAD + plot("${params.n}") + text + "metadata: {}\n",
        FakeCatalog(),
        params={"api_token": "given-token"},
    )
    assert spec is None
    said = "".join(f"{item.message} {item.hint}" for item in problems)
    assert "canary-value" not in said
    assert "given-token" not in said


def settle(folder: Path, text: str, **given: object) -> str:
    (folder / "w.yaml").write_text(HEAD + text)
    return settled_document(folder / "w.yaml", FakeCatalog(), folder=folder, **given)  # type: ignore[arg-type]


def test_a_settled_document_keeps_the_expressions_of_what_is_private(tmp_path: Path) -> None:
    text = settle(
        tmp_path,
        plot("${params.inner}/${params.e}")
        + "params: {outer: 'x${env.CANARY}', inner: '${params.outer}y', e: 1, api_token: none}\n"
        + "  ".strip(),
    )
    assert "canary-value" not in text
    assert "${env.CANARY}" in text


def test_a_settled_document_has_no_secret_of_the_command_line(tmp_path: Path) -> None:
    rest = plot("${params.api_token}") + "params: {api_token: {type: string, default: none}}\n"
    text = settle(tmp_path, rest, params={"api_token": "given-token"})
    assert "given-token" not in text
    with pytest.raises(UsageError, match="must not be recorded") as caught:
        settle(tmp_path, plot("plain"), sets=[("steps.plot.config.title", "${env.CANARY}")])
    assert "canary-value" not in str(caught.value)
