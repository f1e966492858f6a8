"""Pictures show the data's way and the states, in every format, from a run or a bare file."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import prov_factory as factory
import pytest
from prov.model import ProvDocument

from gpwf.core.plan import Plan
from gpwf.core.runs import RunEvent
from gpwf.errors import ProvenanceError
from gpwf.prov.document import build_document
from gpwf.prov.dot import to_dot
from gpwf.prov.draw import draw, draw_document, draw_file
from gpwf.prov.export import serialise, write
from gpwf.prov.graph import Graph, Node, build_graph
from gpwf.prov.graph_part import select
from gpwf.prov.html import to_html

needs_dot = pytest.mark.skipif(
    shutil.which("dot") is None, reason="the dot program of Graphviz is not installed"
)
EVIL = '<script>alert("1")</script>]]>&\\n"</text>{{data}} \u2028'


def graph_of(run: Callable[[Plan], list[RunEvent]], detail: str = "step", copies: int = 1) -> Graph:
    plan = factory.make_plan(copies=copies)
    return build_graph(build_document(plan, run(plan)), detail=detail)


def names(graph: Graph, kind: str) -> list[str]:
    return [node.title for node in graph.nodes.values() if node.kind == kind]


def arrows(graph: Graph) -> set[tuple[str, str]]:
    title = {key: node.title for key, node in graph.nodes.items()}
    return {(title[edge.source], title[edge.target]) for edge in graph.edges}


def test_step_graph_of_a_good_run() -> None:
    graph = graph_of(factory.good_run)
    assert names(graph, "activity") == [task.id for task in factory.make_plan().tasks]
    assert sorted(names(graph, "input")) == ["crab-pl.yaml", "datastore"]
    assert {
        ("datastore", "observations"),
        ("datasets", "fit"),
        ("fit", "result"),
        ("flux_points", "plot-sed"),
    } <= arrows(graph)
    assert len(graph.edges) == 9 + 10 + 2  # made, used, from files
    assert (
        "3 files, 3.1 kB" in next(n for n in graph.nodes.values() if n.title == "datastore").lines
    )


def test_cached_run_shows_the_same_graph() -> None:
    """Original attempts and cache hits are one node; lineage is not lost."""
    assert arrows(graph_of(factory.cached_run)) == arrows(graph_of(factory.good_run))
    states = {n.state for n in graph_of(factory.cached_run).nodes.values() if n.kind == "activity"}
    assert states == {"cached"}
    assert arrows(graph_of(factory.early_cut_off)) == arrows(graph_of(factory.good_run))


def test_states_of_a_failed_run() -> None:
    graph = graph_of(factory.mixed_run, "task")
    states = {n.title: n.state for n in graph.nodes.values() if n.kind == "activity"}
    assert states == {
        "observations": "cached",
        "datasets": "ok",
        "models": "ok",
        "fit": "ok",
        "flux-points": "failed",
        "light-curve": "timeout",
        "plot-sed": "blocked",
        "plot-lc": "skipped",
    }
    dashed = {
        (graph.nodes[e.source].title, graph.nodes[e.target].title) for e in graph.edges if e.dashed
    }
    assert dashed == {
        ("flux-points", "flux_points"),
        ("flux-points", "plot-sed"),
        ("light-curve", "plot-lc"),
    }


def test_step_graph_counts_its_tasks() -> None:
    plan = factory.make_plan(("models",), copies=3)
    journal = factory.Journal(plan)
    journal.ok(*plan.tasks[:2])
    journal.not_run(plan.tasks[2], factory.TaskState.CANCELLED, "fail fast")
    graph = build_graph(build_document(plan, journal.finish()))
    (node,) = (n for n in graph.nodes.values() if n.kind == "activity")
    assert node.state == "cancelled"
    assert node.lines == ["2 ok, 1 cancelled"]
    assert len(names(graph_of(factory.good_run, "step", copies=3), "activity")) == 8
    assert len(names(graph_of(factory.good_run, "task", copies=3), "activity")) == 2 + 6 * 3


def test_settings_are_shown_with_their_origin_once() -> None:
    for run in (factory.good_run, factory.cached_run):
        node = next(n for n in graph_of(run).nodes.values() if n.title == "fit")
        settings = [(f.name, f.value) for f in node.facts if f.section == "Settings"]
        assert settings == [("fit_range.min", "1.0 TeV   (workflow)")]


def test_full_graph_has_every_element() -> None:
    plan = factory.make_plan()
    document = build_document(plan, factory.mixed_run(plan))
    graph = build_graph(document, detail="full")
    elements = {str(r.identifier) for r in document.get_records() if r.is_element()}
    assert set(graph.nodes) == elements
    assert {"setting", "plan", "agent", "environment"} <= {n.kind for n in graph.nodes.values()}


@pytest.mark.parametrize(
    ("direction", "has", "has_not"),
    [
        ("up", {"observations", "fit"}, {"flux-points", "result"}),
        ("down", {"flux-points", "plot-lc"}, {"observations", "fit"}),
        ("both", {"observations", "plot-lc"}, {"result"}),
    ],
)
def test_part_of_a_graph(direction: str, has: set[str], has_not: set[str]) -> None:
    part = select(graph_of(factory.good_run), "fit.models", direction)
    titles = {node.title for node in part.nodes.values()}
    assert has <= titles
    assert not has_not & titles


@pytest.mark.parametrize("detail", ["step", "task"])
def test_a_product_has_its_name_though_its_maker_is_not_drawn(detail: str) -> None:
    plan = factory.make_plan()
    record = build_document(plan, factory.good_run(plan))
    down = build_graph(record, detail=detail, of="fit.models", direction="down")
    assert names(down, "activity") == ["flux-points", "light-curve", "plot-sed", "plot-lc"]
    up = build_graph(record, detail=detail, of="crab-pl.yaml", direction="up")
    assert [node.title for node in up.nodes.values()] == ["crab-pl.yaml"]


def test_part_is_found_by_digest_file_and_output() -> None:
    graph = graph_of(factory.good_run)
    plan = factory.make_plan()
    task = plan.task("flux-points")
    file = factory.product_of(task, task.output_ports[0]).files[0]
    for of in (file.digest, file.digest[:10], "flux_points.fits", "flux-points"):
        assert "flux_points" in names(select(graph, of, "down"), "product")
    assert "figure" in names(select(graph, "result", "up"), "product")
    with pytest.raises(ProvenanceError, match="nothing called 'nonsense'") as caught:
        select(graph, "nonsense")
    assert "fit.models" in str(caught.value.hint)
    with pytest.raises(ProvenanceError, match="unknown direction"):
        select(graph, "fit", "sideways")


def test_record_file_without_its_run_is_drawn(tmp_path: Path) -> None:
    plan = factory.make_plan()
    events = factory.mixed_run(plan)
    record = write(build_document(plan, events), tmp_path / "prov.json")
    one = draw_file(record, path=tmp_path / "file.html")
    two = draw(plan, events, path=tmp_path / "run.html")
    assert one.read_text() == two.read_text()


def test_foreign_record_is_drawn_in_full() -> None:
    document = ProvDocument()
    document.add_namespace("ex", "http://example.org/")
    document.activity("ex:calibrate", "2026-01-01T00:00:00+00:00")
    document.entity("ex:raw")
    document.usage("ex:calibrate", "ex:raw")
    document.wasGeneratedBy("ex:image", "ex:calibrate")  # not declared, which PROV allows
    graph = build_graph(document)
    assert arrows(graph) == {("raw", "calibrate"), ("calibrate", "ex:image")}


def test_strange_values_in_a_record_do_not_stop_the_picture() -> None:
    plan = factory.make_plan()
    text = serialise(build_document(plan, factory.mixed_run(plan)))
    data = json.loads(text)
    for section in ("activity", "entity"):
        for item in data[section].values():
            for name in ("attempt", "size_B", "summary", "notRun"):
                if f"gpwf:{name}" in item:
                    item[f"gpwf:{name}"] = "²[1]"
    document = ProvDocument.deserialize(content=json.dumps(data), format="json")
    assert "datasets" in names(build_graph(document), "activity")


def test_empty_record_and_unknown_words_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ProvenanceError, match="nothing to draw"):
        build_graph(ProvDocument())
    document = build_document(factory.make_plan(), factory.good_run(factory.make_plan()))
    with pytest.raises(ProvenanceError, match="unknown detail 'atom'"):
        build_graph(document, detail="atom")
    with pytest.raises(ProvenanceError, match="unknown picture format 'gif'") as caught:
        draw_document(document, path=tmp_path / "x.gif")
    assert caught.value.hint == "formats: svg, png, pdf, dot, html"


def test_without_dot_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    plan = factory.make_plan()
    document = build_document(plan, factory.good_run(plan))
    for name in ("svg", "png", "pdf"):
        with pytest.raises(ProvenanceError, match="program `dot` of Graphviz") as caught:
            draw_document(document, path=tmp_path / f"p.{name}")
        assert "apt install graphviz" in str(caught.value.hint)
    for name in ("dot", "html"):
        assert draw_document(document, path=tmp_path / f"p.{name}").stat().st_size > 1000
    assert sorted(item.name for item in tmp_path.iterdir()) == ["p.dot", "p.html"]


@needs_dot
@pytest.mark.parametrize(
    ("name", "magic"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")]
)
def test_graphviz_renders(tmp_path: Path, name: str, magic: bytes) -> None:
    plan = factory.make_plan()
    path = draw(
        plan, factory.mixed_run(plan), path=tmp_path / "picture", format=name, detail="task"
    )
    assert path.read_bytes().startswith(magic)


def evil_graph() -> Graph:
    plan = factory.make_plan(("models",))
    events = factory.good_run(plan)
    graph = build_graph(build_document(replace(plan, name=EVIL), events))
    graph.nodes["evil"] = Node(id="evil", kind="product", title=EVIL, lines=["<b>x</b>", "\\N\\G"])
    graph.nodes["evil"].add(EVIL, EVIL, EVIL)
    graph.connect("step models", "evil", EVIL)
    return graph


@needs_dot
def test_user_text_is_no_markup_in_dot() -> None:
    source = to_dot(evil_graph())
    assert source.count("label=<") == 1  # the heading, which is escaped
    done = subprocess.run(
        ["dot", "-Tsvg"], input=source.encode(), capture_output=True, check=True, timeout=60
    )
    picture = ElementTree.fromstring(done.stdout)
    texts = "".join(picture.itertext())
    assert 'alert("1")' in texts
    assert "<b>x</b>" in texts
    assert "\\N\\G" in texts
    assert "script" not in {
        e.tag.rpartition("}")[2] for e in ElementTree.fromstring(done.stdout).iter()
    }


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] == "script" and data.strip():
            self.scripts.append(data)


def test_user_text_is_no_markup_in_html() -> None:
    text = to_html(evil_graph())
    page = Page(text)
    assert [tag for tag, _ in page.tags].count("script") == 2
    data = json.loads(page.scripts[0])
    assert EVIL.replace("\u2028", "\ufffd") in [node["title"] for node in data["nodes"]]
    assert "<script>alert" not in text
    assert "\u2028" not in page.scripts[0]


def test_page_needs_no_network() -> None:
    text = to_html(graph_of(factory.mixed_run))
    page = Page(text)
    for _, attributes in page.tags:
        assert not {"src", "srcset", "action"} & set(attributes)
        assert not str(attributes.get("href") or "").startswith(("http", "//"))
    without_namespace = text.replace('"http://www.w3.org/2000/svg"', "")
    assert re.findall(r"https?://(?!\S*purl)\S*", without_namespace) == []
    assert "default-src 'none'" in text


@pytest.mark.parametrize("copies", [1, 5])
def test_placed_nodes_do_not_overlap(copies: int) -> None:
    from gpwf.core.layout import lay_out

    graph = graph_of(factory.good_run, "task", copies)
    sizes = {name: (70.0 + 5 * n % 60, 30.0 + n % 3) for n, name in enumerate(graph.nodes)}
    layout = lay_out(sizes, [(e.source, e.target) for e in graph.edges])
    boxes = list(layout.boxes.values())
    for number, one in enumerate(boxes):
        assert one.x - one.width / 2 >= 0
        assert one.y + one.height / 2 <= layout.height + 1e-6
        for two in boxes[:number]:
            apart_x = abs(one.x - two.x) - (one.width + two.width) / 2
            apart_y = abs(one.y - two.y) - (one.height + two.height) / 2
            assert max(apart_x, apart_y) > 5
    assert layout.horizontal == (copies == 5)


def test_layout_survives_rings_loops_and_lonely_nodes() -> None:
    from gpwf.core.layout import lay_out

    sizes = dict.fromkeys("abcd", (50.0, 20.0))
    layout = lay_out(sizes, [("a", "b"), ("b", "c"), ("c", "a"), ("a", "a"), ("a", "b")])
    assert set(layout.boxes) == set("abcd")
    assert len(layout.paths) == 5
    assert layout.boxes["a"].y < layout.boxes["b"].y < layout.boxes["c"].y
    assert lay_out({}, []).boxes == {}
