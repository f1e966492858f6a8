"""Runs and products that stay in a store until somebody says otherwise."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from gpwf.api.known_runs import KnownRun, read_run, uses_store
from gpwf.api.runs import open_run
from gpwf.core.digests import Digest, TaskKey, digest_file
from gpwf.core.runs import Product
from gpwf.errors import UsageError
from gpwf.store.gc import files_of
from gpwf.store.pins import Pin
from gpwf.store.results import read_result
from gpwf.store.store import Store

__all__ = ["find_pin", "keep_pins_whole", "make_pin"]

_LISTS = "observations.json"  # names data by content that may be in the store as well


def make_pin(store: Store, what: str | Path) -> Pin:
    """Return the pin of a run, or of the product that a file belongs to.

    Parameters
    ----------
    store : Store
        Where it is to stay.
    what : str or Path
        A run, as `gpwf.api.open_run` takes it, or a file: below the ``products`` of a run, in the
        store, or a copy of one.

    Raises
    ------
    UsageError
        Where there is no such run, or the store has no such product.
    """
    path = Path(what)
    if path.is_file():
        return _pin_of_file(store, path)
    run = open_run(what)
    if not uses_store(run.path, store):
        raise UsageError(
            f"{run.path} does not keep its products in the store {store.root}",
            hint="name its store with --store",
        )
    return _pin_of_run(read_run(run.path), since=_now())


def find_pin(store: Store, what: str) -> Pin:
    """Return the pin that is meant: by its id, its name, its run, or a file of its product.

    Raises
    ------
    UsageError
        Where there is none.
    """
    pins = list(store.pins)
    text = str(what)
    for pin in pins:
        if text in (pin.id, pin.name, pin.run_id) or Path(pin.name) == Path(what).absolute():
            return pin
    by_end = [pin for pin in pins if pin.run_id and Path(pin.name).name.endswith(text)]
    if len(by_end) == 1:
        return by_end[0]
    if Path(what).exists():
        wanted = make_pin(store, what).id
        for pin in pins:
            if pin.id == wanted:
                return pin
    raise UsageError(f"{text} is not pinned", hint="`gpwf pin` without arguments lists the pins")


def keep_pins_whole(store: Store, pins: list[Pin], runs: Iterable[KnownRun]) -> None:
    """Write into the pins of runs what these have made since they were pinned."""
    by_id = {run_id: run for run in runs for run_id in run.run_ids}
    for number, pin in enumerate(pins):
        run = by_id.get(pin.run_id)
        if run is None:
            continue
        keys, digests = set(pin.keys) | set(run.tasks), set(pin.digests) | run.digests
        if keys > set(pin.keys) or digests > set(pin.digests):
            pins[number] = replace(pin, keys=tuple(sorted(keys)), digests=tuple(sorted(digests)))
            store.pins.add(pins[number])


def _pin_of_run(run: KnownRun, *, since: str) -> Pin:
    if not run.run_ids:
        raise UsageError(f"{run.path}: nothing was run there yet", hint="pin it when it has begun")
    return Pin(
        name=str(run.path),
        run_id=run.run_ids[-1],
        workflow=run.workflow,
        since=since,
        keys=tuple(sorted(run.tasks)),
        digests=tuple(sorted(run.digests)),
    )


def _pin_of_file(store: Store, path: Path) -> Pin:
    digest = _digest_in(store, path)
    keys: set[TaskKey] = set()
    digests: set[Digest] = set()
    for key, product in _products_with(store, digest):
        keys.add(key)
        digests.update(item.digest for item in product.files)
        digests.update(_named_in(store, product))
    if not digests:
        raise UsageError(
            f"{path} is no product of the store {store.root}",
            hint="give a run, or a file below the `products` folder of a run",
        )
    return Pin(
        name=str(path.absolute()),
        since=_now(),
        keys=tuple(sorted(keys)),
        digests=tuple(sorted(digests)),
    )


def _digest_in(store: Store, path: Path) -> Digest:
    real = Path(os.path.realpath(path))
    if real.is_relative_to(Path(os.path.realpath(store.root / "objects"))):
        return Digest(real.name)
    return digest_file(path)


def _products_with(store: Store, digest: Digest) -> Iterator[tuple[TaskKey, Product]]:
    """Yield the products that a file is a part of, by the key of their task."""
    for path, _ in files_of(store.root / "results"):
        try:
            result = read_result(path.read_bytes())
        except OSError:
            continue
        if result is None:
            continue
        for product in result.products.values():
            if any(item.digest == digest for item in product.files):
                yield result.key, product


def _named_in(store: Store, product: Product) -> Iterator[Digest]:
    """Yield objects that a product refers to by content: observations do not hold their data."""
    for item in product.files:
        if item.name != _LISTS:
            continue
        try:
            content = json.loads(store.objects.path(item.digest).read_bytes())
            named = [Digest(str(entry["sha256"])) for entry in content["files"]]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        yield from (digest for digest in named if store.objects.has(digest))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
