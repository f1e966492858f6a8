"""The kinds of workflow that ``gpwf init`` can begin with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gpwf.api.targets import TARGETS

__all__ = ["MODELS", "SCRIPT", "TEMPLATES", "WORKFLOW", "Template"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A kind of workflow to begin with.

    Parameters
    ----------
    name : str
        What ``gpwf init`` takes.
    title : str
        What it does, in one line.
    files : mapping of str to str
        Template files by the paths that they get; ``{name}`` stands for the name of the workflow
        and ``{shape}`` for the shape of the target's model.
    targets : tuple of str
        Targets that it can be made for.
    chosen : tuple of str
        Those that it is made for unless told otherwise.
    many : bool
        True where it takes several targets.
    called : str
        Name of the workflow unless told otherwise; ``{target}`` stands for the target.
    source : str
        Name of the model that is fitted; the target's unless it is given.
    """

    name: str
    title: str
    files: Mapping[str, str]
    targets: tuple[str, ...] = ()
    chosen: tuple[str, ...] = ()
    many: bool = False
    called: str
    source: str = ""


_SPECTRA = tuple(target.name for target in TARGETS.values() if target.spectra)

WORKFLOW = "{name}.gpwf.yaml"
MODELS = "models/{name}.yaml"
SCRIPT = "scripts/{name}.py"
"""Paths of files of a new workflow, by the name of the workflow."""

_TEMPLATES = (
    Template(
        name="crab-1d",
        title="Spectrum and light curve of a source, with reflected regions",
        files={WORKFLOW: "crab-1d.gpwf.yaml", MODELS: "models/spectrum.yaml"},
        targets=_SPECTRA,
        chosen=("crab",),
        called="{target}-1d",
    ),
    Template(
        name="3d",
        title="Maps, spectrum and position of a source, with a background model",
        files={
            WORKFLOW: "3d.gpwf.yaml",
            MODELS: "models/{shape}.yaml",
            "regions/{name}.reg": "regions/exclusion.reg",
        },
        targets=tuple(TARGETS),
        chosen=("crab",),
        called="{target}-3d",
    ),
    Template(
        name="multi-target",
        title="Spectra of many sources from a table of them, and what they have in common",
        files={
            WORKFLOW: "multi-target.gpwf.yaml",
            MODELS: "models/spectrum.yaml",
            "{name}-targets.yaml": "targets.yaml",
        },
        targets=_SPECTRA,
        chosen=_SPECTRA,
        many=True,
        called="multi-target",
        source="source",
    ),
    Template(
        name="joint",
        title="One spectrum of the Crab Nebula from five instruments, fitted together",
        files={WORKFLOW: "joint.gpwf.yaml", MODELS: "models/log-parabola.yaml"},
        targets=("crab",),
        chosen=("crab",),
        called="joint-{target}",
    ),
    Template(
        name="command",
        title="A program of your own as a step, with simulated data",
        files={
            WORKFLOW: "command.gpwf.yaml",
            MODELS: "models/spectrum.yaml",
            "models/{name}-truth.yaml": "models/truth.yaml",
            SCRIPT: "scripts/latex_table.py",
        },
        targets=tuple(TARGETS),
        chosen=("crab",),
        called="command",
        source="source",
    ),
    Template(
        name="simulate",
        title="An analysis with simulated data, which needs no download",
        files={
            WORKFLOW: "simulate.gpwf.yaml",
            MODELS: "models/spectrum.yaml",
            "models/{name}-truth.yaml": "models/truth.yaml",
        },
        targets=tuple(TARGETS),
        chosen=("crab",),
        called="simulate",
        source="source",
    ),
)

TEMPLATES: Mapping[str, Template] = MappingProxyType({item.name: item for item in _TEMPLATES})
"""The templates by name."""
