"""Products of a run as Python sees them: by step, by coordinates, by port."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpwf.core.coordinates import labels_of, selector_text, short_axes
from gpwf.core.digests import TaskKey
from gpwf.core.plan import Task, TaskAlias
from gpwf.core.runs import Product, TaskState
from gpwf.core.view import TaskView
from gpwf.errors import StoreError, UsageError
from gpwf.run.rundir import product_folder
from gpwf.store.store import Store

__all__ = ["Place", "ProductFiles", "StepProducts"]

_SHOWN = 20  # rows in a notebook


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductFiles:
    """A product of a run, as files with readable names.

    Parameters
    ----------
    step, task, port : str
        Where it came from; of a task with several names, the one it is shown under.
    coordinates : mapping
        Value of each axis.
    key : TaskKey or None
        Key of the task.
    product : Product
        Kind, digest and files.
    folder : Path
        Folder that holds the files.
    store : Path
        Store of the run.
    """

    step: str
    task: str
    port: str
    product: Product
    folder: Path
    store: Path
    coordinates: Mapping[str, Any] = field(default_factory=dict)
    key: TaskKey | None = None

    @property
    def path(self) -> Path:
        """The file, where the product is one file; the folder otherwise."""
        if len(self.product.files) == 1:
            return self.folder / self.product.files[0].name
        return self.folder

    def read(self) -> Any:
        """Return the gammapy object.

        Raises
        ------
        StoreError
            Where files of the product, or external files that it refers to, are gone or damaged.
        """
        from gpwf.store import formats

        store = Store(self.store, create=False)
        for item in self.product.files:
            if not (self.folder / item.name).is_file():
                raise StoreError(
                    f"{self.task}.{self.port}: {self.folder / item.name} is gone",
                    hint="`gpwf run` makes again what the store lost",
                )
        return formats.read(self.product.kind, self.folder, store.inputs.locate)

    def _repr_html_(self) -> str:
        from html import escape

        rows = "".join(
            f"<li><code>{escape(item.name)}</code> {item.size} B, sha256 {item.digest[:12]}…</li>"
            for item in self.product.files
        )
        title = escape(f"{self.task}.{self.port} ({self.product.kind})")
        return f"<p><b>{title}</b></p><ul>{rows}</ul>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One place of a step in a run: a task under one of its names.

    Parameters
    ----------
    name : Task or TaskAlias
        Gives id, step and coordinates.
    view : TaskView
        What happened to the task.
    """

    name: Task | TaskAlias
    view: TaskView

    @property
    def labels(self) -> dict[str, str]:
        """Labels of the coordinates, as in the id."""
        return labels_of(self.name.id, self.name.step)

    def has(self, axis: str, value: object) -> bool:
        """Return whether a coordinate is a value, given as it is or as its label."""
        if axis not in self.labels:
            return False
        own = self.name.coordinates.get(axis)
        if type(own) is type(value) and own == value:
            return True
        text = "null" if value is None else str(value)
        return self.labels[axis] == (text.lower() if isinstance(value, bool) else text)

    def files(self, folder: Path, store: Path) -> dict[str, ProductFiles]:
        """Return the products by port, given the run's folder of products and its store."""
        return {
            port: ProductFiles(
                step=self.name.step,
                task=self.name.id,
                port=port,
                product=product,
                folder=product_folder(folder, self.name, port),
                store=store,
                coordinates=self.name.coordinates,
                key=self.view.key,
            )
            for port, product in self.view.products.items()
        }


