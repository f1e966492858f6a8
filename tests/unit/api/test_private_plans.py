"""Plans with secrets: what stands in their keys, that no store keeps them, what commands show."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from gpwf.api.privacy import privacy_of, this_anonymizer
from gpwf.api.workflow import Workflow
from gpwf.compiler.keys import key_components, task_key
from gpwf.compiler.sealing import sealed_with
from gpwf.core.plan import Plan
from gpwf.store.seals import SealKey

WORKFLOW = """\
gpwf: 1
params: {api_token: none, plain: x}
steps:
  - tag: command
    config:
      argv: [prog, "${env.CANARY_PIN ?? 0}", "${params.api_token}", "${params.plain}"]
      outputs: {out: out.txt}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "w.yaml").write_text(WORKFLOW)
    return tmp_path / "w.yaml"


def plan_of(path: Path, *, store: str = "store", **given: str) -> Plan:
    return Workflow(path, params=given, sets=(), profile=None).plan(store=path.parent / store)


def key_of(plan: Plan) -> str:
    return task_key(plan.tasks[0], {})


def test_a_short_secret_cannot_be_guessed_from_its_key(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY_PIN", "1234")
    plan = plan_of(path)
    (task,) = plan.tasks
    assert task.settings["argv"][1] == "1234"
    assert list(task.sealed) == ["argv.1", "argv.2"]
    assert "1234" not in str(key_components(task, {}))
    assert key_of(plan) == key_of(plan_of(path)), "the same store, the same key"
    assert key_of(plan) != key_of(plan_of(path, store="other"))
    monkeypatch.setenv("CANARY_PIN", "1235")
    assert key_of(plan) != key_of(plan_of(path))


def test_a_plan_with_secrets_is_not_kept_and_one_without_is(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = path.parent / "store" / "cache" / "plans"
    monkeypatch.setenv("CANARY_PIN", "1234")
    plan_of(path)
    assert list(plans.glob("*")) == []
    plain = path.with_name("plain.yaml")
    plain.write_text(
        WORKFLOW.replace("${env.CANARY_PIN ?? 0}", "0").replace("${params.api_token}", "1")
    )
    plain.write_text(plain.read_text().replace("api_token: none, ", ""))
    assert plan_of(plain).secrets == frozenset()
    assert len(list(plans.glob("*"))) == 1


def test_what_differs_is_told_without_its_value(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gpwf.api.changes import key_changes

    one = plan_of(path, api_token="first-token", plain="a").tasks[0]
    two = plan_of(path, api_token="other-token", plain="b").tasks[0]
    texts = [item.text for item in key_changes(one, {}, two, {})]
    assert texts == ["argv.2: changed", "argv.3: a → b"]


def test_the_key_of_a_store_is_private_made_once_and_mended(tmp_path: Path) -> None:
    first = SealKey(tmp_path).value
    file = tmp_path / "cache" / "seal.key"
    assert len(first) == 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert SealKey(tmp_path).value == first
    file.write_bytes(b"torn")
    second = SealKey(tmp_path).value
    assert len(second) == 32
    assert SealKey(tmp_path).value == second
    assert [item.name for item in file.parent.iterdir()] == ["seal.key"]


def test_where_no_key_can_be_kept_there_is_one_for_this_process(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("no folder")
    seals = SealKey(tmp_path)
    assert seals.value == seals.value
    assert sealed_with(seals.value, "x") != sealed_with(SealKey(tmp_path).value, "x")


def test_secrets_of_the_environment_are_taken_out_of_what_tasks_say(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_TOKEN", "token-of-somebody")
    monkeypatch.setenv("SOME_PASSWORD", "short")
    privacy = privacy_of(replace(plan_of(path), secrets=frozenset()), anonymous=False)
    assert not privacy.clean, "nothing to do for plans and events"
    assert privacy.record({"message": "token-of-somebody short"})["message"] == "[redacted] short"


def test_where_the_shell_is_may_be_said(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``PWD`` is no password: messages keep the paths of what lies in the folder."""
    monkeypatch.setenv("PWD", "/data/analysis")
    monkeypatch.setenv("OLDPWD", "/data/elsewhere")
    monkeypatch.setenv("DB_PWD", "hunter2-hunter2")
    privacy = privacy_of(replace(plan_of(path), secrets=frozenset()), anonymous=False)
    said = "in /data/analysis/kit.py, not /data/elsewhere: hunter2-hunter2"
    cleaned = privacy.record({"message": said})["message"]
    assert cleaned == "in /data/analysis/kit.py, not /data/elsewhere: [redacted]"


def test_this_user_is_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "homes" / "ada"))
    monkeypatch.setenv("LOGNAME", "ada-l")
    assert this_anonymizer()(f"{tmp_path}/homes/ada/x by ada-l") == "~/x by [user]"


def test_a_product_is_not_named_by_what_must_not_be_recorded(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY_PIN", "name-of-a-file")
    path.write_text(WORKFLOW.replace("out: out.txt", "out: 'x${env.CANARY_PIN}.txt'"))
    (problem,) = Workflow(path, params={}, sets=(), profile=None).validate()
    assert (problem.code, problem.span.line if problem.span else 0) == ("GP713", 7)
    assert "name-of-a-file" not in f"{problem.message} {problem.hint}"
    path.write_text(path.read_text() + "execution: {record_env: [CANARY_PIN]}\n")
    assert Workflow(path, params={}, sets=(), profile=None).validate() == []
