"""What products will hold, as far as it is known before the run, and which settings rely on it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Contents", "Need"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a product will hold.

    Parameters
    ----------
    models : frozenset of str or None
        Names of models that the step's settings tell; None where they tell none.
    sources : frozenset of str
        Those of them that are known to be sources: models of the sky with a spectrum.
    energies : tuple of (float, float), or None
        Lowest and highest reconstructed energy of datasets, in TeV; None where the settings tell
        nothing.
    ports : tuple of str
        Input ports whose products' contents it holds, too.
    path : tuple of str or int
        Way inside ``config`` to the setting that tells it; empty for the step as a whole.
    """

    models: frozenset[str] | None = None
    sources: frozenset[str] = frozenset()
    energies: tuple[float, float] | None = None
    ports: tuple[str, ...] = ()
    path: tuple[str | int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """A setting that relies on what an input holds.

    Parameters
    ----------
    port : str
        Input port; nothing is checked where it is not connected.
    path : tuple of str or int
        Way to the setting inside ``config``.
    model : str, optional
        Name of a model that must be there.
    one_source : bool
        True for a setting that was left out and stands for the only source there is.
    energies : tuple of (float or None, float or None), optional
        Range in TeV that must not lie outside; None for a bound that does not limit.
    """

    port: str
    path: tuple[str | int, ...]
    model: str | None = None
    one_source: bool = False
    energies: tuple[float | None, float | None] | None = None
