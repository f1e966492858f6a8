"""Names that products hold, as far as they are known before the run, and who relies on them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Names", "Need"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The models that a product will hold.

    Parameters
    ----------
    known : frozenset of str
        Names that the step's settings tell.
    ports : tuple of str
        Input ports whose products' models it holds, too.
    """

    known: frozenset[str] = frozenset()
    ports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """A setting that names a model of an input.

    Parameters
    ----------
    port : str
        Input port that must hold it; nothing is checked where the port is not connected.
    path : tuple of str or int
        Way to the setting inside ``config``.
    name : str
        The name.
    """

    port: str
    path: tuple[str | int, ...]
    name: str