class StepProducts(Mapping[str, ProductFiles]):
    """The products of a step by port, also as attributes; of a scattered step, those of its tasks.

    Parameters
    ----------
    name : str
        What was asked for.
    places : sequence of Place
        The tasks.
    folder, store : Path
        The run's folder of products, and its store.

    Examples
    --------
    ``run["flux-points"].flux_points.read()`` returns the gammapy object. After scatter::

        run["sim"].at(scenario="null", seed=3).datasets.read()
        for task in run["sim-sed"].at(scenario="null").tasks:
            print(task.coordinates["seed"], task.flux_points.path)
    """

    def __init__(self, name: str, places: Sequence[Place], folder: Path, store: Path) -> None:
        self._name = name
        self._places = tuple(places)
        self._folder = folder
        self._store = store
        self._products = places[0].files(folder, store) if len(places) == 1 else {}

    @property
    def tasks(self) -> tuple[StepProducts, ...]:
        """Every task by itself."""
        return tuple(
            StepProducts(place.name.id, [place], self._folder, self._store)
            for place in self._places
        )

    @property
    def task(self) -> str:
        """Id of the task; of one with several names, that of the first."""
        return self._only().view.task.id

    @property
    def state(self) -> TaskState:
        """State of the task."""
        return self._only().view.state

    @property
    def coordinates(self) -> Mapping[str, Any]:
        """Value of each axis."""
        return self._only().name.coordinates

    def at(self, axes: Mapping[str, object] | None = None, /, **more: object) -> StepProducts:
        """Return the tasks at some coordinates.

        Parameters
        ----------
        axes : mapping, optional
            Values by axis, for axes whose name is no name in Python (``crab/cut``).
        **more
            Values by axis: ``seed=3, scenario="null"``. A row is given by its name.

        Raises
        ------
        UsageError
            Where there is no such axis, or no task with these values.
        """
        wanted = {**(axes or {}), **more}
        known = short_axes(tuple(dict.fromkeys(a for item in self._places for a in item.labels)))
        for axis in wanted:
            if axis not in known:
                hint = f"axes: {', '.join(known)}" if known else "it runs once"
                raise UsageError(f"{self._name} has no axis {axis}", hint=hint)
        found = [
            place
            for place in self._places
            if all(place.has(known[axis], value) for axis, value in wanted.items())
        ]
        text = {axis: "null" if value is None else str(value) for axis, value in wanted.items()}
        name = selector_text(self._name.partition("[")[0], text)
        if not found:
            raise UsageError(f"{name}: no task is there", hint=self._some())
        return StepProducts(name, found, self._folder, self._store)

    def __call__(self, **axes: object) -> StepProducts:
        """Return the tasks at some coordinates; see `at`."""
        return self.at(axes)

    def __getitem__(self, port: str) -> ProductFiles:
        self._only()
        return self._products[port]

    def __iter__(self) -> Iterator[str]:
        self._only()
        return iter(self._products)

    def __len__(self) -> int:
        return len(self._only().view.products)

    def __bool__(self) -> bool:
        return len(self._places) > 1 or bool(self._products)

    def __getattr__(self, port: str) -> ProductFiles:
        if port.startswith("_"):  # asked for by copy, pickle, notebooks
            raise AttributeError(port)
        if len(self._places) > 1:
            raise AttributeError(f"{self._many()}; {self._some()}")
        try:
            return self._products[port]
        except KeyError:
            names = ", ".join(self._products) or "none"
            task = self._places[0].name.id
            raise AttributeError(f"task {task}: no product {port}; it has: {names}") from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._products]

    def __repr__(self) -> str:
        if len(self._places) > 1:
            return f"<products of {len(self._places)} tasks of {self._name}>"
        return f"<products of {self._name}: {', '.join(self._products) or 'none'}>"

    def _repr_html_(self) -> str:
        from html import escape

        rows = "".join(
            f"<tr><td>{escape(place.name.id)}</td><td>{place.view.state}</td>"
            f"<td>{escape(', '.join(place.view.products))}</td></tr>"
            for place in self._places[:_SHOWN]
        )
        more = len(self._places) - _SHOWN
        rest = f"<p>and {more} more</p>" if more > 0 else ""
        return f"<table><tr><th>task</th><th>state</th><th>products</th></tr>{rows}</table>{rest}"

    def _only(self) -> Place:
        """Return the task where there is one."""
        if len(self._places) > 1:
            raise UsageError(self._many(), hint=self._some())
        return self._places[0]

    def _many(self) -> str:
        return f"step {self._name} has {len(self._places)} tasks"

    def _some(self) -> str:
        axes = self._places[0].labels
        example = ", ".join(f"{axis}={label!r}" for axis, label in axes.items())
        if not axes or not all(axis.isidentifier() for axis in axes):
            return f"name one, {self._places[0].name.id} say, or go through .tasks"
        return f"pick one, .at({example}) say, or go through .tasks"
