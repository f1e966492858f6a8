"""What differs between two runs, products or tasks: small frozen objects, and their JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gpwf.prov.query_answers import Row

__all__ = ["CATEGORIES", "MISSING", "Change", "Difference", "ProductChange"]

#: Kinds of changes, in the order in which a difference is attributed to them.
CATEGORIES = ("parameters", "inputs", "code", "software", "tasks", "environment")

#: What stands for something that is not there.
MISSING = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change(Row):
    """Something that is recorded to differ, with all tasks where it does.

    Parameters
    ----------
    category : str
        One of `CATEGORIES`.
    step, name : str
        Step and setting, step and what of its code, path of an input, name of a package, task.
    a, b : str
        What it is on either side; ``-`` where it is not there.
    origin_a, origin_b : str
        Where the value of a setting came from.
    place_a, place_b : str
        In which line of which file.
    tasks : tuple of str
        Where it differs.
    is_first : bool
        True where the difference of products began at one of these tasks.
    follows : tuple of str
        Changes further up that already made what came in differ.
    """

    category: str
    step: str
    name: str
    a: str
    b: str
    origin_a: str = ""
    origin_b: str = ""
    place_a: str = ""
    place_b: str = ""
    tasks: tuple[str, ...] = ()
    is_first: bool = False
    follows: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The change in a few words, without values."""
        return f"{self.step}: {self.name}" if self.step else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductChange(Row):
    """A product that differs, or that one side does not have.

    Parameters
    ----------
    task, port, kind : str
        Where it came out.
    task_b : str
        Task of the other side, where it has another name there.
    a, b : str
        Digest on either side; ``-`` where it is not there.
    cause : str
        ``own``: something of the task itself differs; ``upstream``: what came in differs;
        ``unexplained``: nothing that is recorded differs.
    follows : tuple of str
        Labels of the changes that it follows from.
    """

    task: str
    port: str
    kind: str
    a: str
    b: str
    cause: str
    task_b: str = ""
    follows: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Difference:
    """What differs between two runs, products or tasks.

    Parameters
    ----------
    a, b : str
        What was compared.
    first_cause : Change or None
        The change that came first and explains the others; None where no product differs, or
        nothing explains it.
    parameters, inputs, code, software, tasks, environment : tuple of Change
        What is recorded to differ.
    moved : tuple of Change
        Inputs that were read from another place and have the same content.
    renamed : tuple of Change
        Steps and tasks that were compared though they have another name on the other side.
    products : tuple of ProductChange
        Products that differ, in the order of the data flow.
    n_tasks, n_products : int
        Tasks and products that were compared.
    warnings : tuple of str
        What else should be known of the records.
    """

    a: str
    b: str
    first_cause: Change | None = None
    parameters: tuple[Change, ...] = ()
    inputs: tuple[Change, ...] = ()
    code: tuple[Change, ...] = ()
    software: tuple[Change, ...] = ()
    tasks: tuple[Change, ...] = ()
    environment: tuple[Change, ...] = ()
    moved: tuple[Change, ...] = ()
    renamed: tuple[Change, ...] = ()
    products: tuple[ProductChange, ...] = ()
    n_tasks: int = 0
    n_products: int = 0
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        first = f", first cause {self.first_cause.label}" if self.first_cause is not None else ""
        number = f"{len(self.products)} of {self.n_products} products differ"
        return f"<difference of {self.a} and {self.b}: {number}{first}>"

    @property
    def is_same(self) -> bool:
        """True where products, parameters, inputs, code, software and tasks are the same.

        The environment may differ: the same analysis on another machine.
        """
        names = (*CATEGORIES[:5], "products")
        return not any(getattr(self, name) for name in names)

    @property
    def unexplained(self) -> tuple[ProductChange, ...]:
        """Products that differ although nothing recorded does."""
        return tuple(item for item in self.products if item.cause == "unexplained")

    def data(self) -> dict[str, Any]:
        """Return the answer as plain data."""
        found: dict[str, Any] = {
            "a": self.a,
            "b": self.b,
            "same": self.is_same,
            "first_cause": self.first_cause.data() if self.first_cause is not None else None,
        }
        for name in (*CATEGORIES, "moved", "renamed", "products"):
            found[name] = [item.data() for item in getattr(self, name)]
        return {
            **found,
            "n_tasks": self.n_tasks,
            "n_products": self.n_products,
            "warnings": list(self.warnings),
        }
