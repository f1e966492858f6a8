"""Secrets by name, by look and by known value; names of people and machines; events and plans."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from gpwf.core.anonymity import Anonymizer
from gpwf.core.digests import Digest, TaskKey
from gpwf.core.event_redaction import Privacy
from gpwf.core.plan import Plan, PlannedFile, Task
from gpwf.core.plan_codec import plan_to_plain, plan_to_text
from gpwf.core.plan_redaction import recorded_plan
from gpwf.core.redact import Redactor, is_recorded_variable, redact_text, secrets_in
from gpwf.core.runs import (
    AttemptFinished,
    Failure,
    Product,
    Resources,
    RunFinished,
    RunState,
    TaskNotRun,
    TaskState,
)

SECRET = "pa/ss 'wörd'\"1"


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        repr(SECRET),
        "pa%2Fss%20%27w%C3%B6rd%27%221",
        "pa/ss%20%27w%C3%B6rd%27%221",
    ],
)
def test_a_known_value_is_found_in_every_form_that_texts_have(form: str) -> None:
    shown = Redactor([SECRET])(f"before {form} after")
    assert shown.replace('"', "").replace("'", "") == "before [redacted] after"


def test_short_values_count_alone_and_very_short_ones_not_at_all() -> None:
    clean = Redactor(["test", "abc", "", " "])
    assert clean("test, latest, contests, test-1, abc") == (
        "[redacted], latest, contests, [redacted]-1, abc"
    )
    assert not Redactor(["abc", ""])
    assert Redactor(["long-enough"])("xlong-enoughx") == "x[redacted]x"


def test_the_longest_value_goes_first_and_lines_of_one_count() -> None:
    clean = Redactor(["secret-one", "secret-one-and-more", "first line\nsecond line\n"])
    assert clean("secret-one-and-more") == "[redacted]"
    assert clean("on its own: second line.") == "on its own: [redacted]."


def test_a_value_that_was_cut_off_is_found_and_what_begins_alike_stays() -> None:
    value = "/data/observatory/private/abcdef"
    clean = Redactor([value])
    assert clean(f"no such file: {value[:25]}...") == "no such file: [redacted]..."
    assert clean(f"no such file: {value[:20]}") == "no such file: [redacted]"
    assert clean("/data/observatory/public") == "/data/observatory/public"


def test_without_known_values_a_text_is_only_looked_at_for_what_looks_secret() -> None:
    clean = Redactor()
    assert not clean
    assert clean.known("password: x1") == "password: x1"
    assert clean("password: x1") == redact_text("password: x1") == "password: [redacted]"


def test_plain_data_is_redacted_by_the_names_of_keys_and_by_options() -> None:
    data = {
        "token": "abc",
        "pin": {"secret": 12, "n": 3, "is_secret": True, "auth": None},
        "argv": ["prog", "--password", "abc", "in.fits"],
        "list": [1, "known-value"],
    }
    assert Redactor(["known-value"]).data(data) == {
        "token": "[redacted]",
        "pin": {"secret": "[redacted]", "n": 3, "is_secret": True, "auth": None},
        "argv": ["prog", "--password", "[redacted]", "in.fits"],
        "list": [1, "[redacted]"],
    }


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("https://me:pw1234@host/x", ["pw1234"]),
        ("{a: {api_key: k-1}}", ["k-1"]),
        ("Authorization: Bearer abcdefgh.ijk", ["abcdefgh.ijk"]),
        ("token: ${env.TOKEN}", []),
        ("https://me:${env.TOKEN}@host", []),
        ("nothing: here", []),
    ],
)
def test_what_a_text_would_lose_is_told(text: str, found: list[str]) -> None:
    assert list(secrets_in(text)) == found
    for item in found:
        assert item not in redact_text(text)


def test_variables_that_may_be_recorded() -> None:
    assert is_recorded_variable("GAMMAPY_DATA")
    assert is_recorded_variable("GPWF_STORE")
    assert not is_recorded_variable("GPWF_API_TOKEN")
    assert not is_recorded_variable("HOME")


def test_names_of_people_and_machines_go_and_common_ones_stay() -> None:
    clean = Anonymizer(
        users=["ada", "root"], hosts=["node7.lab.org", "localhost"], homes=["/home/ada", "/"]
    )
    text = "/home/ada/x /home/adam/y ADA canada root@localhost node7 Node7.lab.org node70 ada_1"
    assert clean(text) == "~/x /home/adam/y [user] canada root@localhost [host] [host] node70 ada_1"
    assert not Anonymizer(users=["root", "", "7"], hosts=["localhost"], homes=["/", ""])


def finished(**more: object) -> AttemptFinished:
    product = Product(kind="file", digest=Digest("ab"), files=(), summary={"from": "known-value"})
    return AttemptFinished(
        time="2026-01-02T03:04:05Z",
        clock_s=1.0,
        task="a",
        attempt=1,
        attempt_id="1",
        key=TaskKey("k"),
        state=TaskState.FAILED,
        started="",
        ended="",
        products={"out": product},
        failure=Failure(
            kind="E", message="m known-value", hint="known-value", traceback="T: known-value"
        ),
        resources=Resources(host="node7"),
        **more,  # type: ignore[arg-type]
    )


def test_events_lose_what_is_known_and_the_machine() -> None:
    privacy = Privacy(clean=Redactor(["known-value"]), anonymous=True)
    shown = privacy.event(finished())
    assert isinstance(shown, AttemptFinished)
    assert "known-value" not in repr(shown)
    assert "node7" not in repr(shown)
    assert shown.failure is not None
    assert shown.failure.message == "m [redacted]"
    moment = {"time": "", "clock_s": 0.0}
    for event in (
        TaskNotRun(task="a", state=TaskState.BLOCKED, reason="known-value", **moment),  # type: ignore[arg-type]
        RunFinished(state=RunState.FAILED, reason="failed: known-value", **moment),  # type: ignore[arg-type]
    ):
        assert "known-value" not in repr(privacy.event(event))


def test_an_event_with_nothing_to_hide_is_the_same_object() -> None:
    privacy = Privacy(clean=Redactor())
    event = replace(finished(), failure=None)
    assert privacy.event(event) is event


def test_what_tasks_say_is_redacted_and_the_rest_of_a_record_stays() -> None:
    privacy = Privacy(clean=Redactor(), talk=Redactor(["known-value"]))
    record = {"message": "known-value", "traceback": "known-value", "task_id": "a", "done": 1}
    assert privacy.record(record) == {
        "message": "[redacted]",
        "traceback": "[redacted]",
        "task_id": "a",
        "done": 1,
    }


def make_plan(**more: object) -> Plan:
    task = Task(
        id="a",
        step="a",
        tag="command",
        version="1",
        settings={
            "url": "https://me:known-value@host",
            "energy": "5.0 TeV",
            "number": 7,
            "argv": ["x", "known-value", "y"],
            "deep": {"token": "t", "list": [{"n": 1}, "known-value"]},
        },
        types={"energy": "energy"},
        origins={"url": ("command line -p x=known-value", "/known-value/w.yaml:1:2")},
        inputs={},
        input_ports=(),
        output_ports=(),
        files=(
            PlannedFile(setting="f", name="n", path="/known-value/n", digest=Digest("d"), size=1),
        ),
        sealed={"url": "s1", "energy": "s2", "number": "s3"},
        place="/known-value/w.yaml:3:4",
    )
    return Plan(
        name="p",
        workflow_digest=Digest("ab"),
        tasks=(task,),
        steps=(),
        params={"token": "t", "x": "known-value"},
        overrides={"params": {"token": "t"}, "set": [["steps.a.config.token", "t"], ["x", "1"]]},
        sources={"/known-value/w.yaml": "d"},
        **more,  # type: ignore[arg-type]
    )


def test_a_recorded_plan_has_no_secret_and_keeps_the_rest() -> None:
    plan = recorded_plan(make_plan(secrets=frozenset({"known-value"})))
    (task,) = plan.tasks
    assert task.settings == {
        "url": "https://me:[redacted]@host",
        "energy": "[redacted]",  # in other words than it was given
        "number": "[redacted]",
        "argv": ["x", "[redacted]", "y"],
        "deep": {"token": "[redacted]", "list": [{"n": 1}, "[redacted]"]},
    }
    assert "known-value" not in json.dumps(plan_to_plain(plan))
    assert plan.overrides == {
        "params": {"token": "[redacted]"},
        "set": [["steps.a.config.token", "[redacted]"], ["x", "1"]],
    }
    assert plan.secrets == frozenset()


def test_a_value_too_short_to_be_found_leaves_out_the_whole_setting() -> None:
    plan = recorded_plan(make_plan(secrets=frozenset({"known-value", "me"})))
    assert plan.tasks[0].settings["url"] == "[redacted]"


def test_a_plan_without_secrets_is_the_same_object_and_secrets_are_never_written() -> None:
    plan = make_plan()
    assert recorded_plan(plan) is plan
    text = b"".join(plan_to_text(make_plan(secrets=frozenset({"only-here"})))).decode()
    assert "only-here" not in text
