"""Records are read for pictures whoever wrote them, and as far as they go."""

from __future__ import annotations

import json
from pathlib import Path

import prov_factory as factory
import pytest
from picture_plans import busy_plan, busy_run

from gpwf.errors import ProvenanceError
from gpwf.prov.document import build_document
from gpwf.prov.export import write
from gpwf.prov.graph import Graph, build_graph
from gpwf.prov.record_index import RELATIONS, RecordIndex
from gpwf.prov.stream import write_record


def lines_file(folder: Path) -> Path:
    plan = factory.scatter_plan()
    write_record(folder / "prov.json", plan, factory.scattered_failure(plan))
    return folder / "prov.json"


def content(index: RecordIndex) -> object:
    """Return all that an index holds."""
    elements = [index.element(name) for name in index.names()]
    links = [link for relation in RELATIONS for link in index.links(relation)]
    return sorted(repr(item) for item in elements), sorted(map(repr, links))


def same(one: Graph, two: Graph) -> bool:
    def plain(graph: Graph) -> object:
        nodes = [(n.kind, n.title, n.lines, n.state) for n in graph.nodes.values()]
        return sorted(map(repr, nodes)), len(graph.edges)

    return plain(one) == plain(two)


def test_line_by_line_and_whole_are_the_same(tmp_path: Path) -> None:
    lines = lines_file(tmp_path)
    whole = tmp_path / "whole.json"
    whole.write_text(json.dumps(json.loads(lines.read_text()), indent=3))
    assert content(RecordIndex(path=lines)) == content(RecordIndex(path=whole))


def test_library_and_stream_give_the_same_picture(tmp_path: Path) -> None:
    plan = busy_plan(4)
    write_record(tmp_path / "stream.json", plan, busy_run(plan))
    document = build_document(plan, busy_run(plan))
    write(document, tmp_path / "library.json")
    graphs = [
        build_graph(item, detail="task")
        for item in (
            RecordIndex(path=tmp_path / "stream.json"),
            RecordIndex(path=tmp_path / "library.json"),
            document,
        )
    ]
    assert same(graphs[0], graphs[1])
    assert same(graphs[0], graphs[2])


@pytest.mark.parametrize("part", [0.3, 0.6, 0.9, 0.99])
def test_whole_lines_of_a_torn_record_are_read(tmp_path: Path, part: float) -> None:
    path = lines_file(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    index = RecordIndex(path=path)
    line = data[: int(len(data) * part)].count(b"\n") + 1
    assert f"is damaged at line {line}" in index.note
    graph = build_graph(index)
    assert graph.nodes
    assert index.note in graph.note


def test_a_damaged_line_ends_what_is_read(tmp_path: Path) -> None:
    path = lines_file(tmp_path)
    lines = path.read_text().splitlines(keepends=True)
    lines[40] = lines[40].replace('"', "", 1)
    path.write_text("".join(lines))
    assert "is damaged at line 41" in RecordIndex(path=path).note


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is torn|is not JSON"),
        (b"{", "is torn"),
        (b"\xff\xfe{}", "not a text file"),
        (b"not json at all", "is not JSON"),
        (b'{"entity": 3}', "holds no entity, activity or agent"),
        (b"[]", "not PROV-JSON"),
        (b"[" * 100_000, "too deeply nested|is torn"),
        (b'{\n"entity":{\n', "is torn|not JSON"),
    ],
)
def test_what_is_no_record_is_refused(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "prov.json"
    path.write_bytes(data)
    with pytest.raises(ProvenanceError, match=words):
        RecordIndex(path=path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProvenanceError, match=r"cannot read .*nowhere\.json: No such file"):
        RecordIndex(path=tmp_path / "nowhere.json")


def test_records_of_others_are_read_as_far_as_they_go(tmp_path: Path) -> None:
    """With other prefixes, bundles, repeated identifiers, lists, and what is no relation."""
    record = {
        "prefix": {"g": "urn:gpwf:", "ex": "http://example.org/"},
        "entity": {
            "ex:raw": {"prov:type": {"$": "g:File", "type": "prov:QUALIFIED_NAME"}, "g:size_B": 12},
            "ex:twice": [
                {"prov:label": "one"},
                {"ex:a": [1, True, None, {"$": "ü", "lang": "de"}]},
            ],
            "ex:odd": 7,
        },
        "activity": {"ex:do": {"prov:startTime": "yesterday", "g:state": "ok"}},
        "used": {"_:1": {"prov:activity": "ex:do", "prov:entity": "ex:raw"}, "_:2": {}, "_:3": []},
        "hadMember": {"_:4": {"prov:collection": "ex:twice", "prov:entity": ["ex:raw", "ex:more"]}},
        "bundle": {"ex:b": {"entity": {"ex:inside": {}}, "nonsense": {"_:9": 1}}},
        "unheard": {"_:5": {"prov:activity": "ex:do"}},
        "wasGeneratedBy": "text",
    }
    path = tmp_path / "foreign.json"
    path.write_text(json.dumps(record))
    index = RecordIndex(path=path)
    raw, twice = index.element("ex:raw"), index.element("ex:twice")
    assert raw is not None
    assert twice is not None
    assert (raw.types, raw.get("size_B")) == (["gpwf:File"], "12")
    assert (twice.label, twice.all("ex:a")) == ("one", ["1", "true", "", "ü"])
    graph = build_graph(index, detail="step")
    titles = {node.title for node in graph.nodes.values()}
    assert {"raw", "one", "do", "inside", "ex:more", "odd"} <= titles
    assert len(graph.edges) == 3


def test_a_record_without_tasks_is_drawn_in_full(tmp_path: Path) -> None:
    plan = factory.make_plan()
    events = factory.Journal(plan).events  # the run has begun, nothing else
    write_record(tmp_path / "prov.json", plan, events)
    index = RecordIndex(path=tmp_path / "prov.json")
    graph = build_graph(index)
    assert {n.state for n in graph.nodes.values() if n.kind == "activity"} == {"waiting"}
    assert len(build_graph(index, detail="workflow").nodes) > 2


def test_a_record_of_a_newer_gpwf_is_drawn_with_a_note(tmp_path: Path) -> None:
    path = lines_file(tmp_path)
    run = next(item for item in RecordIndex(path=path).runs() if item.get("runId"))
    text = path.read_text()
    assert RecordIndex(path=path).note == ""
    newer = text.replace(f'"{run.id}":{{', f'"{run.id}":{{"gpwf:format":99,', 1)
    newer = newer.replace('"gpwf:format":{"$":"1"', '"gpwf:formerly":{"$":"1"')
    path.write_text(newer)
    index = RecordIndex(path=path)
    assert "of a newer gpwf (format 99" in index.note
    assert index.note in build_graph(index).note
