"""The step ``stack``: datasets added up."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, ClassVar, Literal

from gpwf.core.catalog import SettingProblem
from gpwf.core.spec import Port
from gpwf.errors import NoDataError, StepError
from gpwf.steps.attach import copy_datasets, join_datasets
from gpwf.steps.base import Step, StepContext
from gpwf.steps.settings import Duration, Field, StepSettings
from gpwf.steps.stacked_spectra import evening, stack_spectra, telescope, times_of
from gpwf.steps.stacking import stack_maps

__all__ = ["StackSettings", "StackStep"]

_SAME_NIGHT_H = 8.0  # as in light-curve
_SAME_S = 1e-6


class StackSettings(StepSettings):
    """Settings of the step."""

    by: Literal["all", "telescope", "night", "time"] = Field(
        "all",
        description="What is added up: all datasets, those of each telescope, of each night (less "
        "than 8 h apart) or of each interval of 'width'",
        json_schema_extra={"usual": True},
    )
    width: Duration | None = Field(
        None, description="time: length of the intervals, from the first start on"
    )
    groups: dict[str, str | tuple[str, ...]] = Field(
        {},
        description="Names of sums and patterns of the names of their datasets, instead of 'by': "
        "'hess-3379*'",
    )
    rest: Literal["fail", "keep", "drop"] = Field(
        "fail", description="groups: what becomes of datasets that fit no pattern"
    )
    name: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
        description="Name of the sum, or the beginning of the names; left out: the telescope",
    )


class StackStep(Step):
    """Add datasets up inside their safe masks: counts, background, exposure, response.

    Spectra and maps, with known background or with ON and OFF counts (see
    `gammapy.datasets.Datasets.stack_reduce`). Datasets are added in the order of the numbers in
    their names, so the result does not depend on the order in which they come. Sums of `all` and of
    each `telescope` are called `hess-stacked`, those of a `night` after the date of its evening,
    `hess-2006-07-29`, those of a `time` are numbered, `hess-time-01`.

    Datasets of one sum need the same energy bins and, for maps, pixels that fall on each other; a
    sum of maps covers all of them. Background models that maps bring along enter the sum, which
    gets a new one. The sum forgets what changes from run to run: for many runs of few counts it is
    better than a joint fit, for a light curve it is not.
    """

    tag: ClassVar[str] = "stack"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Add datasets up"
    group: ClassVar[str] = "reduction"
    Settings: ClassVar[type[StepSettings]] = StackSettings
    input_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="datasets", kind="datasets", multiple=True, help="What to add up"),
    )
    output_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="datasets", kind="datasets", help="One dataset per sum"),
    )
    replaces: ClassVar[Mapping[str, str]] = {"datasets": "datasets"}

    def check(self, settings: StackSettings) -> Sequence[SettingProblem]:
        """Return what is inconsistent: a width without intervals, two ways to group …"""
        found = []

        def add(name: str, message: str) -> None:
            found.append(SettingProblem(path=(name,), message=message, code="GP306"))

        if settings.by == "time" and settings.width is None:
            add("by", "'by: time' needs 'width'")
        if settings.by != "time" and settings.width is not None:
            add("width", "'width' has a meaning with 'by: time' only")
        if settings.groups and settings.by != "all":
            add("groups", "give either 'groups' or 'by', not both")
        if settings.groups and settings.name is not None:
            add("name", "the names of 'groups' are those of the sums")
        return found

    def run(
        self, settings: StackSettings, inputs: Mapping[str, Any], ctx: StepContext
    ) -> Mapping[str, Any]:
        """Return ``datasets``: `gammapy.datasets.Datasets`."""
        from gammapy.datasets import Datasets

        joined = join_datasets(inputs["datasets"], ctx.step)
        if not len(joined):
            raise NoDataError(f"{ctx.step}: there are no datasets")
        datasets = sorted(copy_datasets(joined), key=lambda item: _natural(item.name))
        groups, rest = _groups(settings, datasets, ctx.step)
        sums = []
        for done, (name, members) in enumerate(groups.items()):
            sums.append(_sum(members, name, ctx.step))
            ctx.progress(done + 1, len(groups), "sums")
        found = Datasets([*sums, *rest])
        models = [model for item in (*sums, *rest) for model in item.models or ()]
        if models:
            found.models = models
        return {"datasets": found}


def _natural(name: str) -> list[tuple[int, str]]:
    """Return the key that sorts names by the numbers in them."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _groups(
    settings: StackSettings, datasets: Sequence[Any], step: str
) -> tuple[dict[str, list[Any]], list[Any]]:
    """Return the datasets of each sum by its name, and those of none.

    Raises
    ------
    StepError
        Where a dataset belongs to several sums or to none, or a sum has no dataset.
    """
    if settings.groups:
        return _matched(settings, datasets, step)
    found: dict[str, list[Any]] = {}
    if settings.by == "all":
        return {settings.name or f"{_telescopes(datasets)}-stacked": list(datasets)}, []
    if settings.by == "telescope":
        for dataset in datasets:
            own = telescope(dataset)
            if own is None:
                raise StepError(
                    f"{step}: dataset '{dataset.name}' does not say of which telescope it is",
                    hint="use 'groups' with patterns of names",
                )
            name = f"{settings.name}-{own}" if settings.name else f"{own}-stacked"
            found.setdefault(name, []).append(dataset)
        return found, []
    prefix = settings.name or _telescopes(datasets)
    for name, members in _by_time(settings, datasets, step):
        found[_free(f"{prefix}-{name}", found)] = members
    return found, []


