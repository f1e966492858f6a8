"""What differs between two results, and which difference came first.

Tasks of both sides are matched by step and coordinates. Where the products of a task differ though
everything that came in is the same, the difference *began* there: what else differs of that task
is its cause. Products of all other tasks differ because of what came in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gpwf.prov.diff_answers import CATEGORIES, MISSING, Change, Difference, ProductChange
from gpwf.prov.diff_changes import (
    SOURCE,
    change_of,
    code_changes,
    file_changes,
    mapping_changes,
    origin_of,
    same_files,
)
from gpwf.prov.diff_facts import Fed, Side, TaskFacts
from gpwf.prov.lineage_index import Edge
from gpwf.prov.record_words import natural

__all__ = ["compare"]


def compare(
    a: Side, b: Side, *, names: tuple[str, str] = ("a", "b"), roots: tuple[str, str] | None = None
) -> Difference:
    """Compare two sides.

    Parameters
    ----------
    a, b : Side
        What records say.
    names : tuple of str
        What the sides are called.
    roots : tuple of str, optional
        Tasks that are matched whatever they are called; what they depend on is matched by its
        place in their inputs.
    """
    return _Comparison(a, b, roots).result(names)


@dataclass(slots=True)
class _Pair:
    """A task on both sides."""

    a: TaskFacts
    b: TaskFacts
    changes: list[Change] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)  # ports
    fed: set[str] = field(default_factory=set)  # tasks, by their name in a, that differ and feed it


class _Comparison:
    def __init__(self, a: Side, b: Side, roots: tuple[str, str] | None) -> None:
        self.a, self.b = a, b
        self.partner = _match(a, b, roots)
        self.pairs = {
            name: _Pair(a.tasks[name], b.tasks[other]) for name, other in self.partner.items()
        }
        self.moved: list[Change] = []

    def result(self, names: tuple[str, str]) -> Difference:
        order = _ordered(self.pairs)
        for name in order:
            self._compare(self.pairs[name])
        for name in order:
            pair = self.pairs[name]
            feeders = {fed.task for feds in pair.a.inputs.values() for fed in feds}
            pair.fed = {
                item for item in feeders if item in self.pairs and self.pairs[item].differing
            }
        environment = list(self._environment())
        causes = self._causes(order, environment)
        products = tuple(self._products(order, causes))
        changes = list(_grouped(self._changes(order, causes)))
        by_category = {
            name: tuple(item for item in changes if item.category == name) for name in CATEGORIES
        }
        return Difference(
            a=names[0],
            b=names[1],
            first_cause=_first(changes, environment, order, products),
            parameters=by_category["parameters"],
            inputs=by_category["inputs"],
            code=by_category["code"],
            software=by_category["software"],
            tasks=(*by_category["tasks"], *self._unmatched()),
            environment=tuple(environment),
            moved=tuple(_grouped(self.moved)),
            renamed=tuple(_grouped(self._renamed(order))),
            products=products,
            n_tasks=len(self.pairs),
            n_products=sum(len({*p.a.products, *p.b.products}) for p in self.pairs.values()),
        )

    # ---- one task ------------------------------------------------------------------------------

    def _compare(self, pair: _Pair) -> None:
        one, two = pair.a, pair.b
        ports = dict.fromkeys((*one.products, *two.products))
        pair.differing = [
            port
            for port in ports
            if one.products.get(port, (MISSING,))[0] != two.products.get(port, (MISSING,))[0]
        ]
        pair.changes += self._settings(one, two)
        pair.changes += file_changes(one, two)
        pair.changes += code_changes(one, two)
        pair.changes += mapping_changes("software", "", one.software, two.software, one.task)
        pair.changes += self._wiring(one, two)
        if one.is_good != two.is_good:
            pair.changes.append(
                change_of("tasks", "", f"{one.task} ended", one.state, two.state, one)
            )

    def _settings(self, one: TaskFacts, two: TaskFacts) -> Iterator[Change]:
        for name in dict.fromkeys((*one.settings, *two.settings)):
            mine, other = one.settings.get(name), two.settings.get(name)
            if mine is not None and other is not None and mine[0] == other[0]:
                continue
            if _is_filled(name, mine, two) or _is_filled(name, other, one):
                continue  # what it holds on the other side is told
            change = change_of(
                "parameters",
                one.step,
                name,
                mine[0] if mine else MISSING,
                other[0] if other else MISSING,
                one,
            )
            kind = (mine or other or ("", ""))[1]
            if "path" in kind and same_files(name, one, two):
                self.moved.append(change)
                continue
            if "source" in kind and "digest" in kind:
                if one.code.get("callableSource") != two.code.get("callableSource"):
                    continue  # told with the code of the step
                change = replace(change, category="code", name=SOURCE)
            origins = [
                origin_of(item[2].attributes()) if item else ("", "") for item in (mine, other)
            ]
            yield replace(
                change,
                origin_a=origins[0][0],
                origin_b=origins[1][0],
                place_a=origins[0][1],
                place_b=origins[1][1],
            )
        if one.stream != two.stream:
            yield change_of("parameters", one.step, "random stream", one.stream, two.stream, one)

    def _wiring(self, one: TaskFacts, two: TaskFacts) -> Iterator[Change]:
        for port in dict.fromkeys((*one.inputs, *two.inputs)):
            mine = [self._place(item) for item in one.inputs.get(port, ())]
            other = [(item.task, item.port) for item in two.inputs.get(port, ())]
            if not (all(task for task, _ in mine) and all(task for task, _ in other)):
                continue  # the record does not say who made it
            digests = [item.digest for item in one.inputs.get(port, ())]
            if sorted(mine) != sorted(other) and sorted(digests) != sorted(
                item.digest for item in two.inputs.get(port, ())
            ):
                yield change_of(
                    "tasks",
                    one.step,
                    f"input {port} comes from",
                    _listed(mine),
                    _listed(other),
                    one,
                )

    def _place(self, item: Fed) -> tuple[str, str]:
        """Return where an input of the first side comes from, under the other side's name."""
        return (self.partner.get(item.task, item.task), item.port)

    # ---- all of them ---------------------------------------------------------------------------

    def _environment(self) -> Iterator[Change]:
        one, two = self.a, self.b
        yield from mapping_changes("environment", "", one.environment, two.environment, "")
        told = {
            change.name
            for pair in self.pairs.values()
            for change in pair.changes
            if change.category == "software"
        }
        for change in mapping_changes("environment", "", one.distributions, two.distributions, ""):
            if change.name not in told:
                yield replace(change, name=f"installed {change.name}")

    def _causes(self, order: Sequence[str], environment: list[Change]) -> dict[str, list[str]]:
        """Return why the products of each task differ: labels of changes further up, or here."""
        found: dict[str, list[str]] = {}
        for name in order:
            pair = self.pairs[name]
            if not pair.differing:
                continue
            labels = dict.fromkeys(label for item in pair.fed for label in found.get(item, ()))
            if not pair.fed:
                own = pair.changes or environment
                labels.update(dict.fromkeys(item.label for item in own))
            found[name] = list(labels)
        return found

    def _products(
        self, order: Sequence[str], causes: Mapping[str, list[str]]
    ) -> Iterator[ProductChange]:
        for name in order:
            pair = self.pairs[name]
            for port in pair.differing:
                mine = pair.a.products.get(port, (MISSING, ""))
                other = pair.b.products.get(port, (MISSING, ""))
                cause = "upstream" if pair.fed else "own" if causes[name] else "unexplained"
                yield ProductChange(
                    task=name,
                    task_b=pair.b.task if pair.b.task != name else "",
                    port=port,
                    kind=mine[1] or other[1],
                    a=mine[0],
                    b=other[0],
                    cause=cause,
                    follows=tuple(causes[name]),
                )

    def _changes(self, order: Sequence[str], causes: Mapping[str, list[str]]) -> Iterator[Change]:
        for name in order:
            pair = self.pairs[name]
            above = tuple(
                dict.fromkeys(label for item in pair.fed for label in causes.get(item, ()))
            )
            begins = bool(pair.differing) and not pair.fed
            for change in pair.changes:
                labels = tuple(label for label in above if label != change.label)
                yield replace(change, is_first=begins, follows=labels)

    def _renamed(self, order: Sequence[str]) -> Iterator[Change]:
        for name in order:
            one, two = self.pairs[name].a, self.pairs[name].b
            if one.step != two.step:
                yield change_of("renamed", "", "step", one.step, two.step, one)
            elif one.task != two.task:
                yield change_of("renamed", "", "task", one.task, two.task, one)

    def _unmatched(self) -> Iterator[Change]:
        met = set(self.partner.values())
        for name, task in self.a.tasks.items():
            if name not in self.partner:
                yield change_of("tasks", "", name, task.state or "there", MISSING, task)
        for name, task in self.b.tasks.items():
            if name not in met:
                yield change_of("tasks", "", name, MISSING, task.state or "there", task)


