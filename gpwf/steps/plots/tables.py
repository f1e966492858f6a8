"""What figures of tables share: that the right step made them, and what tells them apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpwf.errors import StepError
from gpwf.steps.base import StepContext

__all__ = ["labels", "made_by"]


def labels(ctx: StepContext, port: str, number: int, names: Sequence[str] = ()) -> list[str]:
    """Return what tells the items of a port apart: names, values of gathered axes, or numbers.

    Parameters
    ----------
    ctx : StepContext
        Knows the axes.
    port : str
        Input port that takes several items.
    number : int
        How many there are; one needs no name.
    names : sequence of str
        Setting ``names``: what to call them, in their order; empty for none.

    Raises
    ------
    StepError
        Where there are more or fewer names than items.
    """
    if names and len(names) != number:
        raise StepError(
            f"{ctx.step}: 'names' has {len(names)} names for {number} items of '{port}'",
            hint="give one for each, in the order of 'required_products', or leave 'names' out",
        )
    if number < 2:
        return [""] * number
    found = list(names) or [" ".join(item.values()) for item in ctx.labels.get(port, ())]
    if len(found) == number == len(set(found)):
        return found
    return [str(place + 1) for place in range(number)]


def made_by(tag: str, product: str, tables: Any, step: str) -> list[Any]:
    """Return the tables of an input, which are to be from one type of step.

    Parameters
    ----------
    tag : str
        The type of step, for the message.
    product : str
        What its tables say of themselves in ``meta["product"]``.
    tables : `astropy.table.Table` or list of them
        Value of the input.
    step : str
        Name of the step that draws, for the message.

    Raises
    ------
    StepError
        Where one is another table.
    """
    found = list(tables) if isinstance(tables, (list, tuple)) else [tables]
    if any(table.meta.get("product") != product for table in found):
        raise StepError(
            f"{step}: the table to draw is not from a step '{tag}'",
            hint=f"connect that of a step '{tag}'",
        )
    return found
