import re
import shutil
import subprocess
from dataclasses import replace
from xml.etree import ElementTree

import pytest
import report_fakes as fakes

from gpwf.core.plan import Plan
from gpwf.errors import UsageError
from gpwf.report.graph import Drawing, Link, Node, dot, mermaid, of_plan, text_tree, write

NASTY = Drawing(
    name="n",
    nodes=(
        Node(id='a"]; click x "javascript:1', tag="<b>&\\N", outputs=(("p", "k"),)),
        Node(id="<table>", tag="<table>"),
    ),
    links=(
        Link(source='a"]; click x "javascript:1', target="<table>", product='p"|', port="q\n"),
        Link(source='a"]; click x "javascript:1', target="<table>"),
    ),
    results=(("out)", "<table>", "p"),),
)


def test_text_shows_products_and_who_takes_them():
    assert text_tree(of_plan(fakes.make_plan())).splitlines() == [
        "crab: 4 tasks",
        "",
        "observations",
        "└─ observations → datasets[run=1].observations, datasets[run=2].observations",
        "",
        "datasets[run=1]  [datasets]",
        "└─ datasets → fit.datasets",
        "",
        "datasets[run=2]  [datasets]",
        "└─ datasets → fit.datasets",
        "",
        "fit",
        "└─ models → output best",
    ]


def test_an_order_without_data_is_shown():
    plan: Plan = fakes.make_plan()
    *tasks, fit = plan.tasks
    drawing = of_plan(
        replace(plan, tasks=(*tasks, replace(fit, inputs={}, after=("observations",))))
    )
    assert "└─ before fit" in text_tree(drawing)
    assert "-.->" in mermaid(drawing)
    assert "style=dashed" in dot(drawing).source


def test_mermaid_holds_nothing_but_quoted_text():
    lines = mermaid(of_plan(fakes.make_plan())).splitlines()
    assert lines[0] == "flowchart TD"
    assert '    n1["datasets[run=1]<br/>datasets"]' in lines
    assert '    n0 -- "observations" --> n1' in lines
    assert '    o0(["best"])' in lines


def test_mermaid_escapes_every_sign_that_means_something():
    text = mermaid(NASTY)
    for line in text.splitlines()[1:]:
        assert line.count('"') in (0, 2)
    assert "<table>" not in text
    assert "#60;table#62;" in text


def test_dot_labels_are_never_markup(tmp_path):
    source = dot(NASTY).source
    assert "label=<" not in source
    if shutil.which("dot") is None:
        pytest.skip("the program dot is not installed")
    done = subprocess.run(
        ["dot", "-Tplain"], input=source, capture_output=True, text=True, check=True
    )
    assert done.stdout.count("\nnode ") == 3
    assert done.stdout.count("\nedge ") == 3


@pytest.mark.parametrize(("name", "head"), [("g.mmd", b"flowchart"), ("g.dot", b"digraph")])
def test_text_formats_need_no_graphviz(name, head, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    write(of_plan(fakes.make_plan()), tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(head)


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf"])
def test_images_say_what_to_install_where_dot_is_missing(suffix, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match=f"{suffix}.*`dot`") as caught:
        write(of_plan(fakes.make_plan()), tmp_path / f"g.{suffix}")
    assert "apt install graphviz" in caught.value.hint
    assert not (tmp_path / f"g.{suffix}").exists()


@pytest.mark.skipif(shutil.which("dot") is None, reason="the program dot is not installed")
@pytest.mark.parametrize(
    ("suffix", "head"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("PDF", b"%PDF")]
)
def test_images(suffix, head, tmp_path):
    write(of_plan(fakes.make_plan()), tmp_path / f"g.{suffix}")
    assert (tmp_path / f"g.{suffix}").read_bytes().startswith(head)


def test_other_suffixes_and_unwritable_files_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"suffix '\.gif'"):
        write(of_plan(fakes.make_plan()), tmp_path / "g.gif")
    with pytest.raises(UsageError, match="cannot be written: No such file"):
        write(of_plan(fakes.make_plan()), tmp_path / "none" / "g.mmd")


FOLDED = Drawing(
    name="many",
    nodes=(
        Node(id="crab/sim", tag="simulate", count=120, axes=("scenario", "seed"), group="crab"),
        Node(id="crab/never", tag="fit", count=0, group="crab"),
        Node(id="mean", tag="collect", count=3, axes=("scenario",)),
    ),
    links=(
        Link(source="crab/sim", target="mean", product="points", port="items", gathers=("seed",)),
        Link(source="crab/sim", target="crab/never", product="points", port="points"),
    ),
)


def test_a_scatter_is_one_node_with_count_and_axes():
    text = text_tree(replace(FOLDED, nodes=(replace(FOLDED.nodes[0], outputs=(("points", "p"),)),)))
    name, product = text.splitlines()[2:]
    assert name == "crab/sim \N{MULTIPLICATION SIGN}120 [scenario, seed]  [simulate]"
    assert product == "└─ points (p) → mean.items (gathers seed), crab/never.points"
    chart = mermaid(FOLDED).splitlines()
    assert '    subgraph g1["crab"]' in chart
    assert '        n0["sim #215;120 [scenario, seed]<br/>simulate"]' in chart
    assert '    n0 == "points → items (gathers seed)" ==> n2' in chart
    source = dot(FOLDED).source
    assert "subgraph cluster_1" in source
    assert "penwidth=2" in source
    assert 'label="never left out\\nfit" style="rounded,dashed"' in source


def test_a_page_stands_alone_and_trusts_no_text(tmp_path):
    write(FOLDED, tmp_path / "w.html")
    page = (tmp_path / "w.html").read_text()
    assert "120 [scenario, seed]" in page
    assert "of the workflow crab" in page
    assert "thick arrows gather a scatter" in page
    assert "<script" not in page
    assert not re.search(r"(src|href)=", page)
    write(NASTY, tmp_path / "w.html")
    page = (tmp_path / "w.html").read_text()
    assert "<table>" not in page
    assert "<b>" not in page
    body = page[page.index("<svg") : page.index("</svg>") + 6]
    ElementTree.fromstring(body)  # well-formed


def test_what_nobody_could_look_at_is_refused(tmp_path):
    many = replace(FOLDED, nodes=tuple(Node(id=f"n{n}", tag="t") for n in range(501)), links=())
    for name in ("w.svg", "w.png", "w.html"):
        with pytest.raises(UsageError, match="501 steps: more than the 500"):
            write(many, tmp_path / name)
    write(many, tmp_path / "w.mmd")
    assert (tmp_path / "w.mmd").read_text().count("\n") == 502
