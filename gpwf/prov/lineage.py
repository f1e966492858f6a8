"""Who made what from what, over the records of several runs.

The records of the runs of one store are one graph: a product has the same name in all of them.
Where a product was used under another name, three bridges lead on:

- a *value* is what products with the same content have in common; an attempt of an earlier run is
  said to have used it where the product itself was made again since;
- the *content* of a file is what files with the same bytes have in common: so the product of one
  workflow that is an input file of another is found;
- a cached result is that of the attempt that made it;
- a file is what other tools recorded of it, where `gpwf prov ingest` found that to be the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from gpwf.prov.lineage_build import Kind, Relation
from gpwf.prov.lineage_index import Edge, LineageIndex, Thing
from gpwf.prov.lineage_walk import Direction, Link, Walk

__all__ = ["Direction", "Lineage", "Link", "Walk"]

#: Kinds of which nothing is made and that nothing is made of.
_ASIDE = (Kind.PLAN, Kind.STEP, Kind.ENVIRONMENT, Kind.LOG)
_FILES = (Kind.FILE, Kind.CONTENT)
_ACTIVITIES = (Kind.ATTEMPT, Kind.CACHED, Kind.RUN, Kind.ACTIVITY)


class Lineage:
    """Records of runs as one graph; a context manager.

    Parameters
    ----------
    records : sequence of LineageIndex
        The records; of what several say of a thing, the one that says most counts.
    """

    def __init__(self, records: Sequence[LineageIndex]) -> None:
        self.records = tuple(records)
        self._things: dict[int, Thing] = {}
        self._kinds: dict[int, Kind] = {}

    @classmethod
    def of(cls, *paths: Path, keep: bool = True) -> Lineage:
        """Open PROV-JSON files; see `LineageIndex`."""
        return cls([LineageIndex(path, keep=keep) for path in paths])

    def __enter__(self) -> Lineage:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        for record in self.records:
            record.close()

    # ---- things ------------------------------------------------------------------------------

    def things(self, keys: Iterable[int]) -> list[Thing]:
        """Return things by key, in this order; without those that no record declares."""
        wanted = list(dict.fromkeys(keys))
        missing = [key for key in wanted if key not in self._things]
        for record in self.records if missing else ():
            for thing in record.things(missing):
                known = self._things.get(thing.key)
                if known is None or len(known.values) < len(thing.values):
                    self._things[thing.key] = thing
        return [self._things[key] for key in wanted if key in self._things]

    def thing(self, key: int) -> Thing:
        """Return a thing by key; one that no record declares has no attributes."""
        found = self.things([key])
        return found[0] if found else Thing(key=key, id="(not declared)", kind=Kind.ENTITY)

    def kinds(self, keys: Iterable[int]) -> dict[int, Kind]:
        """Return what things are; one that no record declares is an entity."""
        wanted = set(keys)
        missing = [key for key in wanted if key not in self._kinds]
        for record in self.records if missing else ():
            for key, kind in record.kinds(missing).items():
                self._kinds[key] = max(kind, self._kinds.get(key, kind))
        return {key: self._kinds.get(key, Kind.ENTITY) for key in wanted}

    # ---- relations ---------------------------------------------------------------------------

    def causes(self, keys: Collection[int], *relations: Relation) -> list[Edge]:
        """Return the relations of effects to their causes, each once."""
        return self._edges(keys, relations, up=True)

    def effects(self, keys: Collection[int], *relations: Relation) -> list[Edge]:
        """Return the relations of causes to their effects, each once."""
        return self._edges(keys, relations, up=False)

    def _edges(
        self, keys: Collection[int], relations: Sequence[Relation], *, up: bool
    ) -> list[Edge]:
        found: dict[tuple[int, int, int, str], Edge] = {}
        for record in self.records if keys else ():
            for edge in record.edges(keys, relations, up=up):
                found.setdefault(edge[:4], edge)
        return list(found.values())

    def all_edges(self, keys: Collection[int], *relations: Relation) -> Iterator[Edge]:
        """Yield the relations of effects to their causes, as often as records tell of them."""
        for record in self.records if keys else ():
            yield from record.edges(keys, relations, up=True)

    # ---- walks -------------------------------------------------------------------------------

    def walk(
        self, roots: Iterable[int], direction: Direction = Direction.UP, depth: int | None = None
    ) -> Walk:
        """Go from things to their causes or to their effects.

        Parameters
        ----------
        roots : iterable of int
            Keys to begin with.
        direction : Direction
            Where to go.
        depth : int, optional
            Most activities on a way; no bound by default.
        """
        walk = Walk(roots=tuple(dict.fromkeys(roots)), direction=direction)
        walk.depth = dict.fromkeys(walk.roots, 0)
        go = self._up if direction is Direction.UP else self._down
        seen: set[Link] = set()
        front = list(walk.roots)
        while front:
            following: dict[int, None] = {}
            links = list(go(front))
            is_up = direction is Direction.UP
            kinds = self.kinds(link.cause if is_up else link.effect for link in links)
            for link in links:
                ends = (link.effect, link.cause)
                source, target = ends if is_up else ends[::-1]
                level = walk.depth[source] + (kinds[target] in _ACTIVITIES)
                if depth is not None and level > depth:
                    continue
                if link not in seen:
                    seen.add(link)
                    walk.links.append(link)
                if level < walk.depth.get(target, level + 1):  # new, or on a shorter way
                    walk.depth[target] = level
                    following[target] = None
            front = list(following)
        return walk

    def _split(self, keys: Collection[int]) -> tuple[list[int], list[int]]:
        """Return the activities and the others."""
        kinds = self.kinds(keys)
        return (
            [key for key in keys if kinds[key] in _ACTIVITIES],
            [key for key in keys if kinds[key] not in (*_ACTIVITIES, Kind.AGENT)],
        )

    def _up(self, keys: Collection[int]) -> Iterator[Link]:
        activities, others = self._split(keys)
        yield from self._causes_of_activities(activities)
        made = self.causes(others, Relation.GENERATED)
        yield from (_link(edge, "generated") for edge in made)
        yield from (_link(edge, "derived") for edge in self.causes(others, Relation.DERIVED))
        rest = set(others) - {edge.effect for edge in made}
        kinds = self.kinds(rest)
        yield from self._of_values([key for key in rest if kinds[key] is Kind.VALUE])
        yield from self._of_contents(
            [key for key in rest if kinds[key] in (Kind.FILE, Kind.CONTENT)]
        )
        files = [key for key in rest if kinds[key] in _FILES]
        yield from self._recorded_elsewhere(files)
        plain = [key for key in rest if kinds[key] in (Kind.ENTITY, Kind.COLLECTION)]
        yield from (_link(edge, "member") for edge in self.causes(plain, Relation.MEMBER))
        same = self.causes(plain, Relation.SPECIALIZED, Relation.ALTERNATE)
        told = self._with_history({edge.effect for edge in same})
        ends = self.kinds(edge.cause for edge in same)
        for edge in same:  # a file comes from what other tools say of it, not the other way
            if not (edge.effect in told and ends[edge.cause] in _FILES):
                yield _link(edge, "same content")

    def _recorded_elsewhere(self, files: Collection[int]) -> Iterator[Link]:
        """Go from files to the entities of other tools that are the same and have a history."""
        content: dict[int, list[int]] = {key: [key] for key in files}
        for edge in self.causes(files, Relation.SPECIALIZED):
            content.setdefault(edge.cause, []).append(edge.effect)
        edges = self.effects(content, Relation.ALTERNATE, Relation.SPECIALIZED)
        told = self._with_history({edge.effect for edge in edges})
        made = {edge.effect for edge in self.causes(told, Relation.GENERATED)}
        for edge in edges:
            if edge.effect not in told:
                continue
            if edge.relation is Relation.SPECIALIZED and edge.effect in made:
                continue  # `_bridges` goes there
            for key in content[edge.cause]:
                yield Link(effect=key, cause=edge.effect, relation="same content")

    def _with_history(self, keys: Collection[int]) -> set[int]:
        """Return the entities of other tools of which something is said to have come before."""
        kinds = self.kinds(keys)
        plain = [key for key in keys if kinds[key] in (Kind.ENTITY, Kind.COLLECTION)]
        return {edge.effect for edge in self.causes(plain, Relation.GENERATED, Relation.DERIVED)}

    def _causes_of_activities(self, keys: Collection[int]) -> Iterator[Link]:
        used = [
            edge for edge in self.causes(keys, Relation.USED) if not edge.role.startswith("cached.")
        ]
        kinds = self.kinds(edge.cause for edge in used)
        own = self.kinds(keys)
        ways = {(edge.effect, edge.role) for edge in used if kinds[edge.cause] != Kind.COLLECTION}
        twice = self._told_closer(used, kinds)
        for edge in used:
            kind = kinds[edge.cause]
            if edge[:4] in twice:
                continue
            if kind is Kind.COLLECTION and (edge.effect, edge.role) in ways:
                continue  # its members are used as well
            if kind in _ASIDE and own[edge.effect] is not Kind.ACTIVITY:
                continue
            yield _link(edge, "used")
        known = {edge.effect for edge in used}
        for edge in self.causes(keys, Relation.INFORMED):
            if own[edge.effect] is Kind.CACHED or edge.effect not in known:
                yield _link(edge, "informed")

    def _told_closer(
        self, used: Sequence[Edge], kinds: Mapping[int, Kind]
    ) -> set[tuple[int, int, int, str]]:
        """Return the uses of values and contents of which another record names product or file."""
        general = {e.cause for e in used if kinds[e.cause] in (Kind.VALUE, Kind.CONTENT)}
        ways = {(edge.effect, edge.cause, edge.role) for edge in used}
        aspects: dict[int, list[int]] = {}
        for edge in self.effects(general, Relation.SPECIALIZED):
            aspects.setdefault(edge.cause, []).append(edge.effect)
        return {
            edge[:4]
            for edge in used
            if any((edge.effect, item, edge.role) in ways for item in aspects.get(edge.cause, ()))
        }

    def _of_values(self, keys: Collection[int]) -> Iterator[Link]:
        """Go from values to the product that was there when they were used."""
        products: dict[int, list[int]] = {}
        for edge in self.effects(keys, Relation.SPECIALIZED):
            products.setdefault(edge.cause, []).append(edge.effect)
        several = [key for key, found in products.items() if len(found) > 1]
        times = self._times({item for key in several for item in products[key]})
        used = self._first_use(several)
        for key, found in products.items():
            before = [item for item in found if times.get(item, "") <= used.get(key, "")]
            best = max(before or found, key=lambda item: (times.get(item, ""), item))
            yield Link(effect=key, cause=best, relation="same content")

    def _times(self, keys: Collection[int]) -> dict[int, str]:
        """Return when things were made."""
        edges = self.causes(keys, Relation.GENERATED)
        makers = {thing.key: thing for thing in self.things(edge.cause for edge in edges)}
        return {edge.effect: makers[edge.cause].end for edge in edges if edge.cause in makers}

    def _first_use(self, keys: Collection[int]) -> dict[int, str]:
        edges = self.effects(keys, Relation.USED)
        users = {thing.key: thing for thing in self.things(edge.effect for edge in edges)}
        found: dict[int, str] = {}
        for edge in edges:
            if edge.effect in users:
                start = users[edge.effect].start
                found[edge.cause] = min(found.get(edge.cause, start), start)
        return found

    def _of_contents(self, keys: Collection[int]) -> Iterator[Link]:
        """Go from external files to a product of another workflow that has the same bytes."""
        yield from self._bridges(keys, up=True)

    def _bridges(self, keys: Collection[int], *, up: bool) -> Iterator[Link]:
        """Yield what ties external files and files in products with the same bytes.

        A task that copies a file has the same bytes before and behind it: a product whose maker
        used them is not where they come from.
        """
        kinds = self.kinds(keys)
        content: dict[int, list[int]] = {key: [key] for key in keys if kinds[key] is Kind.CONTENT}
        for edge in self.causes([key for key in keys if key not in content], Relation.SPECIALIZED):
            content.setdefault(edge.cause, []).append(edge.effect)
        twins = self.effects(content, Relation.SPECIALIZED)
        pairs = [(key, edge) for edge in twins for key in content[edge.cause] if edge.effect != key]
        made = self.causes(
            {key for pair, edge in pairs for key in (pair, edge.effect)}, Relation.GENERATED
        )
        maker = {edge.effect: edge.cause for edge in made}
        pairs = [(key, edge) for key, edge in pairs if (edge.effect in maker) is up]
        makers = [maker.get(edge.effect if up else key) for key, edge in pairs]
        copied = self._contents_used({item for item in makers if item is not None})
        members = self.effects({edge.effect for _, edge in pairs} if up else (), Relation.MEMBER)
        owner = {edge.cause: edge.effect for edge in members}
        for (key, edge), made_by in zip(pairs, makers, strict=True):
            if made_by is not None and edge.cause in copied.get(made_by, ()):
                continue
            ends = (key, owner.get(edge.effect, edge.effect)) if up else (edge.effect, key)
            yield Link(effect=ends[0], cause=ends[1], relation="same content")

    def _contents_used(self, activities: Collection[int]) -> dict[int, set[int]]:
        """Return the contents of the files that activities used."""
        used = self.causes(activities, Relation.USED)
        general = self.causes({edge.cause for edge in used}, Relation.SPECIALIZED)
        of_file: dict[int, set[int]] = {}
        for edge in general:
            of_file.setdefault(edge.effect, set()).add(edge.cause)
        found: dict[int, set[int]] = {}
        for edge in used:
            found.setdefault(edge.effect, set()).update((edge.cause, *of_file.get(edge.cause, ())))
        return found

    def _down(self, keys: Collection[int]) -> Iterator[Link]:
        activities, others = self._split(keys)
        yield from self._effects_of_activities(activities)
        kinds = self.kinds(others)
        yield from (
            _link(edge, "used")
            for edge in self.effects(others, Relation.USED, Relation.SETTING)
            if not edge.role.startswith("cached.") or kinds[edge.cause] is Kind.PRODUCT
        )
        yield from (_link(edge, "derived") for edge in self.effects(others, Relation.DERIVED))
        files = [key for key in others if kinds[key] not in (Kind.PRODUCT, Kind.VALUE)]
        general = self.causes(files, Relation.SPECIALIZED)
        told = self.kinds(edge.cause for edge in general)
        for edge in general:  # a file is used as its content by attempts of earlier runs
            if told[edge.cause] is Kind.CONTENT:
                yield Link(effect=edge.cause, cause=edge.effect, relation="same content")
        yield from self._uses_of_values([key for key in others if kinds[key] is Kind.PRODUCT])
        contents = [key for key in others if kinds[key] is Kind.CONTENT]
        yield from self._bridges(contents, up=False)
        products = [key for key in others if kinds[key] is Kind.PRODUCT]
        owner = {edge.cause: edge.effect for edge in self.causes(products, Relation.MEMBER)}
        for link in self._bridges(owner, up=False):
            yield Link(effect=link.effect, cause=owner[link.cause], relation="same content")
        plain = [key for key in others if kinds[key] in (Kind.ENTITY, Kind.COLLECTION)]
        same = self.causes(plain, Relation.ALTERNATE)
        ends = self.kinds(edge.cause for edge in same)
        for edge in same:
            if ends[edge.cause] in _FILES:
                yield Link(effect=edge.cause, cause=edge.effect, relation="same content")
        yield from self._collections_of(others, kinds)

    def _uses_of_values(self, products: Collection[int]) -> Iterator[Link]:
        """Go from products to those who used their values, and did so later."""
        values: dict[int, list[int]] = {}
        for edge in self.causes(products, Relation.SPECIALIZED):
            values.setdefault(edge.cause, []).append(edge.effect)
        used = self.effects(values, Relation.USED)
        if not used:
            return
        every = self.causes({edge.effect for edge in used}, Relation.USED)
        twice = self._told_closer(every, self.kinds(edge.cause for edge in every))
        users = {item.key: item for item in self.things(edge.effect for edge in used)}
        made = self._times([item for edge in used for item in values[edge.cause]])
        for edge in used:
            user = users.get(edge.effect)
            if edge[:4] in twice or user is None:
                continue
            for product in values[edge.cause]:
                if made.get(product, "") <= user.start:
                    yield Link(effect=edge.effect, cause=product, relation="used", role=edge.role)

    def _collections_of(self, keys: Collection[int], kinds: dict[int, Kind]) -> Iterator[Link]:
        plain = [key for key in keys if kinds[key] in (Kind.ENTITY, Kind.FILE)]
        yield from (_link(edge, "member") for edge in self.effects(plain, Relation.MEMBER))
        plain = [key for key in keys if kinds[key] in (Kind.ENTITY, Kind.COLLECTION)]
        yield from (
            _link(edge, "same content")
            for edge in self.effects(plain, Relation.SPECIALIZED, Relation.ALTERNATE)
        )

    def _effects_of_activities(self, keys: Collection[int]) -> Iterator[Link]:
        made = self.effects(keys, Relation.GENERATED)
        kinds = self.kinds(edge.effect for edge in made)
        with_products = {e.cause for e in made if kinds[e.effect] is Kind.PRODUCT}
        for edge in made:
            kind = kinds[edge.effect]
            if kind in _ASIDE or (kind is Kind.FILE and edge.cause in with_products):
                continue  # the files of a product are in it
            yield _link(edge, "generated")
        yield from (_link(edge, "informed") for edge in self.effects(keys, Relation.INFORMED))


def _link(edge: Edge, relation: str) -> Link:
    role = "" if relation == "generated" else edge.role
    return Link(effect=edge.effect, cause=edge.cause, relation=relation, role=role)
