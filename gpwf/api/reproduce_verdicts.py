"""Products then and now: identical, or how far apart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from gpwf.api.reproduce_recorded import Recorded
from gpwf.core.runs import ProductFile
from gpwf.prov.replay import MadeProduct

__all__ = ["TOLERANCES", "ProductVerdict", "Verdict", "compare_products", "worst"]


class Verdict(StrEnum):
    """How a product that was made again compares with the recorded one, from best to worst."""

    IDENTICAL = "identical"
    SAME_DATA = "same data"
    WITHIN_TOLERANCE = "within tolerance"
    DIFFERS = "differs"
    NOT_MADE = "not made"

    @property
    def is_good(self) -> bool:
        """True where the product is reproduced."""
        return self not in (Verdict.DIFFERS, Verdict.NOT_MADE)


#: Largest relative deviation by kind of product. Counts and other whole numbers are exact; of a
#: figure it is the root mean square of the pixels.
TOLERANCES: Mapping[str, float] = {
    "datastore": 1e-5,
    "observations": 1e-5,
    "datasets": 1e-5,
    "models": 1e-3,
    "fit-result": 1e-3,
    "flux-points": 1e-3,
    "light-curve": 1e-3,
    "flux-profile": 1e-3,
    "flux-maps": 1e-3,
    "map": 1e-3,
    "maps": 1e-3,
    "table": 1e-3,
    "figure": 1e-2,
    "file": 1e-6,
}
_ORDER = tuple(Verdict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductVerdict:
    """What became of one product.

    Parameters
    ----------
    task, port, kind : str
        Which product.
    verdict : Verdict
        How it compares.
    recorded : MadeProduct
        The one of the recorded run.
    made : MadeProduct or None
        The one that was made now.
    deviation : float or None
        Largest relative deviation of a number; None where nothing was compared.
    place : str
        Where that is: file, extension, column, element, both values.
    tolerance : float
        What was allowed.
    note : str
        Why it was not made or not compared.
    """

    task: str
    port: str
    kind: str
    verdict: Verdict
    recorded: MadeProduct
    made: MadeProduct | None = None
    deviation: float | None = None
    place: str = ""
    tolerance: float = 0.0
    note: str = ""


def worst(verdicts: list[ProductVerdict]) -> Verdict:
    """Return the worst of several verdicts; identical where there are none."""
    return max((item.verdict for item in verdicts), key=_ORDER.index, default=Verdict.IDENTICAL)


def compare_products(
    then: Recorded,
    now: Recorded,
    wanted: list[MadeProduct],
    tolerances: Mapping[str, float],
    reasons: Mapping[str, str],
) -> list[ProductVerdict]:
    """Return a verdict for every product that was to be made again.

    Parameters
    ----------
    then, now : Recorded
        The recorded run and the new one.
    wanted : list of MadeProduct
        Products of the recorded run.
    tolerances : mapping of str to float
        By kind.
    reasons : mapping of str to str
        Why a task has no products now, by task.
    """
    verdicts = []
    for old in wanted:
        new = now.products.get((old.task, old.port))
        tolerance = tolerances.get(old.product.kind, 0.0)
        if new is None:
            verdicts.append(_verdict(old, None, Verdict.NOT_MADE, note=reasons.get(old.task, "")))
        else:
            verdicts.append(_compare(then, now, old, new, tolerance))
    return verdicts


def _verdict(
    old: MadeProduct,
    new: MadeProduct | None,
    verdict: Verdict,
    *,
    deviation: float | None = None,
    place: str = "",
    tolerance: float = 0.0,
    note: str = "",
) -> ProductVerdict:
    return ProductVerdict(
        task=old.task,
        port=old.port,
        kind=old.product.kind,
        verdict=verdict,
        recorded=old,
        made=new,
        deviation=deviation,
        place=place,
        tolerance=tolerance,
        note=note,
    )


def _compare(
    then: Recorded, now: Recorded, old: MadeProduct, new: MadeProduct, tolerance: float
) -> ProductVerdict:
    before = {item.name: item for item in old.product.files}
    after = {item.name: item for item in new.product.files}
    if before.keys() != after.keys() or old.product.kind != new.product.kind:
        names = sorted(before.keys() ^ after.keys())
        note = f"not in both: {names[0]}" if names else f"now of kind {new.product.kind}"
        return _verdict(old, new, Verdict.DIFFERS, note=note)
    if all(before[name].digest == after[name].digest for name in before):
        return _verdict(old, new, Verdict.IDENTICAL)
    pairs = [(before[name], after[name]) for name in before]
    other = [pair for pair in pairs if pair[0].content != pair[1].content]
    if not other:
        return _verdict(old, new, Verdict.SAME_DATA)
    has_picture = any(item.name.endswith(".png") for item, _ in pairs)
    largest, place = 0.0, ""
    for first, second in other:
        if has_picture and first.name.endswith((".svg", ".pdf")):
            continue  # the same figure, as its picture in pixels
        deviation, where, note = _files(then, now, old, first, second)
        if note:
            return _verdict(old, new, Verdict.DIFFERS, note=note)
        if deviation > largest or not place:
            largest, place = max(deviation, largest), where
    verdict = Verdict.SAME_DATA if largest == 0 else Verdict.WITHIN_TOLERANCE
    if largest > tolerance:
        verdict = Verdict.DIFFERS
    return _verdict(old, new, verdict, deviation=largest, place=place, tolerance=tolerance)


def _files(
    then: Recorded, now: Recorded, old: MadeProduct, first: ProductFile, second: ProductFile
) -> tuple[float, str, str]:
    """Return deviation, place, and why nothing could be compared, for one file."""
    from gpwf.store.formats.comparing import compare_files

    paths: list[Path] = []
    for which, recorded, item in (("recorded", then, first), ("new", now, second)):
        path = recorded.file(old.task, old.port, item)
        if path is None:
            return math.inf, "", f"{item.name}: the {which} bytes are gone or damaged"
        paths.append(path)
    try:
        found = compare_files(paths[0], paths[1], first.name)
    except (OSError, ValueError, TypeError, KeyError) as error:
        return math.inf, "", f"{first.name} cannot be compared: {error}"
    if not found.comparable:
        return math.inf, "", f"{first.name}: the bytes differ, numbers cannot be compared"
    return found.deviation, found.place, ""
