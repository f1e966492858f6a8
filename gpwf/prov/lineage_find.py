"""Which things of a record a text means: a task, a product, a file, a digest, a setting."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from gpwf.errors import UsageError
from gpwf.prov.lineage import Lineage
from gpwf.prov.lineage_build import Kind, Relation
from gpwf.prov.lineage_index import LineageIndex, Thing

__all__ = ["attempts_of", "find", "products_of_attempts"]

_HEX = re.compile(r"[0-9a-f]{6,64}\Z")
_PORT = re.compile(r"(?P<place>.+?(?:\[[^\]]*\])?)\.(?P<port>[^.\[\]/]+)\Z")
_SELECTOR = re.compile(r"(?P<step>[^\[\]]+)\[(?P<axes>[^\]]*)\]\Z")
_SPACE = re.compile(r"\s*=\s*")
_IDENT = re.compile(r"^(?:gpwf:(?:value|sha256|act|run)-|d:)")
_OTHER_NAMES = (
    "`gpwf products` lists products, `gpwf prov query RUN --inputs` files with their digests"
)
_SUGGESTED = 5
_LOOKED_AT = 20_000  # words that a suggestion is chosen from


def find(lineage: Lineage, text: str) -> list[int]:
    """Return the things that a text means.

    Tried in this order: an identifier; a setting ``NAME=VALUE``; a task, a step, or one of their
    ports; a named result of the workflow; the beginning of a digest, of a task key, or of the id
    of a run or attempt; a file by its path, the end of its path, or its name; a setting by its
    name; a label, in records of other software. Records are asked in their order, and the first
    that knows the text says what it means; files and settings are those of all records.

    Parameters
    ----------
    lineage : Lineage
        Where to look.
    text : str
        What to look for.

    Returns
    -------
    list of int
        Keys; more than one for a step with many tasks, or a file that several places hold.

    Raises
    ------
    UsageError
        Where nothing fits, with the nearest names, or where different things do.
    """
    text = text.strip()
    if not text:
        raise UsageError("an empty name means nothing", hint="name a product, a file, a digest")
    for look in (_by_name, _by_place, _by_output):
        for record in lineage.records:
            found = look(lineage, record, text)
            if found:
                return found
    for anywhere in (_by_setting, _by_digest, _by_file, _by_label):
        found = anywhere(lineage, text)
        if found:
            return found
    near = get_close_matches(text[:200], sorted(_known(lineage.records)), n=_SUGGESTED)
    raise UsageError(
        f"{text}: the record knows no such product, task, file, digest or setting"
        if len(lineage.records) == 1
        else f"{text}: none of {len(lineage.records)} records knows such a product, task, file, "
        "digest or setting",
        hint=f"near to it: {', '.join(near)}" if near else _OTHER_NAMES,
    )


# ---- places in the workflow ---------------------------------------------------------------------


def _by_name(_: Lineage, record: LineageIndex, text: str) -> list[int]:
    return record.named(text)


def _by_place(lineage: Lineage, record: LineageIndex, text: str) -> list[int]:
    attempts = attempts_of(lineage, record, text)
    if attempts:
        return attempts
    match = _PORT.match(text)
    if match is None:
        return []
    attempts = attempts_of(lineage, record, match["place"])
    products = products_of_attempts(lineage, attempts)
    return [item.key for item in products if item.get("port") == match["port"]]


def _by_output(_: Lineage, record: LineageIndex, text: str) -> list[int]:
    return record.spelled(f"o:{text}")


def attempts_of(lineage: Lineage, record: LineageIndex, place: str) -> list[int]:
    """Return the attempts at a task or at the tasks of a step that count: one for each task.

    Parameters
    ----------
    lineage : Lineage
        Has the record.
    record : LineageIndex
        The record of the run.
    place : str
        ``fit``, ``sim[seed=3]``, or some axes of a task with more of them.
    """
    keys = record.spelled(f"t:{place}") or record.spelled(f"s:{place}")
    match = None if keys else _SELECTOR.match(place)
    things = lineage.things(keys)
    if match is not None:
        axes = [_SPACE.sub("=", item.strip()) for item in match["axes"].split(",")]
        things = [
            item
            for item in lineage.things(record.spelled(f"s:{match['step']}"))
            if set(axes) <= set(_axes(item))
        ]
    best: dict[str, Thing] = {}
    for item in things:
        task = item.get("task")
        if task not in best or _rank(item) > _rank(best[task]):
            best[task] = item
    return [item.key for item in best.values()]


def _axes(item: Thing) -> Iterable[str]:
    """Yield the coordinates of a task, with the label that its id has for them."""
    yield from item.values.get("coordinate", ())
    for name in (item.get("task"), *item.values.get("otherName", ())):
        match = _SELECTOR.match(name)
        if match is not None:
            yield from match["axes"].split(",")


def _rank(item: Thing) -> tuple[bool, int, str]:
    """Return how much an attempt counts among those at its task: the last good one is best."""
    number = item.get("attempt", "0")
    good = item.get("state") in ("ok", "cached")
    return (good, int(number) if number.isdigit() else 0, item.start)


def products_of_attempts(lineage: Lineage, attempts: Sequence[int]) -> list[Thing]:
    """Return what attempts made, or took from the store."""
    made = [edge.effect for edge in lineage.effects(attempts, Relation.GENERATED)]
    taken = [
        edge.cause
        for edge in lineage.causes(attempts, Relation.USED)
        if edge.role.startswith("cached.")
    ]
    return [item for item in lineage.things((*made, *taken)) if item.kind is Kind.PRODUCT]


# ---- content -----------------------------------------------------------------------------------


def _by_setting(lineage: Lineage, text: str) -> list[int]:
    name, sign, value = text.partition("=")
    if sign:
        word = f"n:{name.strip()}={value.strip()}"
        words = [word, *_as_number(name.strip(), value.strip())]
        found = [
            key for item in words for record in lineage.records for key in record.spelled(item)
        ]
    else:
        found = [
            key
            for record in lineage.records
            for _, key in record.beginning("word", f"n:{name.strip()}=")
        ]
    return list(dict.fromkeys(found))


def _as_number(name: str, value: str) -> list[str]:
    """Return how a record writes a number or a quantity: ``1 TeV`` is ``1.0 TeV`` there."""
    number, _, unit = value.partition(" ")
    try:
        plain = float(number)
    except ValueError:
        return []
    words = [f"n:{name}={plain!r} {unit}".rstrip()]
    return [*words, f"n:{name}={int(plain)} {unit}".rstrip()] if plain.is_integer() else words


def _by_digest(lineage: Lineage, text: str) -> list[int]:
    """Return what a digest, a task key or an id begins with."""
    digits = text.lower().removeprefix("sha256:")
    if not _HEX.match(digits.replace("-", "")):
        return []
    found: dict[str, dict[int, None]] = {}
    for record in lineage.records:
        for head in ("value-", "sha256-", "act-", "run-"):
            for name, key in record.beginning("name", f"gpwf:{head}{digits}", most=50):
                found.setdefault(name, {})[key] = None
        for word, key in record.beginning("word", f"d:{digits}", most=50):
            found.setdefault(word, {})[key] = None
    if not found:
        return []
    idents = sorted({_IDENT.sub("", name) for name in found})
    if len(idents) > 1:
        raise UsageError(
            f"{text} is the beginning of {len(idents)} different digests or ids",
            hint="give more of it: " + ", ".join(name[: len(digits) + 6] for name in idents[:5]),
        )
    keys = list(dict.fromkeys(key for part in found.values() for key in part))
    keys = _owners(lineage, _better(lineage, keys))
    kinds = lineage.kinds(keys)
    made = [key for key in keys if kinds[key] is Kind.ATTEMPT]
    return made or keys  # a task key is that of the attempt, and of all who took its result


def _better(lineage: Lineage, keys: Sequence[int]) -> list[int]:
    """Return products instead of the value they share, files instead of their content."""
    kinds = lineage.kinds(keys)
    general = [key for key in keys if kinds[key] in (Kind.VALUE, Kind.CONTENT)]
    special = {edge.effect: edge.cause for edge in lineage.effects(general, Relation.SPECIALIZED)}
    covered = set(special.values())
    return list(dict.fromkeys([*special, *(key for key in keys if key not in covered)]))


def _owners(lineage: Lineage, keys: Sequence[int]) -> list[int]:
    """Return the products instead of files that are in them."""
    owners = {
        edge.cause: edge.effect
        for edge in lineage.effects(keys, Relation.MEMBER)
        if lineage.kinds((edge.effect,))[edge.effect] is Kind.PRODUCT
    }
    return list(dict.fromkeys(owners.get(key, key) for key in keys))


def _by_file(lineage: Lineage, text: str) -> list[int]:
    name = text.rstrip("/").rpartition("/")[2]
    keys = [key for record in lineage.records for key in record.spelled(f"f:{name}")]
    things = [
        item
        for item in lineage.things(keys)
        if any(
            place == text or place.endswith("/" + text.removeprefix("./"))
            for place in item.values.get("prov:location", ())
        )
    ]
    things = _but_recorded_elsewhere(lineage, things)
    digests = {item.get("sha256") or item.id for item in things}
    if len(digests) > 1:
        raise UsageError(
            f"{text} is the name of {len(digests)} files that differ",
            hint="give the path or the digest of one: "
            + ", ".join(
                f"{item.get('prov:location')} ({item.get('sha256')[:12]})" for item in things[:4]
            ),
        )
    return [item.key for item in things]


def _but_recorded_elsewhere(lineage: Lineage, things: Sequence[Thing]) -> list[Thing]:
    """Return files without what other tools recorded of the same files."""
    keys = {item.key for item in things if item.kind in (Kind.FILE, Kind.CONTENT)}
    keys |= {edge.cause for edge in lineage.causes(keys, Relation.SPECIALIZED)}
    others = [item.key for item in things if item.kind is Kind.ENTITY]
    same = {
        edge.effect
        for edge in lineage.causes(others, Relation.ALTERNATE, Relation.SPECIALIZED)
        if edge.cause in keys
    }
    return [item for item in things if item.key not in same]


def _by_label(lineage: Lineage, text: str) -> list[int]:
    found = [key for record in lineage.records for key in record.spelled(f"l:{text}")]
    return list(dict.fromkeys(found))


def _known(records: Iterable[LineageIndex]) -> set[str]:
    """Return names that a suggestion is chosen from."""
    found: set[str] = set()
    for record in records:
        for head in ("s:", "t:", "o:", "f:", "l:"):
            words = record.beginning("word", head, most=_LOOKED_AT)
            found.update(word[2:] for word, _ in words)
        for word, _ in record.beginning("word", "n:", most=_LOOKED_AT):
            found.add(word[2:].partition("=")[0])
        if len(found) > _LOOKED_AT:
            break
    return found