# ---- parts -------------------------------------------------------------------------------------


def _is_filled(name: str, setting: tuple[str, str, Edge] | None, other: TaskFacts) -> bool:
    """Tell whether a setting is empty here, and a group with something in it there."""
    is_empty = setting is not None and setting[0] in ("{}", "[]", "null")
    return (
        is_empty
        and name not in other.settings
        and any(item.startswith(f"{name}.") for item in other.settings)
    )


def _match(a: Side, b: Side, roots: tuple[str, str] | None) -> dict[str, str]:
    """Return the task of the second side for each of the first that has one."""
    found: dict[str, str] = {}
    met: set[str] = set()

    def put(one: str, two: str) -> bool:
        if one in found or two in met or one not in a.tasks or two not in b.tasks:
            return False
        found[one] = two
        met.add(two)
        return True

    front = [roots] if roots is not None else []
    while front:  # in parallel up from the roots, by port and by place in it
        one, two = front.pop()
        if not put(one, two):
            continue
        mine, other = a.tasks[one].inputs, b.tasks[two].inputs
        for port in mine:
            names = {item.task for item in other.get(port, ())}
            left = [item.task for item in mine[port] if item.task not in names]
            right = names - {item.task for item in mine[port]}
            front += [(name, name) for name in (item.task for item in mine[port]) if name in names]
            rest = [item.task for item in other.get(port, ()) if item.task in right]
            front += list(zip(left, rest, strict=False))
    for same in a.tasks:
        put(same, same)
    by_name = {item: task.task for task in b.tasks.values() for item in task.names}
    by_key = {task.key: task.task for task in b.tasks.values() if task.key}
    for task in a.tasks.values():
        twins = [by_name.get(item) for item in task.names]
        twins.append(by_key.get(task.key) if task.key else None)
        for twin in twins:
            if twin is not None and put(task.task, twin):
                break
    return found


