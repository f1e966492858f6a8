"""What a walk through records gives: the things that it met, and how they depend on each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["Direction", "Link", "Walk"]


class Direction(StrEnum):
    """Whether a walk goes to causes or to effects."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A step of a walk, from the effect to its cause.

    Parameters
    ----------
    effect, cause : int
        Keys of things.
    relation : str
        ``used``, ``generated``, ``derived``, ``informed``, ``same content``, ``member``.
    role : str
        Port or setting, ``in.datasets``; empty where there is none.
    """

    effect: int
    cause: int
    relation: str
    role: str = ""


@dataclass(slots=True, kw_only=True)
class Walk:
    """What a walk met.

    Parameters
    ----------
    roots : tuple of int
        Where it began.
    direction : Direction
        Where it went.
    depth : dict of int to int
        Things in the order in which they were met, with the activities up to there.
    links : list of Link
        How they depend on each other.
    """

    roots: tuple[int, ...]
    direction: Direction
    depth: dict[int, int] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)
