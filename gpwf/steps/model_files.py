"""Model files in gammapy's YAML format, read without gammapy: safely, within bounds, once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

__all__ = ["component_name", "components_of", "model_names", "read_models", "source_names"]

_BACKGROUND_TYPES = ("FoVBackgroundModel", "fov-bkg")
_SOURCE_TYPES = ("SkyModel", "sky-model")

_MAX_BYTES = 10_000_000
_MAX_DEPTH = 100
_MAX_VALUES = 1_000_000


def read_models(path: Path) -> tuple[Any, str]:
    """Return the content of a YAML file, and what is wrong with it: one of the two.

    A file that has not changed is read once. The content is shared: do not change it.
    """
    try:
        status = path.stat()
        if status.st_size > _MAX_BYTES:
            return None, f"larger than {_MAX_BYTES} bytes"
        return _read(str(path), status.st_size, status.st_mtime_ns)
    except (OSError, UnicodeDecodeError) as error:
        return None, f"cannot be read: {error}"


@lru_cache(maxsize=32)
def _read(path: str, size: int, mtime_ns: int) -> tuple[Any, str]:  # noqa: ARG001  (the key)
    """Read a file; size and time are there for the cache."""
    import yaml

    # the one in C is some ten times faster
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = Path(path).read_text(encoding="utf-8")
    try:
        message = _excess(yaml.parse(text, Loader=loader), yaml)
        if message:
            return None, message
        return yaml.load(text, Loader=loader), ""
    except (yaml.YAMLError, RecursionError, ValueError) as error:  # ValueError: 2001-99-99
        mark = getattr(error, "problem_mark", None)
        place = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        what = getattr(error, "problem", None) or str(error) or error.__class__.__name__
        return None, f"not a YAML file: {what}{place}"


def _excess(events: Iterable[Any], yaml: Any) -> str:
    """Return why a text must not be loaded; empty where it may.

    Nesting and the values that aliases stand for are counted before anything is built: a file of a
    kilobyte can stand for more values than fit in memory.
    """
    sizes: dict[str, int] = {}
    open_: list[tuple[str | None, int]] = []  # anchor, values before it
    values = 0
    for event in events:
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in {anchor for anchor, _ in open_}:
                return f"the alias '{event.anchor}' stands inside its own anchor"
            values += sizes.get(event.anchor, 1)
        elif isinstance(event, yaml.ScalarEvent):
            values += 1
            if event.anchor:
                sizes[event.anchor] = 1
        elif isinstance(event, yaml.CollectionStartEvent):
            open_.append((event.anchor, values))
            values += 1
            if len(open_) > _MAX_DEPTH:
                return f"nested more than {_MAX_DEPTH} deep"
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_.pop()
            if anchor:
                sizes[anchor] = values - before
        if values > _MAX_VALUES:
            return f"more than {_MAX_VALUES} values, aliases expanded"
    return ""


def components_of(data: Any) -> Any:
    """Return the list of components; gammapy's files have it under ``components``."""
    return data.get("components") if isinstance(data, Mapping) else data


def component_name(component: Mapping[str, Any]) -> Any:
    """Return the name of a component; of a background model without one, the name it will get.

    gammapy names it after its dataset, and writes files without the name.
    """
    name, datasets = component.get("name"), component.get("datasets_names")
    if name is None and component.get("type") in _BACKGROUND_TYPES:
        only = datasets[0] if isinstance(datasets, list) and len(datasets) == 1 else datasets
        return f"{only}-bkg" if isinstance(only, str) and only else None
    return name


def model_names(data: Any) -> frozenset[str] | None:
    """Return the names of the components; None where they are not understood."""
    components = components_of(data)
    if not isinstance(components, (list, tuple)) or not components:
        return None
    names = [component_name(item) if isinstance(item, Mapping) else None for item in components]
    found = frozenset(name for name in names if isinstance(name, str))
    return found if len(found) == len(set(names)) else None


def source_names(data: Any) -> frozenset[str]:
    """Return the names of the components that are sources: models of the sky with a spectrum."""
    components = components_of(data)
    return frozenset(
        item["name"]
        for item in (components if isinstance(components, (list, tuple)) else ())
        if isinstance(item, Mapping)
        and item.get("type") in _SOURCE_TYPES
        and isinstance(item.get("spectral"), Mapping)
        and isinstance(item.get("name"), str)
    )
