"""Record → picture: one node per step or task with what it used and made.

The tasks of a scattered step share a node. What is known of them is folded there: the values of a
setting in one line, a line per task and product where there are many, and all of what failed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping

from gpwf.prov.graph import Graph, Node, Tie
from gpwf.prov.record_facts import (
    Values,
    add_attempt,
    add_product,
    add_step,
    brief_attempt,
    check_wanted,
    folded,
    input_node,
    short_values,
)
from gpwf.prov.record_groups import group_of, groups_of
from gpwf.prov.record_index import Element, Link, RecordIndex
from gpwf.prov.record_parts import Options, Place, Tasks
from gpwf.prov.record_states import summarise_states
from gpwf.prov.record_words import natural, number_in, size_text, subtitle_of, title_of

__all__ = ["summary_graph"]

_MANY = 8  # tasks of a node, or failed ones among more, of which each has a section of its own
_MOST_LINES = 500  # lines of a section; the page has the rest with its tasks

# what comes first in the details of a node, and after all: a list that may be long
_ORDER = {"Step": 0, "Settings": 1, "Tasks": 9}


def summary_graph(index: RecordIndex, options: Options) -> Graph:
    """Return steps (or tasks), products and inputs of a record of gpwf."""
    return _Summary(index, options).build()


class _Summary:
    def __init__(self, index: RecordIndex, options: Options) -> None:
        self.index = index
        self.options = options
        self.graph = Graph(title=title_of(index), subtitle=subtitle_of(index))
        self.place: dict[str, Place] = {}  # activity → where it is
        self.home: dict[str, str] = {}  # product, value or file → node
        self.maker: dict[str, str] = {}  # product or value → leaf of the task that made it
        self.tasks: dict[str, Tasks] = defaultdict(Tasks)  # node → its tasks
        self.inputs: dict[tuple[str, str], dict[str, Element]] = defaultdict(dict)
        self.readers: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
        self.sizes: Counter[str] = Counter()  # node → tasks
        self.products: Counter[str] = Counter()  # node → products in it
        self.lines: Counter[tuple[str, str]] = Counter()  # node and section → lines of tasks
        self.own: dict[str, dict[str, Values]] = {}  # leaf → settings
        self.flows: dict[tuple[str, str], Counter[tuple[str, str]]] = defaultdict(Counter)
        self.ties: dict[Tie, None] = {}

    def build(self) -> Graph:
        """Return the graph."""
        entries = [item for item in self.index.not_run() if self._is_shown(item["task"])]
        names = self._sorted_tasks()
        named = {(step, task) for _, step, task in names}
        named |= {(str(item.get("step", "")), str(item["task"])) for item in entries}
        self.sizes.update(self._key(step, task) for step, task in named)
        for name, _, _ in names:
            if (item := self.index.element(name)) is not None:
                self._add_activity(item)
        for name, _, _ in names:
            for link in self.index.causes("wasInformedBy", name):
                self.place.setdefault(link.cause, self.place[name])
        for entry in entries:
            self._add_not_run(entry)
        for link in self.index.links("wasGeneratedBy"):
            if link.cause in self.place:
                self._add_product(link)
        # Settings of this run, which know their origin, before those of an original attempt.
        for with_origin in (True, False):
            for link in self.index.links("used"):
                if bool(link.origin) is with_origin and link.effect in self.place:
                    self._add_usage(link)
        self._add_inputs()
        for (source, target), counts in self.flows.items():
            self.graph.connect(source, target, gathers=max(counts.values()))
        self._connect_not_run(entries)
        self._finish()
        return self.graph

    def _sorted_tasks(self) -> list[tuple[str, str, str]]:
        """Return activity, step and task, sorted by steps and coordinates.

        A record has tasks in the order of their ends, which is another one in every run.
        """
        found: list[tuple[str, str, str, int]] = []
        for item in self.index.of_kind("activity"):
            task = item.get("task")
            if self._is_shown(task):
                found.append((item.id, item.get("step"), task, number_in(item.get("attempt"))))
        rank = {step: n for n, step in enumerate(dict.fromkeys(step for _, step, _, _ in found))}
        found.sort(key=lambda entry: (rank[entry[1]], natural(entry[2]), entry[3]))
        return [entry[:3] for entry in found]

    def _finish(self) -> None:
        check_wanted(
            self.options.parameters, (x for item in self.tasks.values() for x in item.settings)
        )
        for name, tasks in self.tasks.items():
            node = self.graph.nodes[name]
            (task, *more) = tasks.states
            if not more:
                node.task = task
                if node.title != task and task.endswith("]"):
                    node.lines.append(task[len(node.title) :].strip("[]").replace(",", ", "))
            summarise_states(node, tasks.states, tasks.attempts)
            others = [step for step in tasks.steps if step not in (node.title, node.id)]
            if others:
                node.lines.append(f"also {', '.join(others)}")
            self._finish_settings(node, tasks)
            node.facts.sort(key=lambda fact: _ORDER.get(fact.section, 5))
            node.members = sorted(tasks.members.values(), key=lambda item: natural(item.task))
            for member in node.members:
                if tasks.attempts[member.task] > 1:
                    member.lines.append(f"attempt {tasks.attempts[member.task]}")
        for name, count in self.products.items():
            if count > 1:
                self.graph.nodes[name].lines.append(f"{count} products")
        for (name, section), count in self.lines.items():
            if count > _MOST_LINES:
                self.graph.nodes[name].add(section, "…", f"and {count - _MOST_LINES} more")
        self.graph.groups = groups_of(self.index, self.graph)
        self.graph.ties = list(self.ties)

    def _finish_settings(self, node: Node, tasks: Tasks) -> None:
        for setting, values in tasks.settings.items():
            node.add("Settings", setting, folded(values))
        for member in tasks.members.values():
            for setting, values in self.own.get(member.id, {}).items():
                member.add("Settings", setting, folded(values))
            member.facts.sort(key=lambda fact: _ORDER.get(fact.section, 5))
        seed = tasks.settings.get("seed", {})
        wanted = self.options.parameters
        if len(tasks.states) == 1 and {*seed} - {"null"} and "seed=" not in node.task:
            wanted = tuple(dict.fromkeys((*wanted, "seed")))
        node.lines += short_values(tasks.settings, wanted) if wanted else []

    def _is_shown(self, task: object) -> bool:
        return bool(task) and (self.options.only is None or task in self.options.only)

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
        steps = self.tasks[node.id].steps
        for name in names:
            other = name if self._is_single(step) else name.partition("[")[0]
            steps[other] = None
            node.keys.add(name.partition("[")[0])
        steps.pop(step, None)

    def _is_single(self, step: str) -> bool:
        return self.options.by_task and step not in self.options.fold

    def _key(self, step: str, task: str) -> str:
        return f"task {task}" if self._is_single(step) else f"step {step or task}"

    def _node(self, step: str, task: str) -> Node:
        key = self._key(step, task)
        node = self.graph.nodes.get(key)
        if node is None:
            title = task if self._is_single(step) else step or task
            node = Node(id=key, kind="activity", title=title, group=group_of(step))
            self.graph.nodes[key] = node
            node.keys.update({title, step})
        if self.options.keys:
            node.keys.add(task)
        return node

    def _leaf(self, node: Node, step: str, task: str) -> Node | None:
        """Return the node of one task in a node of many; none where the node is that task."""
        if not self.options.members or self.sizes[node.id] < 2:
            return None
        members = self.tasks[node.id].members
        if task not in members:
            members[task] = Node(
                id=f"member {task}", kind="activity", title=task, task=task, group=group_of(step)
            )
        return members[task]

    def _add_activity(self, item: Element) -> None:
        step, task = item.get("step"), item.get("task")
        node = self._node(step, task)
        tasks = self.tasks[node.id]
        self._name_others(node, step, item.all("otherName"))
        leaf = self._leaf(node, step, task)
        self.place[item.id] = Place(node.id, step, task, leaf)
        tasks.states.pop(task, None)  # the last attempt tells
        tasks.states[task] = item.get("state")
        tasks.attempts[task] += 1
        if leaf is not None:
            leaf.state = item.get("state")
        originals = [link.cause for link in self.index.causes("wasInformedBy", item.id)]
        if self.options.keys:
            for found in (node, leaf) if leaf is not None else (node,):
                found.keys.update((item.id, *originals, item.get("taskKey")))
        if not self.options.facts:
            return
        if item.get("tag") not in ("", step.rpartition("/")[2]) and not node.lines:
            node.lines.append(item.get("tag"))
        add_step(node, item, self.index)
        if leaf is not None:
            add_step(leaf, item, self.index)
        if leaf is not None:
            add_attempt(leaf, item, self.index)
        if item.get("errorMessage") and tasks.failed < _MANY:
            tasks.failed += 1
        elif self._fold(node, node.id, "Tasks", task, brief_attempt(item)):
            return
        add_attempt(node, item, self.index)

    def _add_not_run(self, entry: dict[str, object]) -> None:
        task, step = str(entry["task"]), str(entry.get("step", ""))
        node = self._node(step, task)
        state, reason = str(entry.get("state", "")), str(entry.get("reason", ""))
        self.tasks[node.id].states[task] = state
        names = entry.get("otherNames")
        self._name_others(node, step, list(map(str, names)) if isinstance(names, list) else [])
        leaf = self._leaf(node, step, task)
        if leaf is not None:
            leaf.state = state
            leaf.add(task, "state", state)
            leaf.add(task, "reason", reason)
        if not self._fold(node, node.id, "Tasks", task, f"{state}: {reason}"):
            node.add(task, "state", state)
            node.add(task, "reason", reason)

    def _connect_not_run(self, entries: Collection[Mapping[str, object]]) -> None:
        """Connect what was not run to what kept it from running, or to all that comes before."""
        home = {task: name for name, tasks in self.tasks.items() for task in tasks.states}
        fed = self._fed() if entries else set()
        for entry in entries:
            task = str(entry["task"])
            upstream = entry.get("upstream")
            tasks = [str(name) for name in upstream] if isinstance(upstream, list) else []
            sources = [name for name in tasks if name in home]
            guilty = [
                name
                for name in sources
                if self.tasks[home[name]].states[name] not in ("ok", "cached")
            ]
            for source in guilty or sources:
                ends = home[source], home[task]
                if ends[0] != ends[1] and (guilty or ends not in fed):
                    self.graph.connect(*ends, dashed=True)
                self._tie(self._leaf_id(source, home), "", self._leaf_id(task, home))

    def _fed(self) -> set[tuple[str, str]]:
        """Return activities between which a product flows."""
        makers = {edge.target: edge.source for edge in self.graph.edges}
        return {(makers.get(edge.source, ""), edge.target) for edge in self.graph.edges}

    def _leaf_id(self, task: str, home: Mapping[str, str]) -> str:
        members = self.tasks[home[task]].members
        return members[task].id if task in members else home[task]

    def _tie(self, source: str, through: str, target: str) -> None:
        if self.options.members and source != target:
            self.ties[Tie(source, through, target)] = None

    def _add_product(self, link: Link) -> None:
        entity = self.index.element(link.effect)
        if entity is None or "gpwf:Product" not in entity.types:
            return
        place = self.place[link.cause]
        port = entity.get("port")
        key = f"{place.node} / {port}"
        node = self.graph.nodes.get(key)
        if node is None:
            node = Node(id=key, kind="product", title=port, group=group_of(place.step))
            self.graph.nodes[key] = node
            if entity.get("kind").replace("-", "_") != port.replace("-", "_"):
                node.lines.append(entity.get("kind"))
        self.products[key] += 1
        maker = place.leaf.id if place.leaf is not None else place.node
        generals = [item.cause for item in self.index.causes("specializationOf", entity.id)]
        for name in (entity.id, *generals):
            self.home.setdefault(name, key)
            if self.options.members:
                self.maker.setdefault(name, maker)
        self._tie(maker, key, "")
        if self.options.keys:
            self._name_product(node, entity, place)
        if self.options.facts:
            self._describe_product(node, entity, link, place)
        lost = self.index.causes("wasInvalidatedBy", entity.id)
        self.graph.connect(place.node, key, dashed=bool(lost))

    def _name_product(self, node: Node, entity: Element, place: Place) -> None:
        port = entity.get("port")
        title = self.graph.nodes[place.node].title
        node.keys.update({entity.id, entity.label, f"{title}.{port}", entity.get("digest")})
        names = [place.step, place.task, *self.tasks[place.node].steps]
        for name in filter(None, names):
            node.keys.update({f"{name}.{port}", f"{name.partition('[')[0]}.{port}"})
        node.keys.update(entity.all("output"))
        for file in self._files(entity):
            self.home[file.id] = node.id
            node.keys.update({file.id, file.label, file.get("sha256")})
            if place.leaf is not None:
                place.leaf.keys.update({entity.get("digest"), file.get("sha256")})

    def _files(self, product: Element) -> Iterator[Element]:
        for member in self.index.causes("hadMember", product.id):
            if (file := self.index.element(member.cause)) is not None:
                yield file

    def _describe_product(self, node: Node, entity: Element, link: Link, place: Place) -> None:
        section = entity.label
        files = list(self._files(entity)) if self.options.keys else []
        brief = f"{size_text(entity.get('size_B'))}, {entity.get('digest')}"
        if not self._fold(node, place.node, "Products", section, brief):
            add_product(node, entity, link, files, section)
        if place.leaf is not None:
            add_product(place.leaf, entity, link, files, f"Product {entity.get('port')}")
        for name in entity.all("output"):
            mark = "output" if name == entity.get("port") else f"output {name}"
            if mark not in node.lines:
                node.lines.append(mark)
        if self.index.causes("wasInvalidatedBy", entity.id):
            node.add(section, "invalidated", "left behind by a failed attempt")
            if "left behind" not in node.lines:
                node.lines.append("left behind")

    def _add_usage(self, link: Link) -> None:
        place = self.place[link.effect]
        if link.cause in self.home:
            source = self.home[link.cause]
            if source.startswith(f"{place.node} / "):  # a cached task uses its own product
                return
            self.flows[source, place.node][link.effect, link.role] += 1
            leaf = place.leaf.id if place.leaf is not None else place.node
            self._tie(self.maker.get(link.cause, ""), source, leaf)
            return
        entity = self.index.element(link.cause)
        if entity is None:
            return
        if "voprov:Parameter" in entity.types:
            self._add_setting(link, entity, place)
        elif "prov:Collection" not in entity.types:
            content = self.index.causes("specializationOf", entity.id)
            key = content[0].cause if content else entity.id
            files = self.inputs[place.node, link.role]
            if key not in files or entity.get("name"):
                files[key] = entity
            leaf = place.leaf.id if place.leaf is not None else place.node
            self.readers[place.node, link.role][leaf] = None

    def _add_setting(self, link: Link, entity: Element, place: Place) -> None:
        if not self.options.facts:
            return
        node = self.graph.nodes[place.node]
        value = f"{entity.get('prov:value')} {entity.get('voprov:unit')}".strip()
        name = entity.get("voprov:name")
        known = [self.tasks[place.node].settings]
        if place.leaf is not None:
            known.append(self.own.setdefault(place.leaf.id, {}))
        for settings in known:
            if link.origin or name not in settings:
                settings.setdefault(name, {}).setdefault(value, link.origin)
        if self.options.keys:
            node.keys.add(entity.id)

    def _add_inputs(self) -> None:
        """Add the external files, those of one setting together, shared where they are the same."""
        nodes: dict[tuple[str, frozenset[str]], str] = {}
        for (owner, role), files in self.inputs.items():
            contents = (role, frozenset(files))
            key = nodes.setdefault(contents, f"input {len(nodes)}")
            if key not in self.graph.nodes:
                self.graph.nodes[key] = input_node(key, role, list(files.items()))
            self.graph.connect(key, owner)
            for leaf in self.readers[owner, role]:
                self._tie("", key, leaf)
