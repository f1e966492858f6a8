"""What a picture tells of tasks, products, settings and files, in words."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence

from gpwf.errors import ProvenanceError
from gpwf.prov.graph import Node
from gpwf.prov.record_index import Element, Link, RecordIndex
from gpwf.prov.record_words import number_in, object_in, seconds_text, size_text

__all__ = [
    "Values",
    "add_attempt",
    "add_product",
    "add_step",
    "brief_attempt",
    "check_wanted",
    "folded",
    "input_node",
    "named_files",
    "short_values",
]

Values = dict[str, str]
"""Values of a setting with their origins, in the order of the tasks."""

_MOST_VALUES = 4  # values of a setting that are written out
_STEP_DEFAULT = "step default"


def add_step(node: Node, item: Element, index: RecordIndex) -> None:
    """Add what an activity says of its step; the step itself is asked once per node."""
    if not node.facts:
        plans = map(index.element, item.all("wfprov:describedByProcess"))
        for plan in filter(None, plans):
            node.add("Step", "description", plan.get("description"))
            node.add("Step", "condition", plan.get("when"))
    version = f" (version {item.get('version')})" if item.get("version") else ""
    node.add("Step", "type", f"{item.get('tag')}{version}")
    node.add("Step", "where", item.get("place"))


def add_attempt(node: Node, item: Element, index: RecordIndex) -> None:
    """Add what is known of an attempt to the node of its task."""
    number = item.get("attempt")
    section = f"{item.get('task')}, attempt {number}" if number else item.get("task")
    for name, text in (
        ("state", item.get("state")),
        ("coordinates", ", ".join(item.all("coordinate"))),
        ("error", item.get("errorMessage")),
        ("kind of error", item.get("errorKind")),
        ("hint", item.get("errorHint")),
        ("reason", item.get("reason")),
        ("signal", item.get("signal")),
        ("exit code", item.get("exitCode")),
        ("tried again", "yes" if item.get("willRetry") == "true" else ""),
        ("start", item.start),
        ("end", item.end),
        ("wall time", seconds_text(item.get("wallTime_s"))),
        ("CPU time", seconds_text(item.get("cpuTime_s"))),
        ("peak memory", size_text(item.get("peakMemory_B"))),
        ("host", item.get("host")),
        ("worker", item.get("worker")),
        ("random stream", item.get("stream")),
        ("task key", item.get("taskKey")),
    ):
        node.add(section, name, text)
    for link in index.causes("wasInformedBy", item.id):
        if (original := index.element(link.cause)) is not None:
            node.add(section, "made from", original.start)
            node.add(section, "made until", original.end)
            for run in original.all("wfprov:wasPartOfWorkflowRun"):
                node.add(section, "made by run", run.partition(":")[2].removeprefix("run-"))


def brief_attempt(item: Element) -> str:
    """Return how a task went, in a few words."""
    wall = seconds_text(item.get("wallTime_s"))
    return ", ".join(part for part in (item.get("state"), wall, item.get("errorMessage")) if part)


def add_product(
    node: Node, entity: Element, link: Link, files: Iterable[Element], section: str
) -> None:
    """Add what is known of a product, and of its files."""
    for name, text in (
        ("kind", entity.get("kind")),
        ("digest", entity.get("digest")),
        ("size", size_text(entity.get("size_B"))),
        ("made at", link.time),
    ):
        node.add(section, name, text)
    for name in entity.all("output"):
        node.add(section, "result of the workflow", name)
    for name, value in object_in(entity.get("summary")).items():
        node.add(section, str(name), str(value))
    for file in files:
        parts = (size_text(file.get("size_B")), file.get("sha256"))
        node.add(section, f"file {file.label}", ", ".join(part for part in parts if part))


def folded(values: Mapping[str, str]) -> str:
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


def short_values(settings: Mapping[str, Values], wanted: Sequence[str]) -> list[str]:
    """Return settings as lines of a node.

    Parameters
    ----------
    settings : mapping of str to dict
        Values and origins by name.
    wanted : sequence of str
        Names, of groups of settings as well; ``all``, or ``changed`` for those that are not the
        default of their step.
    """
    lines = []
    for name, values in settings.items():
        if "all" not in wanted and not any(_is_wanted(name, values, word) for word in wanted):
            continue
        texts = list(values)
        if len(texts) > _MOST_VALUES:
            texts = [texts[0], "…", f"{texts[-1]} ({len(texts)} values)"]
        lines.append(f"{name} = {'; '.join(texts)}")
    return lines


def _is_wanted(name: str, values: Values, word: str) -> bool:
    if word == "changed":
        return set(values.values()) != {_STEP_DEFAULT}
    return _is_meant(name, word)


def _is_meant(name: str, word: str) -> bool:
    return name == word or name.startswith(f"{word}.") or name.endswith(f".{word}")


def check_wanted(wanted: Iterable[str], known: Iterable[str]) -> None:
    """Refuse the name of a setting that nothing has.

    Parameters
    ----------
    wanted : iterable of str
        As in `short_values`.
    known : iterable of str
        Names of all settings that could be shown.

    Raises
    ------
    ProvenanceError
        With the nearest names.
    """
    names = sorted(set(known))
    for word in wanted:
        if word in ("all", "changed") or any(_is_meant(name, word) for name in names):
            continue
        near = difflib.get_close_matches(word[:100], names, n=5, cutoff=0.5) or names[:12]
        raise ProvenanceError(
            f"no setting is called {word[:100]!r}",
            hint=f"all, changed, or one of: {', '.join(near)}" if near else "there are none",
        )


def named_files(index: RecordIndex, contents: Collection[str]) -> dict[str, Element]:
    """Return files with some contents: an attempt of an earlier run knows the content alone."""
    found: dict[str, Element] = {}
    for link in index.links("specializationOf"):
        if link.cause in contents and link.cause not in found:
            entity = index.element(link.effect)
            if entity is not None and entity.get("name"):
                found[link.cause] = entity
    return found


def input_node(key: str, role: str, files: Sequence[tuple[str, Element]]) -> Node:
    """Return the node of external files, those that one setting names together."""
    name = role.removeprefix("in.")
    if len(files) == 1:
        node = Node(id=key, kind="input", title=files[0][1].label, lines=[name] if name else [])
    else:
        size = sum(number_in(item.get("size_B")) for _, item in files)
        node = Node(id=key, kind="input", title=name or "files", lines=[f"{len(files)} files"])
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