def _free(name: str, taken: Mapping[str, Any]) -> str:
    number = 2
    free = name
    while free in taken:
        free, number = f"{name}-{number}", number + 1
    return free


def _telescopes(datasets: Sequence[Any]) -> str:
    names = sorted({telescope(dataset) or "" for dataset in datasets} - {""})
    return "-".join(names) or "datasets"


def _matched(
    settings: StackSettings, datasets: Sequence[Any], step: str
) -> tuple[dict[str, list[Any]], list[Any]]:
    found: dict[str, list[Any]] = {name: [] for name in settings.groups}
    rest: list[Any] = []
    for dataset in datasets:
        fitting = [
            name
            for name, patterns in settings.groups.items()
            if any(
                fnmatchcase(dataset.name, pattern)
                for pattern in ((patterns,) if isinstance(patterns, str) else patterns)
            )
        ]
        if len(fitting) > 1:
            raise StepError(
                f"{step}: dataset '{dataset.name}' is in the groups {', '.join(fitting)}",
                hint="change the patterns in 'groups': a dataset is added once",
            )
        (found[fitting[0]] if fitting else rest).append(dataset)
    names = ", ".join(dataset.name for dataset in datasets)
    empty = [name for name, members in found.items() if not members]
    if empty:
        raise StepError(
            f"{step}: no dataset is in the group {', '.join(empty)}; there are {names}",
            hint="a pattern has * for any letters: 'hess-*'",
        )
    if rest and settings.rest == "fail":
        raise StepError(
            f"{step}: in no group: {', '.join(dataset.name for dataset in rest)}",
            hint="add a pattern to 'groups', or set 'rest' to keep or drop them",
        )
    if rest and settings.rest == "drop":
        left = ", ".join(dataset.name for dataset in rest)
        warnings.warn(f"{step}: left out, in no group: {left}", stacklevel=2)
        rest = []
    return found, rest


def _by_time(
    settings: StackSettings, datasets: Sequence[Any], step: str
) -> list[tuple[str, list[Any]]]:
    """Return (end of the name, datasets) of each night or interval, by time."""
    spans = sorted(
        ((*times_of(dataset, step), dataset) for dataset in datasets),
        key=lambda span: (span[0].tt.mjd, _natural(span[2].name)),
    )
    first, stop = spans[0][0], spans[0][1]
    found: list[tuple[str, list[Any]]] = []
    last = None
    for start, end, dataset in spans:
        if settings.width is not None:
            key = int(((start - first).to_value("s") + _SAME_S) / settings.width.value)
            is_new = key != last
            last, name = key, f"time-{len(found) + is_new:02d}"
        else:
            is_new = not found or (start - stop).to_value("h") >= _SAME_NIGHT_H
            name = evening(start)
            stop = end if is_new else max(stop, end)
        if is_new:
            found.append((name, []))
        found[-1][1].append(dataset)
    # the order inside a sum is that of names, whatever the times
    return [(name, sorted(part, key=lambda item: _natural(item.name))) for name, part in found]


def _sum(datasets: Sequence[Any], name: str, step: str) -> Any:
    """Return the sum of datasets.

    Raises
    ------
    NoDataError
        Where no bin is safe.
    StepError
        Where they cannot be added.
    """
    unknown = [item for item in datasets if getattr(item, "counts", None) is None]
    if unknown:
        raise StepError(
            f"{step}: dataset '{unknown[0].name}' ({unknown[0].tag}) has no counts to add up",
            hint="flux points are not stacked: fit them jointly",
        )
    if not any(item.mask_safe is None or item.mask_safe.data.any() for item in datasets):
        raise NoDataError(
            f"{step}: no bin of {name} is in the safe range of a dataset",
            hint="change 'safe_mask' of the reduction",
        )
    for item in datasets:  # copies; gammapy ends in an IndexError where all good time is empty
        if item.gti is not None and not len(item.gti.table):
            item.gti = None
    if any(item.counts.geom.is_region for item in datasets):
        return stack_spectra(datasets, name, step)
    _require_same_parts(datasets, step)
    return _with_background(stack_maps(datasets, name, step), datasets)


def _require_same_parts(datasets: Sequence[Any], step: str) -> None:
    """Refuse maps some of which lack a response: the sum would lose that of the others.

    Raises
    ------
    StepError
        With the dataset and what it lacks.
    """
    parts = {item.name: set(item.geoms) for item in datasets}
    for name, own in parts.items():
        lacking = sorted(set().union(*parts.values()) - own)
        if lacking:
            what = ", ".join(part.removeprefix("geom_") for part in lacking)
            raise StepError(
                f"{step}: dataset '{name}' has no {what}, others have",
                hint="reduce all of them alike, or put them in sums of their own with 'groups'",
            )


def _with_background(total: Any, datasets: Sequence[Any]) -> Any:
    """Give a sum of maps the background model that a reduction gives it."""
    from gammapy.modeling.models import FoVBackgroundModel

    if total.tag == "MapDataset" and any(item.models for item in datasets):
        total.models = FoVBackgroundModel(dataset_name=total.name)
    return total