def _ordered(pairs: Mapping[str, _Pair]) -> list[str]:
    """Return the tasks in an order in which each comes after those that feed it."""
    found: dict[str, None] = {}
    for root in pairs:
        stack: list[tuple[str, bool]] = [(root, False)]
        entered: set[str] = set()
        while stack:
            name, done = stack.pop()
            if name in found:
                continue
            if done:
                found[name] = None
                continue
            if name in entered:
                continue  # a circle, in a foreign record
            entered.add(name)
            stack.append((name, True))
            for feds in pairs[name].a.inputs.values():
                stack += [(fed.task, False) for fed in feds if fed.task in pairs]
    return list(found)


def _first(
    changes: Sequence[Change],
    environment: Sequence[Change],
    order: Sequence[str],
    products: Sequence[ProductChange],
) -> Change | None:
    """Return the change that came first and explains most products."""
    begun = [item for item in changes if item.is_first]
    if begun:
        place = {name: number for number, name in enumerate(order)}

        def rank(change: Change) -> tuple[int, int, int]:
            explained = sum(change.label in item.follows for item in products)
            first = min(place.get(name, len(order)) for name in change.tasks)
            return (-explained, CATEGORIES.index(change.category), first)

        return min(begun, key=rank)
    if any(item.cause == "own" for item in products) and environment:
        return environment[0]
    return None


def _grouped(changes: Iterable[Change]) -> list[Change]:
    """Return each change once, with all tasks where it is."""
    found: dict[tuple[str, ...], Change] = {}
    for change in changes:
        key = (change.category, change.step, change.name, change.a, change.b)
        known = found.get(key)
        if known is not None:
            change = replace(
                known,
                tasks=tuple(dict.fromkeys((*known.tasks, *change.tasks))),
                is_first=known.is_first or change.is_first,
                follows=() if known.is_first or change.is_first else known.follows,
            )
        elif change.is_first:
            change = replace(change, follows=())
        found[key] = change
    return [replace(item, tasks=tuple(sorted(item.tasks, key=natural))) for item in found.values()]


def _listed(places: Sequence[tuple[str, str]]) -> str:
    names = [f"{task}.{port}" for task, port in places]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
