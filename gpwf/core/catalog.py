"""What the language and the compiler need to know of the step types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from gpwf.core.contents import Contents, Need
from gpwf.core.spec import Port
from gpwf.core.units import Unit

__all__ = ["ExternalFile", "SettingProblem", "Settled", "StepCatalog"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalFile:
    """A file outside the store that a step reads.

    Parameters
    ----------
    setting : str
        Dotted path of the setting that names it, ``background.exclusion``.
    path : Path
        Where it is, absolute.
    name : str
        Name that does not depend on where it is: relative to the datastore, or the file name.
    """

    setting: str
    path: Path
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingProblem:
    """What is wrong with one setting, before it has a place in a text.

    ``path`` is the way to the value inside ``config``, list positions as integers; for a missing
    key, the way to the missing key.
    """

    path: tuple[str | int, ...]
    message: str
    code: str
    hint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """Settings of a step after defaults and type checks.

    Parameters
    ----------
    settings : mapping
        Plain data, complete, canonical: quantities as ``"1.0 TeV"`` in the canonical unit of
        their physical type, paths absolute.
    types : mapping of str to str
        Type of every leaf, by dotted path: ``int float bool str path energy angle time …``.
    problems : sequence of SettingProblem
        Empty when the settings are usable.
    """

    settings: Mapping[str, Any]
    types: Mapping[str, str]
    problems: Sequence[SettingProblem] = ()


class StepCatalog(Protocol):
    """The step types of an installation, as the language and the compiler see them."""

    def tags(self) -> Sequence[str]:
        """Return every tag, sorted."""

    def title(self, tag: str) -> str:
        """Return the one-line title of a step type."""

    def help(self, tag: str) -> str:
        """Return the description of a step type in Markdown."""

    def schema(self, tag: str) -> Mapping[str, Any]:
        """Return the draft-07 schema of ``config`` in the shape that editors complete well."""

    def settle(self, tag: str, config: Mapping[str, Any], *, base: Path) -> Settled:
        """Fill in defaults and check types; relative paths count from ``base``."""

    def inputs(self, tag: str, settings: Mapping[str, Any]) -> Sequence[Port]:
        """Return the input ports for these settled settings."""

    def outputs(self, tag: str, settings: Mapping[str, Any]) -> Sequence[Port]:
        """Return the output ports for these settled settings."""

    def files_key(
        self, tag: str, settings: Mapping[str, Any], types: Mapping[str, str]
    ) -> str | None:
        """Return a text that is equal for settings which name the same external files.

        None for settings that surely name none.
        """

    def declares(self, tag: str, settings: Mapping[str, Any]) -> Mapping[str, Contents]:
        """Return what products will hold, by output port; absent ones are not known."""

    def requires(self, tag: str, settings: Mapping[str, Any]) -> Sequence[Need]:
        """Return the settings that rely on what an input holds."""

    def has_index(self, tag: str) -> bool:
        """Return True where `index_files` are not all files, and tell which the others are."""

    def index_files(self, tag: str, settings: Mapping[str, Any]) -> Sequence[ExternalFile]:
        """Return the external files that decide which files are read; cheap, no gammapy."""

    def external_files(self, tag: str, settings: Mapping[str, Any]) -> Sequence[ExternalFile]:
        """Return every external file that the step reads.

        Raises
        ------
        StepInputError
            Where a file or an observation is not there.
        """

    def version(self, tag: str) -> str:
        """Return the version of the step type; it enters the task key."""

    def packages(self, tag: str, settings: Mapping[str, Any]) -> Sequence[str]:
        """Return the distributions whose versions can change the result."""

    def implementation(
        self, tag: str, settings: Mapping[str, Any] | None = None
    ) -> Mapping[str, str]:
        """Return module, package, package version and source digest of the step type.

        With settings, also what these name: the function of a ``python`` step.
        """

    def replaces(self, tag: str) -> Mapping[str, str]:
        """Return output → input ports that this step replaces (``fit``: models → models)."""

    def deferred(self, tag: str) -> tuple[str, ...]:
        """Return the names in expressions that the step itself looks up while it runs."""

    def makers(self, kind: str) -> Sequence[str]:
        """Return the tags of the step types that can make a kind of product."""

    def unit_fallback(self, text: str) -> Unit | None:
        """Return a unit that the fast table of `gpwf.core.units` lacks; None for no unit."""
