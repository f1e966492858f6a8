import shutil
import subprocess
from dataclasses import replace

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
