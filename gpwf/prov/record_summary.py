"""Record → picture: one node per step or task with what it used and made.

The tasks of a scattered step share a node. What is known of them is folded there: the values of a
setting in one line, a line per task and product where there are many, and all of what failed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping

from gpwf.prov.graph import Graph, Node
from gpwf.prov.record_index import Element, Link, RecordIndex
from gpwf.prov.record_words import natural, number_in, object_in, size_text, subtitle_of, title_of

__all__ = ["summary_graph"]

_MANY = 8  # tasks of a node, or failed ones among more, of which each has a section of its own
_MOST_LINES = 500  # lines of a section; the page has the rest with `--detail task`
_MOST_VALUES = 4  # values of a setting that are written out

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

# what comes first in the details of a node, and after all: a list that may be long
_ORDER = {"Step": 0, "Settings": 1, "Tasks": 9}

_Values = dict[str, dict[str, str]]
"""Setting → its values with their origins, in the order of the tasks."""


def summary_graph(
    index: RecordIndex, *, by_task: bool, only: Collection[str] | None = None
) -> Graph:
    """Return steps (or tasks), products and inputs of a record of gpwf.

    Parameters
    ----------
    index : RecordIndex
        The record.
    by_task : bool
        One node for each task, instead of one for all tasks of a step.
    only : collection of str, optional
        Ids of the tasks to show; all by default.
    """
    return _Summary(index, by_task, only).build()


class _Summary:
    def __init__(self, index: RecordIndex, by_task: bool, only: Collection[str] | None) -> None:
        self.index = index
        self.by_task = by_task
        self.only = only
        self.graph = Graph(title=title_of(index), subtitle=subtitle_of(index))
        self.group: dict[str, str] = {}  # activity → node
        self.home: dict[str, str] = {}  # product entity → node
        self.states: dict[str, dict[str, str]] = defaultdict(dict)  # node → task → state
        self.inputs: dict[tuple[str, str], dict[str, Element]] = defaultdict(dict)
        self.steps: dict[str, dict[str, None]] = defaultdict(dict)  # node → names of its steps
        self.settings: dict[str, _Values] = defaultdict(lambda: defaultdict(dict))
        self.sizes: Counter[str] = Counter()  # node → tasks
        self.failed: Counter[str] = Counter()  # node → failed tasks that are told in full
        self.lines: Counter[tuple[str, str]] = Counter()  # node and section → lines of tasks

    def build(self) -> Graph:
        tasks = [
            item for item in self.index.of_kind("activity") if self._is_shown(item.get("task"))
        ]
        entries = [item for item in self.index.not_run() if self._is_shown(item["task"])]
        # A record has tasks in the order of their ends, which is another one in every run.
        rank = {name: n for n, name in enumerate(dict.fromkeys(x.get("step") for x in tasks))}
        tasks.sort(
            key=lambda item: (
                rank[item.get("step")],
                natural(item.get("task")),
                number_in(item.get("attempt")),
            )
        )
        named = {(item.get("step"), item.get("task")) for item in tasks}
        named |= {(str(item.get("step", "")), str(item["task"])) for item in entries}
        self.sizes.update(self._key(step, task) for step, task in named)
        for item in tasks:
            self._add_activity(item)
        for item in tasks:
            for link in self.index.causes("Communication", item.id):
                self.group.setdefault(link.cause, self.group[item.id])
        for entry in entries:
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
        self._connect_not_run(entries)
        for name, states in self.states.items():
            node = self.graph.nodes[name]
            (task, *more) = states
            if not self.by_task and not more and task.endswith("]"):
                node.lines.append(task[len(node.title) :].strip("[]").replace(",", ", "))
            _summarise_states(node, states)
            others = [step for step in self.steps[name] if step not in (node.title, node.id)]
            if others:
                node.lines.append(f"also {', '.join(others)}")
            for setting, values in self.settings[name].items():
                node.add("Settings", setting, _folded(values))
            node.facts.sort(key=lambda fact: _ORDER.get(fact.section, 5))
        for (name, section), count in self.lines.items():
            if count > _MOST_LINES:
                self.graph.nodes[name].add(section, "…", f"and {count - _MOST_LINES} more")
        return self.graph

    def _is_shown(self, task: object) -> bool:
        return bool(task) and (self.only is None or task in self.only)

    def _fold(self, node: Node, activity: str, section: str, name: str, value: str) -> bool:
        """Add one line for a task or a product where there are many; tell whether it is so."""
        if self.sizes[activity] <= _MANY:
            return False
        self.lines[node.id, section] += 1
        if self.lines[node.id, section] <= _MOST_LINES:
            node.add(section, name, value)
        return True

    def _name_others(self, node: Node, step: str, names: Collection[str]) -> None:
        """Take in the further names of a task: they find it, and its node tells the other steps."""
        node.keys.update(names)
        for name in names:
            other = name if self.by_task else name.partition("[")[0]
            self.steps[node.id][other] = None
            node.keys.add(name.partition("[")[0])
        self.steps[node.id].pop(step, None)

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
        self._name_others(node, item.get("step"), item.values.get("otherName", ()))
        self.group[item.id] = node.id
        self.states[node.id][task] = item.get("state")
        if item.get("tag") not in ("", item.get("step")) and not node.lines:
            node.lines.append(item.get("tag"))
        node.add("Step", "type", f"{item.get('tag')} (version {item.get('version')})")
        node.add("Step", "where", item.get("place"))
        originals = [link.cause for link in self.index.causes("Communication", item.id)]
        node.keys.update(originals)
        if item.get("errorMessage") and self.failed[node.id] < _MANY:
            self.failed[node.id] += 1
        elif self._fold(node, node.id, "Tasks", task, _brief(item)):
            return
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
        if item.get("stream"):
            node.add(section, "random stream", item.get("stream"))
        for original in filter(None, map(self.index.elements.get, originals)):
            node.add(section, "made from", original.start)
            node.add(section, "made until", original.end)

    def _add_not_run(self, entry: dict[str, object]) -> None:
        task, step = str(entry["task"]), str(entry.get("step", ""))
        node = self._node(step, task)
        state, reason = str(entry.get("state", "")), str(entry.get("reason", ""))
        self.states[node.id][task] = state
        names = entry.get("otherNames")
        self._name_others(node, step, list(map(str, names)) if isinstance(names, list) else [])
        if not self._fold(node, node.id, "Tasks", task, f"{state}: {reason}"):
            node.add(task, "state", state)
            node.add(task, "reason", reason)

    def _connect_not_run(self, entries: Collection[Mapping[str, object]]) -> None:
        """Connect what was not run to what kept it from running, or to all that comes before."""
        home = {task: name for name, states in self.states.items() for task in states}
        for entry in entries:
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
        step = self.index.elements[link.cause].get("step")
        names = [step, *self.index.elements[link.cause].values.get("otherName", ())]
        for name in names if step else ():
            node.keys.update({f"{name}.{port}", f"{name.partition('[')[0]}.{port}"})
        node.keys.update(entity.values.get("output", ()))
        self._describe_product(node, entity, link, owner)
        lost = self.index.causes("Invalidation", entity.id)
        self.graph.connect(owner, key, dashed=bool(lost))

    def _describe_product(self, node: Node, entity: Element, link: Link, owner: str) -> None:
        section = entity.label
        brief = f"{size_text(entity.get('size_B'))}, {entity.get('digest')}"
        folded = self._fold(node, owner, "Products", section, brief)
        if not folded:
            node.add(section, "kind", entity.get("kind"))
            node.add(section, "digest", entity.get("digest"))
            node.add(section, "size", size_text(entity.get("size_B")))
            node.add(section, "made at", link.time)
        for name in entity.values.get("output", ()):
            if not folded:
                node.add(section, "result of the workflow", name)
            mark = "output" if name == entity.get("port") else f"output {name}"
            if mark not in node.lines:
                node.lines.append(mark)
        if self.index.causes("Invalidation", entity.id):
            node.add(section, "invalidated", "left behind by a failed attempt")
            if "left behind" not in node.lines:
                node.lines.append("left behind")
        for name, value in object_in(entity.get("summary")).items() if not folded else ():
            node.add(section, str(name), str(value))
        for member in self.index.causes("Membership", entity.id):
            file = self.index.elements.get(member.cause)
            if file is not None:
                self.home[file.id] = node.id
                text = f"{size_text(file.get('size_B'))}, {file.get('sha256')}"
                if not folded:
                    node.add("Files", file.label, text)
                node.keys.update({file.id, file.label, file.get("sha256")})

    def _add_usage(self, link: Link) -> None:
        entity, owner = self.index.elements.get(link.cause), self.group[link.effect]
        if entity is None:
            return
        node = self.graph.nodes[owner]
        if "voprov:Parameter" in entity.types:
            value = f"{entity.get('prov:value')} {entity.get('voprov:unit')}".strip()
            known, name = self.settings[owner], entity.get("voprov:name")
            if link.origin or name not in known:
                known[name].setdefault(value, link.origin)
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
        size = sum(number_in(item.get("size_B")) for _, item in files)
        node = Node(id=key, kind="input", title=name, lines=[f"{len(files)} files"])
        if size:
            node.lines[0] += f", {size_text(str(size))}"
    for content, item in files:
        node.keys.update({content, item.id, item.label, item.get("sha256")})
        node.keys.add(item.get("prov:location"))
        parts = (size_text(item.get("size_B")), item.get("sha256"))
        value = ", ".join(part for part in parts if part)
        node.add("Files", item.get("prov:location") or item.label, value or item.id)
    node.keys.discard("")
    return node


def _brief(item: Element) -> str:
    """Return how a task went, in a few words."""
    wall = item.get("wallTime_s")
    parts = (item.get("state"), f"{wall} s" if wall else "", item.get("errorMessage"))
    return ", ".join(part for part in parts if part)


def _folded(values: Mapping[str, str]) -> str:
    """Return the values of a setting, with their origins, in one line: the ends of many."""
    origins = set(values.values())
    texts = [
        f"{value}   ({origin})" if origin and len(origins) > 1 else value
        for value, origin in values.items()
    ]
    if len(texts) > _MOST_VALUES:
        texts = [*texts[:2], "…", f"{texts[-1]}   ({len(texts)} values)"]
    (origin,) = origins if len(origins) == 1 else ("",)
    return "; ".join(texts) + (f"   ({origin})" if origin else "")


def _summarise_states(node: Node, states: dict[str, str]) -> None:
    counts = Counter(states.values())
    node.state = next((state for state in _WORST_FIRST if counts[state]), next(iter(counts)))
    if len(states) == 1:
        node.lines.append(node.state)
    else:
        node.lines.append(", ".join(f"{count} {state}" for state, count in counts.most_common()))
