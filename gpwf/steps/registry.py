"""The step types of this installation: built-in ones and those of plug-ins.

A step type is imported when it is first asked for; nothing here imports gammapy or astropy.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import inspect
import json
import pkgutil
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

from gpwf.core.catalog import ExternalFile, Settled
from gpwf.core.contents import Contents, Need
from gpwf.core.spec import Port
from gpwf.core.units import Unit
from gpwf.errors import GpwfError, UsageError
from gpwf.steps import builtin
from gpwf.steps.base import Step
from gpwf.steps.composer import config_schema
from gpwf.steps.quantities import astropy_unit
from gpwf.steps.settings import StepSettings
from gpwf.steps.settle import restore, settled_model

__all__ = ["ENTRY_POINTS", "Catalog", "load_catalog"]

ENTRY_POINTS = "gpwf.steps"
"""Entry-point group of plug-ins: ``tag = "module:StepClass"``."""

# what a module that somebody else wrote may raise while it is imported
_IMPORT_ERRORS = (ImportError, AttributeError, SyntaxError, TypeError, ValueError, NameError)


class Catalog:
    """Step types by tag; implements `gpwf.core.catalog.StepCatalog`.

    Parameters
    ----------
    sources : mapping of str to (str, str)
        Where each tag's class is (``module:Class``), and the distribution it comes from.
    """

    def __init__(self, sources: Mapping[str, tuple[str, str]]) -> None:
        self._sources = dict(sources)
        self._steps: dict[str, Step] = {}
        self._schemas: dict[str, Mapping[str, Any]] = {}
        self._implementations: dict[str, Mapping[str, str]] = {}
        self._restored: tuple[str, Mapping[str, Any], StepSettings] | None = None

    def tags(self) -> Sequence[str]:
        """Return every tag, sorted."""
        return sorted(self._sources)

    def step(self, tag: str) -> Step:
        """Return the step type with this tag.

        Raises
        ------
        UsageError
            Where there is none.
        GpwfError
            Where a plug-in cannot be loaded.
        """
        if tag not in self._steps:
            self._steps[tag] = self._load(tag)
        return self._steps[tag]

    def _load(self, tag: str) -> Step:
        if tag not in self._sources:
            near = difflib.get_close_matches(tag, self._sources, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "`gpwf steps` lists the step types"
            raise UsageError(f"no step type {tag!r}", hint=hint)
        place, distribution = self._sources[tag]
        module, _, name = place.partition(":")
        try:
            found = getattr(importlib.import_module(module), name)
        except _IMPORT_ERRORS as error:
            raise GpwfError(
                f"step type {tag!r} of {distribution} cannot be loaded from {place}: "
                f"{type(error).__name__}: {error}",
                hint=f"repair or uninstall {distribution}",
            ) from error
        if not (inspect.isclass(found) and issubclass(found, Step)):
            raise GpwfError(f"step type {tag!r} of {distribution}: {place} is no Step class")
        if found.tag != tag:
            raise GpwfError(f"{place} of {distribution} has the tag {found.tag!r}, not {tag!r}")
        return found()

    def title(self, tag: str) -> str:
        """Return the one-line title of a step type."""
        return self.step(tag).title

    def help(self, tag: str) -> str:
        """Return the description of a step type in Markdown: its class's docstring."""
        return inspect.cleandoc(type(self.step(tag)).__doc__ or "")

    def group(self, tag: str) -> str:
        """Return the group of a step type."""
        return self.step(tag).group

    def schema(self, tag: str) -> Mapping[str, Any]:
        """Return the draft-07 schema of ``config`` in the shape that editors complete well."""
        if tag not in self._schemas:
            self._schemas[tag] = config_schema(type(self.step(tag)).Settings, title=tag)
        return self._schemas[tag]

    def settle(self, tag: str, config: Mapping[str, Any], *, base: Path) -> Settled:
        """Fill in defaults and check types; relative paths count from ``base``."""
        settled, settings = settled_model(self.step(tag), config, base=base)
        if settings is not None:
            self._restored = (tag, settled.settings, settings)  # its ports are asked for next
        return settled

    def restore(self, tag: str, settings: Mapping[str, Any]) -> StepSettings:
        """Return the settings model of settled settings, as `Step.run` takes it."""
        kept = self._restored
        if kept is None or kept[0] != tag or kept[1] is not settings:
            # asked several times in turn for the same settings: files, ports, models
            kept = self._restored = (tag, settings, restore(self.step(tag), settings))
        return kept[2]

    def inputs(self, tag: str, settings: Mapping[str, Any]) -> Sequence[Port]:
        """Return the input ports for these settled settings."""
        if type(self.step(tag)).inputs is Step.inputs:  # asked for every task of a scatter
            return self.step(tag).input_ports
        return self.step(tag).inputs(self.restore(tag, settings))

    def outputs(self, tag: str, settings: Mapping[str, Any]) -> Sequence[Port]:
        """Return the output ports for these settled settings."""
        if type(self.step(tag)).outputs is Step.outputs:
            return self.step(tag).output_ports
        return self.step(tag).outputs(self.restore(tag, settings))

    def declares(self, tag: str, settings: Mapping[str, Any]) -> Mapping[str, Contents]:
        """Return what products will hold, by output port."""
        step = self.step(tag)
        if type(step).declares is Step.declares and not step.replaces:
            return {}  # asked for many sets of settings of a scatter
        return step.declares(self.restore(tag, settings))

    def requires(self, tag: str, settings: Mapping[str, Any]) -> Sequence[Need]:
        """Return the settings that rely on what an input holds."""
        step = self.step(tag)
        if type(step).requires is Step.requires and type(step).inputs is Step.inputs:
            ports = {port.name for port in step.input_ports}
            if not ports & {"models", "datasets"}:
                return ()
        return step.requires(self.restore(tag, settings))

    def files_key(
        self, tag: str, settings: Mapping[str, Any], types: Mapping[str, str]
    ) -> str | None:
        """Return a text that is equal for settings which name the same external files.

        None for settings that surely name none.
        """
        kind = type(self.step(tag))
        if kind.external_files is Step.external_files:
            paths = [name for name, leaf in types.items() if leaf == "path"]
            found: Any = [_at(settings, name) for name in paths]
            return json.dumps([tag, found]) if any(found) else None
        names = kind.file_settings or sorted(settings)
        return json.dumps([tag, {name: settings[name] for name in names}], sort_keys=True)

    def has_index(self, tag: str) -> bool:
        """Return True where `index_files` are not all files, and tell which the others are."""
        return type(self.step(tag)).index_files is not Step.index_files

    def index_files(self, tag: str, settings: Mapping[str, Any]) -> Sequence[ExternalFile]:
        """Return the external files that decide which files are read; cheap, no gammapy."""
        return self.step(tag).index_files(self.restore(tag, settings))

    def external_files(self, tag: str, settings: Mapping[str, Any]) -> Sequence[ExternalFile]:
        """Return every external file that the step reads."""
        return self.step(tag).external_files(self.restore(tag, settings))

    def version(self, tag: str) -> str:
        """Return the version of the step type; it enters the task key."""
        return self.step(tag).version

    def packages(self, tag: str, settings: Mapping[str, Any]) -> Sequence[str]:
        """Return the distributions whose versions can change the result."""
        step = self.step(tag)
        if type(step).distributions is Step.distributions:
            return step.packages
        return step.distributions(self.restore(tag, settings))

    def replaces(self, tag: str) -> Mapping[str, str]:
        """Return output → input ports that this step replaces."""
        return self.step(tag).replaces

    def deferred(self, tag: str) -> tuple[str, ...]:
        """Return the names in expressions that the step itself looks up while it runs."""
        return self.step(tag).deferred

    def makers(self, kind: str) -> Sequence[str]:
        """Return the tags of the step types that can make a kind of product."""
        return [
            tag
            for tag in self.tags()
            if any(port.kind == kind for port in self.step(tag).output_ports)
        ]

    def unit_fallback(self, text: str) -> Unit | None:
        """Return a unit that the fast table of `gpwf.core.units` lacks; None for no unit."""
        return astropy_unit(text)

    def implementation(
        self, tag: str, settings: Mapping[str, Any] | None = None
    ) -> Mapping[str, str]:
        """Return module, package, package version and source digest of the step type.

        With settings, also what these name: the function of a ``python`` step.
        """
        step = self.step(tag)
        if tag not in self._implementations:
            kind, distribution = type(step), self._sources[tag][1]
            self._implementations[tag] = {
                "module": kind.__module__,
                "class": kind.__qualname__,
                "package": distribution,
                "version": self._versions.get(distribution, ""),
                "source": _source_digest(kind),
            }
        found = self._implementations[tag]
        if settings is None or type(step).code is Step.code:
            return found
        return {**found, **step.code(self.restore(tag, settings))}

    @cached_property
    def _versions(self) -> dict[str, str]:
        names = {distribution for _, distribution in self._sources.values()}
        versions: dict[str, str] = {}
        for name in names:
            try:
                versions[name] = metadata.version(name)
            except metadata.PackageNotFoundError:  # run from a source tree
                versions[name] = ""
        return versions


