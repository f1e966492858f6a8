"""Questions to the records of runs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from gpwf.prov.lineage import Lineage, Walk
from gpwf.prov.lineage_build import Kind, Relation
from gpwf.prov.lineage_index import Thing
from gpwf.prov.query_answers import Attempt, Code, Input, Product, Setting, Software
from gpwf.prov.query_facts import Facts, number_of, setting_text

__all__ = ["Questions"]

#: Origin of a setting that nobody gave a value.
STEP_DEFAULT = "step default"


class Questions:
    """Answers questions to records.

    Parameters
    ----------
    lineage : Lineage
        The records.
    """

    def __init__(self, lineage: Lineage) -> None:
        self.lineage = lineage
        self.facts = Facts(lineage)

    def everything(self) -> dict[int, int]:
        """Return all attempts of the records, each with the depth 0."""
        keys = [
            key
            for record in self.lineage.records
            for key in record.of_kind(Kind.ATTEMPT, Kind.CACHED, Kind.ACTIVITY)
        ]
        return dict.fromkeys(keys, 0)

    # ---- attempts ------------------------------------------------------------------------------

    def attempts(
        self, scope: Mapping[int, int] | None = None, where: Sequence[tuple[str, str]] = ()
    ) -> list[Attempt]:
        """Return attempts in the order of their start.

        Parameters
        ----------
        scope : mapping of int to int, optional
            Things to choose from, with their depth; all attempts of the records by default.
        where : sequence of (str, str)
            Conditions, see `Facts.fulfils`.
        """
        chosen = self.everything() if scope is None else scope
        found = []
        for item in self._activities(chosen):
            if item.kind is Kind.RUN or (scope is None and self.facts.is_of_another_run(item)):
                continue
            if item.kind is Kind.ACTIVITY and item.id.startswith("gpwf:"):
                continue  # a reproduction, and the runs that it names
            if all(self.facts.fulfils(item, name, value) for name, value in where):
                found.append(self._attempt(item, chosen[item.key] if scope else None))
        return sorted(found, key=lambda item: (item.started, item.task))

    def _attempt(self, item: Thing, depth: int | None) -> Attempt:
        told = self.facts.told_of(item)
        return Attempt(
            id=item.id,
            run=self.facts.run_of(item),
            task=told.get("task") or told.get("prov:label") or told.id,
            step=told.get("step"),
            tag=item.get("tag"),
            coordinates=dict(
                text.partition("=")[::2] for text in told.values.get("coordinate", ())
            ),
            state=item.get("state"),
            attempt=int(item.get("attempt")) if item.get("attempt").isdigit() else None,
            started=item.start,
            ended=item.end,
            wall_s=number_of(item.get("wallTime_s")),
            key=item.get("taskKey"),
            error=": ".join(
                part for part in (item.get("errorKind"), item.get("errorMessage")) if part
            ),
            depth=depth,
        )

    def _activities(self, scope: Iterable[int]) -> list[Thing]:
        kinds = (Kind.ATTEMPT, Kind.CACHED, Kind.ACTIVITY, Kind.RUN)
        items = [item for item in self.lineage.things(scope) if item.kind in kinds]
        self.facts.prepare(items)
        return items

    # ---- products ------------------------------------------------------------------------------

    def products(self, walk: Walk) -> list[Product]:
        """Return the products of a walk but those that it began with, nearest first."""
        keys = [key for key in walk.depth if key not in walk.roots]
        items = [item for item in self.lineage.things(keys) if item.kind is Kind.PRODUCT]
        made = {e.effect: e.cause for e in self.lineage.causes(keys, Relation.GENERATED)}
        makers = {item.key: item for item in self._activities(made.values())}
        left = {e.effect for e in self.lineage.causes(keys, Relation.INVALIDATED)}
        names: dict[int, list[str]] = {}
        members = self.lineage.causes([item.key for item in items], Relation.MEMBER)
        files = {item.key: item for item in self.lineage.things(edge.cause for edge in members)}
        for edge in members:
            if edge.cause in files:
                names.setdefault(edge.effect, []).append(files[edge.cause].get("name"))
        found = []
        for item in items:
            maker = makers.get(made.get(item.key, 0))
            if item.key in left:  # what a failed attempt left behind
                continue
            found.append(
                Product(
                    id=item.id,
                    run=self.facts.run_of(maker) if maker else "",
                    task=self._task_of(item, maker),
                    port=item.get("port"),
                    kind=item.get("kind"),
                    digest=item.get("digest"),
                    made=maker.end if maker else "",
                    files=tuple(names.get(item.key, ())),
                    depth=walk.depth[item.key],
                )
            )
        return sorted(found, key=lambda item: (item.depth or 0, item.made))

    def _task_of(self, item: Thing, maker: Thing | None) -> str:
        label = item.get("prov:label").removesuffix(f".{item.get('port')}")
        return (self.facts.told_of(maker).get("task") if maker else "") or label

    # ---- inputs --------------------------------------------------------------------------------

    def inputs(self, walk: Walk | None = None) -> list[Input]:
        """Return the files from outside that a walk met; all of the records by default."""
        if walk is None:
            activities = list(self.everything())
            used = self.lineage.causes(activities, Relation.USED)
            keys: Collection[int] = {edge.cause for edge in used}
        else:
            keys = walk.depth
            used = self.lineage.causes(list(walk.depth), Relation.USED)
        kinds = self.lineage.kinds(keys)
        made = {edge.effect for edge in self.lineage.causes(keys, Relation.GENERATED)}
        known = (Kind.FILE, Kind.CONTENT, Kind.ENTITY)
        outside = {key for key in keys if kinds[key] in known and key not in made}
        if walk is not None:
            inner = {link.effect for link in walk.links}
            outside = {key for key in outside if kinds[key] is not Kind.ENTITY or key not in inner}
        users = [edge for edge in used if edge.cause in outside]
        by_user = {item.key: item for item in self._activities({edge.effect for edge in users})}
        groups: dict[str, _Files] = {}
        for part in self._files(outside):
            groups.setdefault(part.sha256 or part.ids[0], _Files()).join(part)
        for edge in users:
            item = by_user.get(edge.effect)
            for group in groups.values() if item is not None else ():
                if edge.cause in group.keys and item is not None:
                    told = self.facts.told_of(item)
                    group.tasks[told.get("task") or told.get("prov:label") or told.id] = None
                    group.runs[self.facts.run_of(item)] = None
                    group.settings[edge.role.removeprefix("in.")] = None
        return sorted((group.input() for group in groups.values()), key=lambda item: item.name)

    def _files(self, keys: Collection[int]) -> Iterator[_Files]:
        """Yield each file with what its content and the same content elsewhere say of it."""
        general: dict[int, list[int]] = {}
        for edge in self.lineage.causes(keys, Relation.SPECIALIZED):
            general.setdefault(edge.effect, []).append(edge.cause)
        for item in self.lineage.things(keys):
            part = _Files()
            part.add(item)
            for other in self.lineage.things(general.get(item.key, ())):
                part.add(other, named=False)
            if item.kind is Kind.CONTENT:  # of an earlier run: other records may know the path
                edges = self.lineage.effects((item.key,), Relation.SPECIALIZED)
                for other in self.lineage.things(edge.effect for edge in edges):
                    if other.get("prov:location"):
                        part.add(other, named=False)
            yield part

    # ---- settings and software -----------------------------------------------------------------

    def settings(
        self, scope: Mapping[int, int] | None = None, like: str = "", *, changed: bool = False
    ) -> list[Setting]:
        """Return the settings that attempts used, and parameters of runs, which have no step.

        Parameters
        ----------
        scope : mapping of int to int, optional
            Things whose attempts count; all of the records by default.
        like : str
            ``NAME`` or ``NAME=VALUE``, with ``*`` for anything; a name may leave out what is in
            front of a dot.
        changed : bool
            True for those alone that are not the defaults of their steps.
        """
        every = (key for record in self.lineage.records for key in record.of_kind(Kind.RUN))
        items = self._activities([*every, *self.everything()] if scope is None else scope)
        if scope is None:  # the attempts of another run are told of by who took their results
            items = [item for item in items if not self.facts.is_of_another_run(item)]
        whose = {item.key: item for item in items}
        for item in items:  # who took the result knows where its settings came from
            for hit in self.facts.hits_of(item):
                whose.setdefault(hit.key, item)
        edges = list(self.lineage.all_edges(list(whose), Relation.SETTING))
        values = {item.key: item for item in self.lineage.things(edge.cause for edge in edges)}
        wanted = {key: item for key, item in values.items() if _is_like(item, like)}
        best: dict[tuple[int, int], tuple[str, str]] = {}
        for edge in edges:
            if edge.cause in wanted:
                notes = edge.attributes()
                place = ("".join(notes.get("origin", ())), "".join(notes.get("originPlace", ())))
                at = (whose[edge.effect].key, edge.cause)
                if at not in best or (place[0] and not best[at][0]):
                    best[at] = place
        groups: dict[tuple[str, ...], tuple[dict[str, None], dict[str, None]]] = {}
        in_time = sorted(best.items(), key=lambda entry: whose[entry[0][0]].start)
        for (user, cause), (origin, line) in in_time:
            if changed and (origin == STEP_DEFAULT or whose[user].kind is Kind.RUN):
                continue
            item, told = wanted[cause], self.facts.told_of(whose[user])
            key = (
                told.get("step"),
                item.get("voprov:name"),
                item.get("prov:value"),
                item.get("voprov:unit"),
                item.get("voprov:valueType"),
                origin,
                line,
            )
            tasks, runs = groups.setdefault(key, ({}, {}))
            if told.kind is not Kind.RUN:
                tasks[told.get("task") or told.get("prov:label") or told.id] = None
            runs[self.facts.run_of(whose[user])] = None
        names = ("step", "name", "value", "unit", "type", "origin", "place")
        return [
            Setting(**dict(zip(names, key, strict=True)), tasks=tuple(tasks), runs=tuple(runs))
            for key, (tasks, runs) in groups.items()
        ]

    def software(
        self, scope: Mapping[int, int] | None = None
    ) -> tuple[list[Software], list[Code], list[dict[str, Any]]]:
        """Return the distributions, the code of the steps, and the environments of the runs."""
        items = self._activities(self.everything() if scope is None else scope)
        if scope is None:
            items = [item for item in items if not self.facts.is_of_another_run(item)]
        found: dict[tuple[str, str], tuple[dict[str, None], dict[str, None], list[int]]] = {}
        codes: dict[int, dict[str, None]] = {}
        for item in items:
            step = self.facts.told_of(item).get("step")
            run = self.facts.run_of(item)
            for text in item.values.get("software", ()):
                name, _, version = text.partition("==")
                steps, runs, count = found.setdefault((name, version), ({}, {}, []))
                steps[step] = runs[run] = None
                count.append(item.key)
            for key in self.facts.plans_of(self.facts.told_of(item)):
                codes.setdefault(key, {})[run] = None
        software = [
            Software(
                name=name,
                version=version,
                steps=tuple(steps),
                runs=tuple(runs),
                n_attempts=len(set(count)),
            )
            for (name, version), (steps, runs, count) in sorted(found.items())
        ]
        code = [_code(self.lineage.thing(key), runs) for key, runs in codes.items()]
        runs = dict.fromkeys(run for _, others in codes.items() for run in others)
        return software, code, self.facts.environments(runs)


def _code(item: Thing, runs: Iterable[str]) -> Code:
    return Code(
        step=item.get("name") or item.get("prov:label"),
        tag=item.get("tag"),
        version=item.get("version"),
        package=item.get("package"),
        package_version=item.get("packageVersion"),
        source=item.get("sourceDigest"),
        callable=item.get("callable"),
        runs=tuple(runs),
    )


def _is_like(item: Thing, like: str) -> bool:
    if not like:
        return True
    name, sign, value = like.partition("=")
    own = item.get("voprov:name")
    if not (fnmatchcase(own, name.strip()) or own.endswith(f".{name.strip()}")):
        return False
    text = setting_text(item.get("prov:value"), item.get("voprov:unit"))
    return not sign or _is_value(text, value.strip())


def _is_value(text: str, wanted: str) -> bool:
    if fnmatchcase(text, wanted):
        return True
    one, two = text.partition(" "), wanted.partition(" ")
    numbers = number_of(one[0]), number_of(two[0])
    return numbers[0] is not None and numbers[0] == numbers[1] and one[2] == two[2]


class _Files:
    """Files with the same bytes, as they are collected."""

    _KNOWN = frozenset(
        ("prov:type", "prov:label", "prov:location", "name", "sha256", "dataDigest", "size_B")
    )

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.keys: set[int] = set()
        self.name = self.sha256 = self.data_digest = ""
        self.size: int | None = None
        self.paths: dict[str, None] = {}
        self.identity: dict[str, tuple[str, ...]] = {}
        self.tasks: dict[str, None] = {}
        self.runs: dict[str, None] = {}
        self.settings: dict[str, None] = {}

    def add(self, item: Thing, *, named: bool = True) -> None:
        """Take in what a file, or its content, says; only a file in the walk is ``named``."""
        if named:
            self.ids.append(item.id)
            self.keys.add(item.key)
        self.paths.update(dict.fromkeys(item.values.get("prov:location", ())))
        self.name = self.name or item.get("name") or (item.get("prov:label") if named else "")
        self.sha256 = self.sha256 or item.get("sha256")
        self.data_digest = self.data_digest or item.get("dataDigest")
        size = item.get("size_B")
        self.size = int(size) if self.size is None and size.isdigit() else self.size
        for name, values in item.values.items():
            if name not in self._KNOWN:
                self.identity.setdefault(name, tuple(values))

    def join(self, other: _Files) -> None:
        """Take in what another entity with the same bytes says."""
        self.ids += other.ids
        self.keys |= other.keys
        self.paths.update(other.paths)
        self.name = self.name or other.name
        self.sha256 = self.sha256 or other.sha256
        self.data_digest = self.data_digest or other.data_digest
        self.size = self.size if self.size is not None else other.size
        self.identity = {**other.identity, **self.identity}

    def input(self) -> Input:
        """Return the answer."""
        return Input(
            id=self.ids[0],
            name=self.name or self.ids[0],
            paths=tuple(self.paths),
            sha256=self.sha256,
            data_digest=self.data_digest,
            size_bytes=self.size,
            identity=self.identity,
            settings=tuple(self.settings),
            used_by=tuple(self.tasks),
            runs=tuple(self.runs),
        )
