"""What a picture shows of a run: workflow, folding, settings, nested workflows, gathered inputs."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from html import unescape
from pathlib import Path
from xml.etree import ElementTree

import pytest
from picture_plans import busy_plan, busy_run
from prov_nested import CONDITION, nested_failure, nested_scatter

from gpwf.core.layout import arrange
from gpwf.errors import ProvenanceError
from gpwf.prov import draw as drawing
from gpwf.prov.document import build_document
from gpwf.prov.dot import to_dot
from gpwf.prov.draw import draw_file
from gpwf.prov.graph import Graph, Node, build_graph
from gpwf.prov.html import page_data
from gpwf.prov.record_index import RecordIndex
from gpwf.prov.stream import write_record

needs_dot = pytest.mark.skipif(
    shutil.which("dot") is None, reason="the dot program of Graphviz is not installed"
)


def busy(n: int = 10, *, failing: bool = True, **options: object) -> Graph:
    plan = busy_plan(n)
    document = build_document(plan, busy_run(plan, failing=failing))
    return build_graph(document, **options)  # type: ignore[arg-type]


def node(graph: Graph, title: str, kind: str = "activity") -> Node:
    (found,) = [n for n in graph.nodes.values() if n.kind == kind and n.title == title]
    return found


def record(folder: Path, n: int) -> Path:
    plan = busy_plan(n)
    write_record(folder / "prov.json", plan, busy_run(plan))
    return folder / "prov.json"


# ---- workflow ----------------------------------------------------------------------------------


def test_workflow_is_one_activity_with_inputs_results_agents_and_plan() -> None:
    graph = busy(detail="workflow")
    (run,) = [n for n in graph.nodes.values() if n.kind == "activity"]
    assert run.title == "busy"
    assert run.state == "failed"
    assert run.counts == {"ok": 28, "cached": 1, "failed": 1, "blocked": 2, "skipped": 1}
    kinds = {n.kind for n in graph.nodes.values()}
    assert {"input", "product", "agent", "plan", "environment"} <= kinds
    assert node(graph, "figure", "product")
    assert node(graph, "crab-pl.yaml", "input")
    ends = {(graph.nodes[e.source].kind, graph.nodes[e.target].kind) for e in graph.edges}
    assert ("input", "activity") in ends
    assert ("activity", "product") in ends
    assert ("agent", "agent") in ends


def test_parameters_of_the_workflow_on_demand() -> None:
    assert not [line for line in busy(detail="workflow").nodes if "e_min" in line]
    (run,) = [
        n
        for n in busy(detail="workflow", parameters=["e_min"]).nodes.values()
        if n.kind == "activity"
    ]
    assert "e_min = 1.0 TeV" in run.lines


# ---- settings ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "lines"),
    [
        ((), []),
        (
            ("all",),
            ["seed = 0; …; 9 (10 values)", "geom.energy.min = 1.0 TeV", "method = reflected"],
        ),
        (("changed",), ["seed = 0; …; 9 (10 values)", "geom.energy.min = 1.0 TeV"]),
        (("geom",), ["geom.energy.min = 1.0 TeV"]),
        (("min", "method"), ["geom.energy.min = 1.0 TeV", "method = reflected"]),
    ],
)
def test_settings_in_the_nodes(wanted: Sequence[str], lines: list[str]) -> None:
    fit = node(busy(failing=False, parameters=wanted), "fit")
    assert [line for line in fit.lines if " = " in line] == lines


def test_a_setting_that_nothing_has_is_refused() -> None:
    for detail, wrong, near in (("step", "metod", "method"), ("workflow", "emin", "e_min")):
        with pytest.raises(ProvenanceError, match=f"no setting is called '{wrong}'") as caught:
            busy(parameters=[wrong], detail=detail)
        assert near in str(caught.value.hint)


def test_seed_and_coordinates_stand_on_a_task() -> None:
    graph = busy(2, failing=False, detail="task")
    assert node(graph, "fit[seed=1]").shown[:2] == ["fit", "seed=1"]
    assert "seed = 0" in node(graph, "table").lines  # no coordinate says so
    assert "seed = 1" not in node(graph, "fit[seed=1]").lines
    facts = {fact.name: fact.value for fact in node(graph, "toy/simulate[seed=1]").facts}
    assert facts["random stream"] == "[17,1,4]"


# ---- states ------------------------------------------------------------------------------------


def test_states_of_folded_steps_are_counted() -> None:
    graph = busy(12)
    assert node(graph, "toy/simulate").counts == {"ok": 11, "cached": 1}
    assert node(graph, "toy/reduce").lines == ["10 ok, 1 failed, 1 skipped"]
    assert node(graph, "fit").lines == ["10 ok, 2 blocked, 1 tried again"]
    again = node(busy(12, detail="task"), "fit[seed=10]")
    assert again.lines == ["ok, attempt 2"]
    assert [f.value for f in again.facts if f.name == "signal"] == ["9"]


def test_gathered_inputs_are_counted() -> None:
    graph = busy(12, failing=False)
    gathers = {
        (graph.nodes[e.source].title, graph.nodes[e.target].title): e.gathers for e in graph.edges
    }
    assert gathers["result", "table"] == 12
    assert gathers["events", "toy/reduce"] == 1
    assert "12 gathered" in to_dot(graph)


def test_what_was_not_run_hangs_on_what_kept_it() -> None:
    graph = busy(12)
    dashed = {
        (graph.nodes[e.source].title, graph.nodes[e.target].title) for e in graph.edges if e.dashed
    }
    assert dashed == {("toy/reduce", "fit")}


# ---- nested workflows ---------------------------------------------------------------------------


def test_nested_workflow_is_a_box() -> None:
    graph = busy(3)
    assert list(graph.groups) == ["toy"]
    assert graph.groups["toy"].state == "failed"
    assert node(graph, "toy/reduce").shown[0] == "reduce"
    assert node(graph, "events", "product").group == "toy"
    assert node(graph, "fit").group == ""
    source = to_dot(graph)
    assert source.count("subgraph cluster_") == 1
    assert "label=toy" in source


def test_no_name_nests_without_end(tmp_path: Path) -> None:
    name = "deep/" * 3000 + "end"
    record = {
        "prefix": {"gpwf": "urn:gpwf:"},
        "activity": {"gpwf:a": {"gpwf:task": name, "gpwf:step": name, "gpwf:state": "ok"}},
    }
    (tmp_path / "prov.json").write_text(json.dumps(record))
    graph = build_graph(RecordIndex(path=tmp_path / "prov.json"))
    assert len(graph.groups) == 20
    assert to_dot(graph).count("subgraph") == 20
    assert len(page_data(graph, logs={})["levels"]) == 21


def test_products_of_a_folded_step_are_counted() -> None:
    assert node(busy(12), "result", "product").lines == ["10 products"]
    assert node(busy(12), "table", "product").lines == []


def test_workflows_in_workflows_are_boxes_in_boxes() -> None:
    plan = busy_plan(2)
    names = {"toy/": "outer/inner/"}

    def moved(text: str) -> str:
        return text.replace("toy/", names["toy/"])

    tasks = [
        replace(
            task,
            id=moved(task.id),
            step=moved(task.step),
            inputs={
                port: tuple(replace(ref, task=moved(ref.task)) for ref in refs)
                for port, refs in task.inputs.items()
            },
        )
        for task in plan.tasks
    ]
    steps = [replace(step, name=moved(step.name)) for step in plan.steps]
    plan = replace(plan, tasks=tuple(tasks), steps=tuple(steps))
    graph = build_graph(build_document(plan, busy_run(plan, failing=False)))
    assert list(graph.groups) == ["outer", "outer/inner"]
    assert to_dot(graph).count("subgraph cluster_") == 2
    data = page_data(graph, logs={})
    assert [group["outer"] for group in data["groups"]] == [-1, 0]
    assert len(data["levels"]) == 3
    assert -3 in [item for layer in data["levels"][1]["layers"] for item in layer]


def test_runs_within_the_run_are_told_on_their_boxes() -> None:
    plan = nested_scatter()
    graph = build_graph(build_document(plan, nested_failure(plan)))
    assert {name: box.state for name, box in graph.groups.items()} == {
        "never": "skipped",
        "outer": "failed",
        "outer/inner": "failed",
    }
    facts = {(f.section, f.name): f.value for f in graph.groups["outer/inner"].facts}
    assert facts["run of outer/inner[outer/row=b]", "tasks"] == "1 failed"
    fit = node(graph, "outer/inner/fit")
    assert [f.value for f in fit.facts if f.name == "condition"] == [CONDITION.text]
    whole = build_graph(build_document(plan, nested_failure(plan)), detail="workflow")
    assert len([n for n in whole.nodes.values() if n.kind == "activity"]) == 1
    assert node(whole, "crab-pl.yaml", "input")  # known by content only to the attempt of old


# ---- folding by itself --------------------------------------------------------------------------


def test_large_steps_are_folded_first_and_it_is_said() -> None:
    graph = busy(40, failing=False, detail="task", most=60)
    titles = [n.title for n in graph.nodes.values() if n.kind == "activity"]
    assert "fit" in titles
    assert "toy/reduce" in titles
    assert "toy/simulate[seed=39]" in titles
    assert graph.note == (
        "more than 60 tasks to draw one by one, so these steps are folded: "
        "fit (40), toy/reduce (40)"
    )
    assert graph.note == busy(40, failing=False, detail="task", most=60).note
    assert busy(40, failing=False, detail="task", most=123).note == ""


def test_page_has_every_task_with_what_it_needs() -> None:
    graph = busy(40, members=True)
    data = page_data(graph, logs={"fit[seed=7]": ["a line"]})
    named = {entry["name"]: entry for entry in data["nodes"]}
    assert len([entry for entry in data["nodes"] if entry.get("task")]) == 123
    assert named["fit"]["members"]
    facts = {
        data["texts"][line]
        for section, lines in named["fit[seed=7]"]["facts"]
        for line in [section, *lines]
    }
    assert {"1.0 TeV   (command line)", "Product result", "wall time", "2.0 s"} <= facts
    assert data["logs"] == {"fit[seed=7]": ["a line"]}


# ---- parts -------------------------------------------------------------------------------------


def test_an_unknown_name_gets_the_nearest_ones() -> None:
    for wrong, near in (("toy/redcue", "toy/reduce"), ("fit[seed=99]", "fit"), ("figre", "figure")):
        with pytest.raises(ProvenanceError, match="nothing called") as caught:
            busy(of=wrong)
        assert near in str(caught.value.hint)
    with pytest.raises(ProvenanceError) as caught:
        busy(of="x" * 100_000)
    assert len(str(caught.value)) < 300


# ---- files -------------------------------------------------------------------------------------


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    path = record(tmp_path, 2)
    with pytest.raises(ProvenanceError, match="cannot write"):
        draw_file(path, path=path / "below" / "x.dot")
    (tmp_path / "folder.dot").mkdir()
    with pytest.raises(ProvenanceError, match="cannot write"):
        draw_file(path, path=tmp_path / "folder.dot")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["folder.dot", "prov.json"]


def test_a_picture_is_for_colleagues_too(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        made = draw_file(record(tmp_path, 2), path=tmp_path / "x.html")
    finally:
        os.umask(before)
    assert stat.S_IMODE(made.stat().st_mode) == 0o644


def test_too_large_a_graph_is_refused_with_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = record(tmp_path, 60)
    monkeypatch.setattr(drawing, "graphviz_available", lambda: True)
    monkeypatch.setattr(drawing, "_MOST_PARTS", 100)
    with pytest.raises(ProvenanceError, match="too many for Graphviz") as caught:
        draw_file(path, path=tmp_path / "x.svg", detail="task")
    assert "--of" in str(caught.value.hint)
    monkeypatch.setattr(drawing, "_MOST_PAGE_PARTS", 100)
    monkeypatch.setattr(drawing, "MOST_TASKS", {})
    with pytest.raises(ProvenanceError, match="too many for a page"):
        draw_file(path, path=tmp_path / "x.html", detail="task")


def test_a_hopeless_full_picture_is_refused_before_it_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = record(tmp_path, 60)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("the graph was built")

    monkeypatch.setattr(drawing, "build_graph", never)
    monkeypatch.setattr(drawing, "_MOST_PAGE_PARTS", 1000)
    with pytest.raises(ProvenanceError, match="too many to draw in full") as caught:
        draw_file(path, path=tmp_path / "x.html", detail="full")
    assert "--of" in str(caught.value.hint)
    monkeypatch.setattr(drawing, "_MOST_FULL", 1000)
    for of in (None, "fit"):
        with pytest.raises(ProvenanceError, match="too many to draw in full"):
            draw_file(path, path=tmp_path / "x.dot", detail="full", of=of)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("exec sleep 30", "was given up after"),
        ("echo out of memory >&2; exit 3", "could not draw the graph: out of memory"),
        ("exit 0", "could not draw the graph"),
    ],
)
def test_a_dot_that_does_not_draw_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, words: str
) -> None:
    program = tmp_path / "bin" / "dot"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setattr(drawing, "_PATIENCE_S", 0.5)
    with pytest.raises(ProvenanceError, match=words):
        draw_file(record(tmp_path, 2), path=tmp_path / "x.svg")
    assert not (tmp_path / "x.svg").exists()


HOSTILE = [
    "<b>&amp;\"'\\",
    "two\nlines\r\tand \\N \\G \\L",
    "\u202eevil\u2066 \u05d0\u05d1\u05d2 \x00\x1b[31m",
    "\udcff lone",
    "<",
    "x" * 5000,
    "   ",
]


@needs_dot
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_are_drawn_as_text(text: str) -> None:
    graph = Graph(title=text, subtitle=text, note=text)
    for number, kind in enumerate(("activity", "product", "input", "other")):
        graph.nodes[str(number)] = Node(id=str(number), kind=kind, title=text, lines=[text])
        graph.nodes[str(number)].add(text, text, text)
    graph.nodes["0"].group = "a"
    graph.groups["a"] = Node(id="a", kind="workflow", title=text)
    graph.connect("0", "1", text)
    source = to_dot(graph).encode()
    done = subprocess.run(["dot", "-Tsvg"], input=source, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    picture = ElementTree.fromstring(done.stdout)
    tags = {item.tag.rpartition("}")[2] for item in picture.iter()}
    assert tags <= {"svg", "g", "title", "polygon", "path", "ellipse", "polyline", "text", "a"}
    assert "\u202e" not in "".join(picture.itertext())
    assert b"syntax error" not in done.stderr


@needs_dot
def test_full_texts_are_in_the_tooltips() -> None:
    name = "a-very-long-name-" * 8
    graph = Graph(title="t")
    graph.nodes["0"] = Node(id="0", kind="activity", title=name, lines=["ok"])
    done = subprocess.run(
        ["dot", "-Tsvg"], input=to_dot(graph).encode(), capture_output=True, check=True, timeout=60
    )
    picture = unescape(done.stdout.decode())
    assert f'xlink:title="{name}' in picture
    assert name not in re.sub(r'xlink:title="[^"]*"', "", picture)
    assert "…" in picture


# ---- order -------------------------------------------------------------------------------------


def test_arranged_nodes_are_in_layers_and_edges_run_through_all_of_them() -> None:
    edges = [("a", "b"), ("b", "c"), ("a", "c"), ("c", "a"), ("c", "c")]
    order = arrange(["a", "b", "c", "d"], edges)
    level = {name: n for n, layer in enumerate(order.layers) for name in layer}
    assert set("abcd") <= set(level)
    for (source, target), chain in zip(edges, order.chains, strict=True):
        assert {chain[0], chain[-1]} == {source, target}
        if source != target:
            assert [level[name] for name in chain] == list(
                range(level[chain[0]], level[chain[-1]] + 1)
            )
    assert not order.horizontal


def test_index_without_derivations_gives_the_same_steps(tmp_path: Path) -> None:
    path = record(tmp_path, 4)
    one = build_graph(RecordIndex(path=path, full=False))
    two = build_graph(RecordIndex(path=path))
    assert [n.title for n in one.nodes.values()] == [n.title for n in two.nodes.values()]
    assert one.edges == two.edges
