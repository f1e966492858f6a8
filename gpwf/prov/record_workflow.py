"""Record → picture of the workflow as one activity: what went in, what came out, who, how."""

from __future__ import annotations

from collections.abc import Sequence

from gpwf.prov.graph import Graph, Node
from gpwf.prov.record_facts import (
    Values,
    add_product,
    check_wanted,
    folded,
    input_node,
    named_files,
    short_values,
)
from gpwf.prov.record_index import Element, RecordIndex
from gpwf.prov.record_states import count_lines
from gpwf.prov.record_words import main_run, number_in, subtitle_of, title_of

__all__ = ["workflow_graph"]

#: Roles of what a run uses besides the files of its tasks.
_OWN = ("in.workflow", "in.plan", "in.document", "in.environment")


def workflow_graph(index: RecordIndex, parameters: Sequence[str] = ()) -> Graph:
    """Return the run of a record as one activity.

    Parameters
    ----------
    index : RecordIndex
        A record of gpwf with a run.
    parameters : sequence of str
        Parameters of the workflow that are written in its node: names, or ``all``.
    """
    run = main_run(index) or index.runs()[0]
    graph = Graph(title=title_of(index), subtitle=subtitle_of(index), note=index.note)
    node = Node(id=run.id, kind="activity", title=title_of(index), state=run.get("state"))
    node.keys.update({run.id, run.label, run.get("runId")})
    graph.nodes[run.id] = node
    counts = {}
    for text in run.all("count"):
        state, _, number = text.partition("=")
        counts[state] = number_in(number)
    node.counts = dict(sorted(counts.items(), key=lambda item: -item[1]))
    node.lines += [node.state, *count_lines(node.counts)]
    for name in ("state", "reason", "runId", "command", "host", "jobs", "store"):
        node.add("Run", name, run.get(name))
    node.add("Run", "start", run.start)
    node.add("Run", "end", run.end)
    _add_context(graph, node, index, parameters)
    _add_agents(graph, run, index)
    _add_data(graph, node, index)
    return graph


def _add_context(graph: Graph, node: Node, index: RecordIndex, parameters: Sequence[str]) -> None:
    """Add the workflow, its plan, the environment and the parameters."""
    settings: dict[str, Values] = {}
    for link in index.causes("used", node.id):
        entity = index.element(link.cause)
        if entity is None:
            continue
        if "voprov:Parameter" in entity.types:
            value = f"{entity.get('prov:value')} {entity.get('voprov:unit')}".strip()
            name = entity.get("voprov:name").removeprefix("params.")
            settings.setdefault(name, {})[value] = link.origin
        elif link.role in _OWN[:2]:
            if entity.id not in graph.nodes:
                graph.nodes[entity.id] = _plan_node(entity)
                graph.connect(entity.id, node.id, "plan", dashed=True)
        elif link.role == "in.environment":
            graph.nodes[entity.id] = _environment_node(entity)
            graph.connect(entity.id, node.id, "environment", dashed=True)
    for name, values in settings.items():
        node.add("Parameters", name, folded(values))
    check_wanted(parameters, settings)
    node.lines += short_values(settings, parameters) if parameters else []


def _plan_node(entity: Element) -> Node:
    resolved = "gpwf:ResolvedPlan" in entity.types
    node = Node(id=entity.id, kind="plan", title=entity.label)
    node.lines.append("resolved plan" if resolved else "workflow as written")
    node.keys.update({entity.id, entity.get("sha256")})
    for name in ("sha256", "language", "description", "metadata", "overrides"):
        node.add("Plan", name, entity.get(name))
    node.add("Text", "workflow", entity.get("prov:value"))
    return node


def _environment_node(entity: Element) -> Node:
    node = Node(id=entity.id, kind="environment", title=entity.label, keys={entity.id})
    packages = entity.all("distribution")
    if packages:
        node.lines.append(f"{len(packages)} distributions")
    for text in entity.all("environment"):
        name, _, value = text.partition("=")
        node.add("Environment", name, value)
    for text in packages:
        name, _, value = text.partition("==")
        node.add("Distributions", name, value)
    return node


def _add_agents(graph: Graph, run: Element, index: RecordIndex) -> None:
    for link in index.causes("wasAssociatedWith", run.id):
        engine = index.element(link.cause)
        if engine is None or engine.id in graph.nodes:
            continue
        graph.nodes[engine.id] = _agent_node(engine)
        graph.connect(engine.id, run.id, "ran", dashed=True)
        for behalf in index.causes("actedOnBehalfOf", engine.id):
            person = index.element(behalf.cause)
            if person is not None:
                graph.nodes.setdefault(person.id, _agent_node(person))
                graph.connect(person.id, engine.id, "started", dashed=True)


def _agent_node(agent: Element) -> Node:
    node = Node(id=agent.id, kind="agent", title=agent.label, keys={agent.id})
    for name in ("name", "version", "user", "host"):
        node.add("Agent", name, agent.get(name))
    return node


def _add_data(graph: Graph, node: Node, index: RecordIndex) -> None:
    """Add the files from outside by the setting that names them, and the results."""
    made = {link.effect for link in index.links("wasGeneratedBy")}
    files: dict[str, dict[str, Element]] = {}
    roles: dict[str, set[str]] = {}
    for link in index.links("used"):
        if link.effect != node.id and link.cause not in made:
            roles.setdefault(link.cause, set()).add(link.role)
    for name, found in roles.items():
        entity = index.element(name)
        if entity is None or not {"gpwf:File", "gpwf:Content"} & set(entity.types):
            continue
        content = index.causes("specializationOf", name)
        key = content[0].cause if content else name
        group = files.setdefault(min(found), {})
        if key not in made and (key not in group or entity.get("name")):
            group[key] = entity
    nameless = {
        key for group in files.values() for key, item in group.items() if not item.get("name")
    }
    named = named_files(index, nameless) if nameless else {}
    for number, (role, group) in enumerate(files.items()):
        if not group:
            continue
        group |= {key: named[key] for key in group.keys() & named.keys()}
        key = f"input {number}"
        graph.nodes[key] = input_node(key, role, list(group.items()))
        graph.connect(key, node.id)
    for link in index.links("wasGeneratedBy"):
        entity = index.element(link.effect)
        if entity is None or not entity.all("output"):
            continue
        _add_result(graph, node, index, entity, link.effect)


def _add_result(graph: Graph, node: Node, index: RecordIndex, entity: Element, name: str) -> None:
    """Add a product that is a result of the workflow; those of one name share a node."""
    for output in entity.all("output"):
        key = f"result {output}"
        result = graph.nodes.get(key)
        if result is None:
            result = graph.nodes[key] = Node(id=key, kind="product", title=output)
            if entity.get("kind").replace("-", "_") != output.replace("-", "_"):
                result.lines.append(entity.get("kind"))
            graph.connect(node.id, key)
        members = [index.element(link.cause) for link in index.causes("hadMember", name)]
        files = [file for file in members if file is not None]
        result.keys.update({entity.id, entity.label, entity.get("digest"), output})
        result.keys.update(text for file in files for text in (file.label, file.get("sha256")))
        (generation,) = index.causes("wasGeneratedBy", name)[:1]
        add_product(result, entity, generation, files, entity.label)
