"""Pictures of a scatter: folded per step, and followed task by task."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import prov_factory as factory
import pytest

from gpwf.errors import ProvenanceError
from gpwf.prov.document import build_document
from gpwf.prov.graph import Graph, Node, build_graph


def graph_of(run: Any = factory.good_run, **options: Any) -> Graph:
    plan = factory.scatter_plan()
    return build_graph(build_document(plan, run(plan)), **options)


def node(graph: Graph, title: str) -> Node:
    (found,) = [n for n in graph.nodes.values() if n.kind == "activity" and n.title == title]
    return found


def activities(graph: Graph) -> list[str]:
    return sorted(n.title for n in graph.nodes.values() if n.kind == "activity")


def test_a_step_that_shares_all_its_tasks_is_named_with_the_other_one() -> None:
    graph = graph_of()
    assert activities(graph) == ["all", "datasets", "never", "rows", "sim"]
    assert node(graph, "rows").lines == ["collect", "2 ok", "also again"]
    assert node(graph, "sim").lines == ["simulate", "6 ok"]
    assert node(graph, "never").state == "skipped"
    by_task = graph_of(detail="task")
    shared = node(by_task, "rows[scenario=null]")
    assert shared.lines == ["collect", "ok", "also again[scenario=null]"]


def test_a_picture_does_not_tell_who_ended_first() -> None:
    plan = factory.scatter_plan()
    first, *sims = plan.tasks[:7]
    journal = factory.Journal(plan)
    journal.ok(first, *reversed(sims), *plan.tasks[7:])
    graphs = [
        build_graph(build_document(plan, events), detail="task")
        for events in (factory.good_run(plan), journal.finish())
    ]
    titles = [[n.title for n in g.nodes.values() if n.kind == "activity"] for g in graphs]
    assert titles[0] == titles[1]


def test_blocked_and_failed_tasks_are_counted() -> None:
    graph = graph_of(factory.scattered_failure)
    assert node(graph, "sim").lines[-1] == "4 ok, 1 failed, 1 skipped"
    assert node(graph, "rows").lines == ["collect", "1 ok, 1 blocked", "also again"]
    assert node(graph, "rows").state == "blocked"


@pytest.mark.parametrize(
    ("of", "direction", "kept"),
    [
        ("rows[scenario=bright].table", "up", {"sim": 3, "rows": 1, "datasets": 1}),
        ("again[scenario=bright]", "up", {"sim": 3, "rows": 1, "datasets": 1}),
        ("again.table", "up", {"sim": 6, "rows": 2, "datasets": 1}),
        ("sim[seed=2]", "down", {"sim": 2, "rows": 2, "all": 1}),
        ("sim[scenario=null,seed=1]", "down", {"sim": 1, "rows": 1, "all": 1}),
        ("sim", "up", {"sim": 6, "datasets": 1}),
    ],
)
def test_only_the_tasks_that_belong_to_it_are_drawn(
    of: str, direction: str, kept: dict[str, int]
) -> None:
    folded = graph_of(of=of, direction=direction)
    assert activities(folded) == sorted(kept)
    tasks = activities(graph_of(of=of, direction=direction, detail="task"))
    assert {step: sum(x.partition("[")[0] == step for x in tasks) for step in kept} == kept


def test_one_task_of_a_folded_step_is_named() -> None:
    graph = graph_of(of="sim[scenario=null,seed=1].datasets", direction="up")
    assert node(graph, "sim").lines == ["simulate", "scenario=null, seed=1", "ok"]


def test_coordinates_that_do_not_occur_are_refused() -> None:
    for of in ("sim[seed=7]", "sim[nothing]", "nix[seed=1]"):
        with pytest.raises(ProvenanceError, match="nothing called"):
            graph_of(of=of)


def test_many_tasks_have_a_line_each_and_failed_ones_all_that_is_known() -> None:
    plan = factory.make_plan(("models",), copies=700)
    journal = factory.Journal(plan)
    for number, task in enumerate(plan.tasks):
        journal.start(task)
        if number in (3, 650):
            failure = factory.Failure(kind="StepError", message=f"no luck with {number}")
            journal.end(task, state=factory.TaskState.FAILED, failure=failure)
        else:
            journal.end(task)
    graph = build_graph(build_document(plan, journal.finish()))
    (models,) = [n for n in graph.nodes.values() if n.title == "models" and n.kind == "activity"]
    assert models.lines == ["698 ok, 2 failed"]
    lines = [fact for fact in models.facts if fact.section == "Tasks"]
    assert (lines[0].name, lines[0].value) == ("models[seed=0]", "ok, 2.0 s")
    assert (len(lines), lines[-1].value) == (501, "and 198 more")
    errors = [fact.value for fact in models.facts if fact.name == "error"]
    assert errors == ["no luck with 3", "no luck with 650"]
    sections = list(dict.fromkeys(fact.section for fact in models.facts))
    assert (sections[:2], sections[-1]) == (["Step", "Settings"], "Tasks")
    assert "models[seed=699]" in models.keys  # found although not listed


def test_values_of_a_setting_that_differ_are_told_in_one_line() -> None:
    facts = [(f.name, f.value) for f in node(graph_of(), "sim").facts if f.section == "Settings"]
    assert facts == [
        ("seed", "0; 1; 2   (workflow)"),
        ("inject", "null; bright   (workflow)"),
    ]
    plan = factory.scatter_plan()
    sims = [
        replace(task, settings={**task.settings, "inject": task.id}, types={"inject": "str"})
        for task in plan.tasks
    ]
    document = build_document(replace(plan, tasks=tuple(sims)), factory.good_run(plan))
    facts = [(f.name, f.value) for f in node(build_graph(document), "sim").facts]
    values = dict(facts)["inject"]
    assert values.endswith("; …; sim[scenario=bright,seed=2]   (6 values)   (workflow)")