def _at(settings: Any, dotted: str) -> Any:
    """Return the setting at a dotted path."""
    for part in dotted.split("."):
        settings = settings[int(part)] if isinstance(settings, list) else settings[part]
    return settings


def _source_digest(kind: type[Step]) -> str:
    """Return the SHA-256 of the file that a step type is written in; empty where there is none."""
    path = inspect.getsourcefile(kind)
    if path is None or not Path(path).is_file():
        return ""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _builtin() -> dict[str, str]:
    """Return where the built-in step types are: every file in ``steps/builtin`` is one.

    ``flux_points.py`` holds the tag ``flux-points`` in the class ``FluxPointsStep``.
    """
    names = [item.name for item in pkgutil.iter_modules(builtin.__path__)]
    return {
        name.replace("_", "-"): f"{builtin.__name__}.{name}:{name.title().replace('_', '')}Step"
        for name in names
    }


def load_catalog() -> Catalog:
    """Return the step types of this installation.

    Raises
    ------
    GpwfError
        Where two distributions bring the same tag.
    """
    sources = {tag: (place, "gpwf") for tag, place in _builtin().items()}
    for point in metadata.entry_points(group=ENTRY_POINTS):
        distribution = point.dist.name if point.dist else "an unknown distribution"
        if point.name in sources:
            other = sources[point.name][1]
            raise GpwfError(
                f"step type {point.name!r} is in both {other} and {distribution}",
                hint=f"uninstall {distribution}, or rename its step type",
            )
        sources[point.name] = (point.value, distribution)
    return Catalog(sources)
