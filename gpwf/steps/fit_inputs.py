"""What the steps after a fit have in common: their inputs, and what they rely on."""

from __future__ import annotations

from gpwf.core.contents import Need
from gpwf.core.spec import Port

__all__ = ["FIT_INPUTS", "model_need"]

FIT_INPUTS = (
    Port(name="datasets", kind="datasets", multiple=True, help="What was fitted, all together"),
    Port(name="models", kind="models", help="Models at their best fit"),
    Port(
        name="fit_result",
        kind="fit-result",
        optional=True,
        help="The fit: its range of energies, and a check that all belongs together",
    ),
)


def model_need(parameter: str, path: tuple[str | int, ...]) -> list[Need]:
    """Return that the model of a parameter must be there, where its name tells the model.

    Parameters
    ----------
    parameter : str
        ``crab.index``, or ``index``, which tells none.
    path : tuple
        Way to the setting inside ``config``.
    """
    if parameter.count(".") != 1:  # gammapy's names have two, and a model's name may have some
        return []
    return [Need(port="models", path=path, model=parameter.partition(".")[0])]
