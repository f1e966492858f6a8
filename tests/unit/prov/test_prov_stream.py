"""What is written as it goes says the same as the document of the provenance library."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import prov_factory as factory
import pytest
from prov.model import ProvDocument
from prov_constraints import problems
from test_prov_document import RUNS

from gpwf.core.plan import Plan
from gpwf.core.runs import AttemptFinished, RunEvent, RunStarted, TaskState
from gpwf.errors import ProvenanceError
from gpwf.prov import json_recorder, json_sections
from gpwf.prov.document import build_document
from gpwf.prov.document_recorder import DocumentRecorder
from gpwf.prov.export import load
from gpwf.prov.json_recorder import JsonRecorder
from gpwf.prov.recorder import Form, Recorder, Ref
from gpwf.prov.stream import RecordWriter, write_record

OPTIONS: dict[str, Any] = {
    "workflow_text": factory.WORKFLOW,
    "log_digests": {"log.jsonl": "a" * 64, "journal.jsonl": "b" * 64},
}


def twice_in_one_folder(plan: Plan) -> list[RunEvent]:
    """Return a journal of two runs, the first one of another plan."""
    first = factory.make_plan(("models", "plot-lc"))
    return [*factory.good_run(first), *factory.mixed_run(plan)]


def backwards(plan: Plan) -> list[RunEvent]:
    """Return a run during which the clock was set back, with a time in another zone."""
    journal = factory.Journal(plan)
    journal.start(plan.tasks[0])
    journal.end(plan.tasks[0], started="2026-03-14T10:26:40+01:00", ended=factory.at(-70))
    return journal.finish()


def twins(plan: Plan) -> list[RunEvent]:
    """Return a run in which a result of this run serves an identical task."""
    journal = factory.Journal(plan)
    first, second = plan.of_step("models")
    journal.ok(first)
    journal.cached(second, made_at=0.0)
    journal.events[-1] = replace(
        journal.events[-1],
        made_by_run=journal.run_id,
        made_by_attempt=factory.identifier(journal.run_id, first.id, 1),
    )
    return journal.finish()


def strange(plan: Plan) -> list[RunEvent]:
    """Return a run whose texts hold what JSON, XML and UTF-8 do not like."""
    events = factory.good_run(plan)
    agent = {"user": "Jürg Müller/x", "host": 'h:1"\\', "engine": "gpwf é", "version": "\x00"}
    return [replace(events[0], agent=agent, command=('"', "\ud800", "\u2028")), *events[1:]]


ALL = RUNS | {
    "twice in one folder": (factory.make_plan, twice_in_one_folder),
    "backwards": (lambda: factory.make_plan(("models",)), backwards),
    "twins": (lambda: factory.make_plan(copies=2), twins),
    "strange": (factory.make_plan, strange),
}


def equal(path: Path, document: ProvDocument) -> None:
    """Compare a file with a document, record by record."""
    found = load(path)
    assert found == document
    assert len(found.get_records()) == len(document.get_records())  # nothing twice


@pytest.mark.parametrize("name", ALL)
def test_the_file_is_the_document(name: str, tmp_path: Path) -> None:
    make, run = ALL[name]
    plan = make()
    events = run(plan)
    path = write_record(tmp_path / "prov" / "prov.json", plan, iter(events), **OPTIONS)
    equal(path, build_document(plan, events, **OPTIONS))
    assert problems(path.read_text()) == []
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("name", ["mixed", "scatter and failed", "gathered", "healed"])
def test_the_file_is_the_document_wherever_the_journal_stops(
    name: str, live: bool, tmp_path: Path
) -> None:
    make, run = RUNS[name]
    plan = make()
    events = run(plan)
    for stop in range(1, len(events) + 1):
        path = write_record(tmp_path / "prov.json", plan, events[:stop], live=live)
        equal(path, build_document(plan, events[:stop], live=live))


@pytest.mark.parametrize("name", ["mixed", "twice in one folder", "gathered and cached"])
def test_a_large_record_is_the_same(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, run = ALL[name]
    plan = make()
    path = write_record(tmp_path / "one.json", plan, run(plan), **OPTIONS)
    spilled: list[int] = []
    spill = json_sections.Section.spill

    def counted(section: json_sections.Section) -> None:
        spilled.append(len(section.lines))
        spill(section)

    monkeypatch.setattr(json_recorder, "MOST_LINES", 2)
    monkeypatch.setattr(json_recorder, "LOOK_AFTER", 1)
    monkeypatch.setattr(json_sections.Section, "spill", counted)
    again = write_record(tmp_path / "two.json", plan, run(plan), **OPTIONS)
    assert len(spilled) > 50
    assert again.read_bytes() == path.read_bytes()
    assert sorted(item.name for item in tmp_path.iterdir()) == ["one.json", "two.json"]


def test_told_as_they_happen_the_events_give_the_same_bytes(tmp_path: Path) -> None:
    plan = factory.make_plan()
    events = factory.mixed_run(plan)
    path = write_record(tmp_path / "one.json", plan, events, **OPTIONS)
    with RecordWriter(tmp_path / "two.json", plan) as writer:
        for event in events:
            writer.apply(event)
            assert not writer.path.exists()
        again = writer.finish(**OPTIONS)
    assert again.read_bytes() == path.read_bytes()


def test_no_event_is_kept(tmp_path: Path) -> None:
    plan = factory.make_plan(copies=3)
    events = [event for event in factory.good_run(plan) if not isinstance(event, RunStarted)]
    counts: list[int] = []

    def told() -> Iterator[RunEvent]:
        yield factory.good_run(plan)[0]
        for event in events:
            before = sys.getrefcount(event)
            yield event
            if isinstance(event, AttemptFinished):
                counts.append(sys.getrefcount(event) - before)

    write_record(tmp_path / "prov.json", plan, told())
    # one is the name that goes over the events
    assert len(counts) == len(plan.tasks)
    assert set(counts) <= {0, 1}


def test_the_provenance_library_is_not_needed(tmp_path: Path) -> None:
    code = """if True:
        import sys
        from pathlib import Path
        import prov_factory as factory
        from gpwf.prov.stream import write_record
        plan = factory.make_plan()
        write_record(Path("prov.json"), plan, factory.mixed_run(plan))
        assert "prov" not in sys.modules
    """
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    environment = os.environ | {"PYTHONPATH": path}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)
    assert problems((tmp_path / "prov.json").read_text()) == []


def test_each_record_is_a_line(tmp_path: Path) -> None:
    plan = factory.make_plan()
    path = write_record(tmp_path / "prov.json", plan, factory.good_run(plan))
    data = json.loads(path.read_text())
    lines = [line for line in path.read_text().splitlines() if line.endswith(("},", "}}", '"}'))]
    assert len(lines) >= sum(len(section) for name, section in data.items() if name != "prefix")


@pytest.mark.parametrize("plan", [factory.make_plan(("models",))], ids=["other"])
def test_what_cannot_be_recorded_is_refused(plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "prov.json"
    with pytest.raises(ProvenanceError, match="does not say that the run started"):
        write_record(path, plan, [])
    with pytest.raises(ProvenanceError, match="which is not in the plan"):
        write_record(path, plan, factory.good_run(factory.make_plan()))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["os.fsync", "tempfile.TemporaryFile"])
def test_a_full_disk_leaves_the_old_file(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "prov.json"
    path.write_text("old")

    def full(*args: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(json_recorder, "MOST_LINES", 2)
    monkeypatch.setattr(f"gpwf.prov.json_sections.{place}", full)
    plan = factory.make_plan()
    with pytest.raises(ProvenanceError, match=r"cannot write .*prov\.json: No space left"):
        write_record(path, plan, factory.good_run(plan))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


# ---- the recorder itself ----------------------------------------------------------------------

VALUES: list[Any] = [
    None,
    "",
    "plain",
    'quotes " and \\ and /',
    "line\nline\ttab\r",
    "nul \x00 and \x1f and \x7f",
    "\ud800 \ufffe é € 𝄞 \u2028",
    "\\u0041",
    True,
    False,
    0,
    -1,
    2**31 - 1,
    2**31,
    -(2**31),
    -(2**31) - 1,
    2**63,
    0.1,
    -0.0,
    1e300,
    float("nan"),
    float("-inf"),
    [],
    {},
    [1, "a", None, True, 0.5, float("inf")],
    {"b": 1, "a": {"y": [], "x": "\x00"}, "é": 2},
    (1, 2),
    TaskState.CACHED,
    Ref("act-x"),
]


def recorded(recorder: Recorder) -> None:
    """Record every value, alone and among others."""
    for number, value in enumerate(VALUES):
        recorder.entity(f"x-{number}", ("gpwf:File",), [("name", value), ("prov:value", value)])
    recorder.entity("y", (), [("name", value) for value in (*VALUES, *VALUES)])
    recorder.entity("z")
    form = Form(("gpwf:File", "wfprov:Artifact"), ("name", "prov:value", "kind"))
    for number, value in enumerate(VALUES):
        more = recorder.prepare([("output", "a"), ("output", value)])
        recorder.entity_of(form, f"f-{number}", (value, value, "x"), more, unique=True)
        recorder.entity_of(form, "f-again", (value, value, None))
    recorder.agent("agent", ("prov:Person", "prov:SoftwareAgent"), [("user", "é")])
    notes = recorder.prepare([("name", 1), ("state", ""), ("name", 2)])
    recorder.activity("act-x", None, None, (), [("task", "a")], notes)
    usages = [recorder.usage("y", "in.a", notes), recorder.usage("z", "in.é")]
    recorder.used_all("act-x", usages, None)
    for again in (None, None, 1, 2):
        recorder.used("act-x", "y", 'in."x"', None, notes, again)


def test_values_are_typed_as_the_library_types_them(tmp_path: Path) -> None:
    document, lines = DocumentRecorder(), JsonRecorder(tmp_path)
    recorded(document)
    recorded(lines)
    path = tmp_path / "x.json"
    with path.open("wb") as stream:
        lines.write_to(stream)
    equal(path, document.document)


def test_a_relation_of_another_activity_is_refused(tmp_path: Path) -> None:
    recorder = JsonRecorder(tmp_path)
    recorder.activity("act-1", None, None)
    recorder.activity("act-2", None, None)
    with pytest.raises(ValueError, match="a relation of act-1, but act-2 is being recorded"):
        recorder.used("act-1", "x", "in.x", None)
    with pytest.raises(ValueError, match="given twice"):
        recorder.activity("act-3", None, None, (), [("task", 1)], recorder.prepare([("task", 2)]))


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, object()], ids=lambda x: type(x).__name__)
def test_what_is_no_plain_data_is_refused(value: Any, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="has no place in a record"):
        JsonRecorder(tmp_path).entity("x", (), [("name", value)])
