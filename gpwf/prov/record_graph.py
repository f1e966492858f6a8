"""Record → picture: one node per step or task with what it used and made, or everything."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import datetime

from gpwf.prov.graph import Graph, Node
from gpwf.prov.record_index import Element, Link, RecordIndex

__all__ = ["full_graph", "summary_graph"]

#: The first of these that occurs among the tasks of a step gives the colour of the step.
_WORST_FIRST = (
    "failed",
    "timeout",
    "oom",
    "lost",
    "cancelled",
    "running",
    "blocked",
    "skipped",
    "waiting",
    "ok",
    "cached",
)

#: Relation → words on the edge, read from the cause to the effect.
_LABELS = {
    "Usage": "used by",
    "Generation": "generated",
    "Communication": "informed",
    "Derivation": "derived to",
    "Start": "started",
    "Association": "associated with",
    "Plan": "plan of",
    "Delegation": "acted through",
    "Specialization": "has aspect",
    "Membership": "member of",
    "Invalidation": "invalidated",
    "Attribution": "attributed",
    "Influence": "influenced",
    "Alternate": "alternate of",
    "End": "ended",
}


def summary_graph(index: RecordIndex, *, by_task: bool) -> Graph:
    """Return steps (or tasks), products and inputs of a record of gpwf."""
    return _Summary(index, by_task).build()


class _Summary:
    def __init__(self, index: RecordIndex, by_task: bool) -> None:
        self.index = index
        self.by_task = by_task
        self.graph = Graph(title=_title(index), subtitle=_subtitle(index))
        self.group: dict[str, str] = {}  # activity → node
        self.home: dict[str, str] = {}  # product entity → node
        self.states: dict[str, dict[str, str]] = defaultdict(dict)  # node → task → state
        self.inputs: dict[tuple[str, str], dict[str, Element]] = defaultdict(dict)

    def build(self) -> Graph:
        tasks = [item for item in self.index.of_kind("activity") if item.get("task")]
        tasks.sort(key=lambda item: _number(item.get("attempt")))
        for item in tasks:
            self._add_activity(item)
        for item in tasks:
            for link in self.index.causes("Communication", item.id):
                self.group.setdefault(link.cause, self.group[item.id])
        for entry in self.index.not_run():
            self._add_not_run(entry)
        for link in self.index.links:
            if link.relation == "Generation" and link.cause in self.group:
                self._add_product(link)
        uses = [
            link
            for link in self.index.links
            if link.relation == "Usage" and link.effect in self.group
        ]
        # Settings of this run, which know their origin, before those of an original attempt.
        for link in sorted(uses, key=lambda link: not link.origin):
            self._add_usage(link)
        self._add_inputs()
        self._connect_not_run()
        for name, states in self.states.items():
            _summarise_states(self.graph.nodes[name], states)
        return self.graph

    def _key(self, step: str, task: str) -> str:
        return f"task {task}" if self.by_task else f"step {step or task}"

    def _node(self, step: str, task: str) -> Node:
        key = self._key(step, task)
        node = self.graph.nodes.get(key)
        if node is None:
            title = task if self.by_task else step or task
            node = self.graph.nodes[key] = Node(id=key, kind="activity", title=title)
            node.keys.update({title, step, task})
        return node

    def _add_activity(self, item: Element) -> None:
        task = item.get("task")
        node = self._node(item.get("step"), task)
        node.keys.update((task, item.id))
        self.group[item.id] = node.id
        self.states[node.id][task] = item.get("state")
        if item.get("tag") not in ("", item.get("step")) and not node.lines:
            node.lines.append(item.get("tag"))
        node.add("Step", "type", f"{item.get('tag')} (version {item.get('version')})")
        node.add("Step", "where", item.get("place"))
        number = item.get("attempt")
        section = f"{task}, attempt {number}" if number else task
        node.add(section, "state", item.get("state"))
        node.add(section, "start", item.start)
        node.add(section, "end", item.end)
        for name, term, unit in (
            ("wall time", "wallTime_s", " s"),
            ("CPU time", "cpuTime_s", " s"),
            ("peak memory", "peakMemory_B", " B"),
            ("host", "host", ""),
            ("error", "errorMessage", ""),
            ("hint", "errorHint", ""),
            ("signal", "signal", ""),
            ("task key", "taskKey", ""),
        ):
            if item.get(term):
                node.add(section, name, item.get(term) + unit)
        for link in self.index.causes("Communication", item.id):
            original = self.index.elements.get(link.cause)
            if original is not None:
                node.add(section, "made from", original.start)
                node.add(section, "made until", original.end)
                node.keys.add(original.id)

    def _add_not_run(self, entry: dict[str, object]) -> None:
        task, step = str(entry["task"]), str(entry.get("step", ""))
        node = self._node(step, task)
        self.states[node.id][task] = str(entry.get("state", ""))
        node.add(task, "state", str(entry.get("state", "")))
        node.add(task, "reason", str(entry.get("reason", "")))

    def _connect_not_run(self) -> None:
        """Connect what was not run to what kept it from running, or to all that comes before."""
        home = {task: name for name, states in self.states.items() for task in states}
        for entry in self.index.not_run():
            target = home[str(entry["task"])]
            upstream = entry.get("upstream")
            tasks = [str(task) for task in upstream] if isinstance(upstream, list) else []
            sources = [home[task] for task in tasks if task in home]
            guilty = [
                home[task]
                for task in tasks
                if task in home and self.states[home[task]][task] not in ("ok", "cached")
            ]
            for source in guilty or sources:
                if source != target:
                    self.graph.connect(source, target, dashed=True)

    def _add_product(self, link: Link) -> None:
        entity = self.index.elements.get(link.effect)
        if entity is None or "gpwf:Product" not in entity.types:
            return
        owner, port = self.group[link.cause], entity.get("port")
        key = f"{owner} / {port}"
        node = self.graph.nodes.get(key)
        if node is None:
            node = self.graph.nodes[key] = Node(id=key, kind="product", title=port)
            if entity.get("kind").replace("-", "_") != port.replace("-", "_"):
                node.lines.append(entity.get("kind"))
        self.home[entity.id] = key
        for general in self.index.causes("Specialization", entity.id):
            self.home.setdefault(general.cause, key)
        title = self.graph.nodes[owner].title
        node.keys.update({entity.id, entity.label, f"{title}.{port}", entity.get("digest")})
        node.keys.update(entity.values.get("output", ()))
        self._describe_product(node, entity, link)
        lost = self.index.causes("Invalidation", entity.id)
        self.graph.connect(owner, key, dashed=bool(lost))

    def _describe_product(self, node: Node, entity: Element, link: Link) -> None:
        section = entity.label
        node.add(section, "kind", entity.get("kind"))
        node.add(section, "digest", entity.get("digest"))
        node.add(section, "size", _bytes(entity.get("size_B")))
        node.add(section, "made at", link.time)
        for name in entity.values.get("output", ()):
            node.add(section, "result of the workflow", name)
            mark = "output" if name == entity.get("port") else f"output {name}"
            if mark not in node.lines:
                node.lines.append(mark)
        if self.index.causes("Invalidation", entity.id):
            node.add(section, "invalidated", "left behind by a failed attempt")
            if "left behind" not in node.lines:
                node.lines.append("left behind")
        for name, value in _object(entity.get("summary")).items():
            node.add(section, str(name), str(value))
        for member in self.index.causes("Membership", entity.id):
            file = self.index.elements.get(member.cause)
            if file is not None:
                self.home[file.id] = node.id
                node.add("Files", file.label, f"{_bytes(file.get('size_B'))}, {file.get('sha256')}")
                node.keys.update({file.id, file.label, file.get("sha256")})

    def _add_usage(self, link: Link) -> None:
        entity, owner = self.index.elements.get(link.cause), self.group[link.effect]
        if entity is None:
            return
        node = self.graph.nodes[owner]
        if "voprov:Parameter" in entity.types:
            origin = f"   ({link.origin})" if link.origin else ""
            value = f"{entity.get('prov:value')} {entity.get('voprov:unit')}".strip()
            known = {fact.name for fact in node.facts if fact.section == "Settings"}
            name = entity.get("voprov:name")
            if origin or name not in known:
                node.add("Settings", name, value + origin)
            node.keys.add(entity.id)
        elif entity.id in self.home:
            source = self.home[entity.id]
            if not source.startswith(f"{owner} / "):  # a cached task uses its own product
                self.graph.connect(source, owner)
        elif "prov:Collection" not in entity.types:
            content = self.index.causes("Specialization", entity.id)
            key = content[0].cause if content else entity.id
            files = self.inputs[owner, link.role]
            if key not in files or entity.get("name"):
                files[key] = entity

    def _add_inputs(self) -> None:
        """Add the external files, those of one setting together, shared where they are the same."""
        nodes: dict[tuple[str, frozenset[str]], str] = {}
        for (owner, role), files in self.inputs.items():
            contents = (role, frozenset(files))
            key = nodes.setdefault(contents, f"input {len(nodes)}")
            node = self.graph.nodes.get(key)
            if node is None:
                node = self.graph.nodes[key] = _input_node(key, role, list(files.items()))
            self.graph.connect(key, owner)


def _input_node(key: str, role: str, files: list[tuple[str, Element]]) -> Node:
    name = role.removeprefix("in.")
    if len(files) == 1:
        node = Node(id=key, kind="input", title=files[0][1].label, lines=[name])
    else:
        size = sum(_number(item.get("size_B")) for _, item in files)
        node = Node(id=key, kind="input", title=name, lines=[f"{len(files)} files"])
        if size:
            node.lines[0] += f", {_bytes(str(size))}"
    for content, item in files:
        node.keys.update({content, item.id, item.label, item.get("sha256")})
        node.keys.add(item.get("prov:location"))
        value = ", ".join(part for part in (_bytes(item.get("size_B")), item.get("sha256")) if part)
        node.add("Files", item.get("prov:location") or item.label, value or item.id)
    node.keys.discard("")
    return node


def _summarise_states(node: Node, states: dict[str, str]) -> None:
    counts = Counter(states.values())
    node.state = next((state for state in _WORST_FIRST if counts[state]), next(iter(counts)))
    if len(states) == 1:
        node.lines.append(node.state)
    else:
        node.lines.append(", ".join(f"{count} {state}" for state, count in counts.most_common()))


# ---- everything -------------------------------------------------------------------------------


def full_graph(index: RecordIndex) -> Graph:
    """Return every element and every relation of a record; works for any PROV document."""
    graph = Graph(title=_title(index), subtitle=_subtitle(index))
    for item in index.elements.values():
        graph.nodes[item.id] = _full_node(item)
    for link in index.links:
        for name in (link.effect, link.cause):
            if name not in graph.nodes:  # a relation may name what the record does not declare
                graph.nodes[name] = Node(id=name, kind="other", title=name, keys={name})
        if link.relation == "Derivation" and _has_path(index, link):
            continue  # generation and usage already draw it
        label = link.role or _LABELS.get(link.relation, link.relation)
        graph.connect(
            link.cause, link.effect, label, dashed=link.relation not in ("Usage", "Generation")
        )
    return graph


def _has_path(index: RecordIndex, link: Link) -> bool:
    makers = {item.cause for item in index.causes("Generation", link.effect)}
    return any(
        used.cause == link.cause for maker in makers for used in index.causes("Usage", maker)
    )


def _full_node(item: Element) -> Node:
    node = Node(id=item.id, kind=_kind(item), title=item.label, keys={item.id, item.label})
    if item.kind == "activity":
        node.state = item.get("state")
        node.lines = [line for line in (item.get("tag"), node.state) if line]
    elif item.get("kind"):
        node.lines = [item.get("kind")]
    node.add("Times", "start", item.start)
    node.add("Times", "end", item.end)
    for name, values in item.values.items():
        for value in values:
            node.add("Attributes", name, value)
            if name in ("sha256", "digest", "name", "prov:location"):
                node.keys.add(value)
    return node


def _kind(item: Element) -> str:
    if item.kind != "entity":
        return item.kind
    types = set(item.types)
    for name, kind in (
        ("voprov:Parameter", "setting"),
        ("prov:Plan", "plan"),
        ("gpwf:Environment", "environment"),
        ("gpwf:Product", "product"),
        ("gpwf:Value", "product"),
        ("gpwf:File", "input"),
        ("gpwf:Content", "input"),
    ):
        if name in types:
            return kind
    return "product" if not types else "other"


# ---- words ------------------------------------------------------------------------------------


def _main_run(index: RecordIndex) -> Element | None:
    runs = [item for item in index.of_kind("activity") if item.get("runId") and item.get("state")]
    return runs[0] if runs else None


def _title(index: RecordIndex) -> str:
    run = _main_run(index)
    return run.get("name") or run.label if run is not None else "Provenance"


def _subtitle(index: RecordIndex) -> str:
    run = _main_run(index)
    if run is None:
        return ""
    when = run.start[:19].replace("T", " ")
    length = ""
    if run.start and run.end:
        seconds = datetime.fromisoformat(run.end) - datetime.fromisoformat(run.start)
        length = f", {seconds.total_seconds():.1f} s"
    return f"run {run.get('runId')[:8]}, {when} UTC{length}, {run.get('state')}"


def _number(text: str) -> int:
    """Return a count of the record, 0 where it is none: a record may come from anywhere."""
    return int(text) if text.isdecimal() else 0


def _bytes(text: str) -> str:
    if not text.isdecimal():
        return ""
    size, units = float(text), ["B", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        units.pop(0)
    return f"{size:.0f} {units[0]}" if units[0] == "B" else f"{size:.1f} {units[0]}"


def _object(text: str) -> dict[str, object]:
    try:
        value = json.loads(text) if text else {}
    except json.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
