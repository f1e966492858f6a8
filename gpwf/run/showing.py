"""Products under readable names: ``products/<step>/[<coordinates>/]<port>/<file>``.

The names are links into the store. Making them is waiting for the file system, so a thread does it
beside the driver.
"""

from __future__ import annotations

import os
import queue
import re
import secrets
import shutil
import threading
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from gpwf.core.digests import Digest, digest_bytes
from gpwf.core.plan import Task, TaskAlias
from gpwf.core.runs import Product
from gpwf.errors import RunError
from gpwf.store.atomic import PRIVATE_FOLDER
from gpwf.store.objects import ObjectStore

__all__ = ["ProductLinks", "Showing", "Shows", "cannot_show", "product_folder", "safe_name"]

_UNSAFE = re.compile(r"[^\w.=,+@-]+")
_MOST_WAITING = 1000  # tasks
_AT_ONCE = 50
_HINT = "choose another folder with --run-dir"
# copied: browsers follow a link first, and show what has no suffix there as text
_PAGES = (".html", ".htm")

_Item = tuple[Task | TaskAlias, Mapping[str, Product]]


@lru_cache(maxsize=1024)
def safe_name(name: str) -> str:
    """Return a name that is one component of a path whatever it holds."""
    text = _UNSAFE.sub("_", name).strip(".") or "_"
    if text == name and len(text) <= 120:
        return text
    return f"{text[:100]}-{digest_bytes(name.encode())[:8]}"


def product_folder(products: Path, task: Task | TaskAlias, port: str) -> Path:
    """Return the folder of a product below ``products``: ``<step>[/<coordinates>]/<port>``."""
    return Path(products, *_names(task), safe_name(port))


def _names(task: Task | TaskAlias) -> tuple[str, ...]:
    if task.id == task.step:
        return (safe_name(task.step),)
    place = task.id.removeprefix(task.step).strip("[]")
    return (safe_name(task.step), safe_name(place))


class ProductLinks:
    """Makes the links of one run.

    Parameters
    ----------
    products : Path
        Folder of the readable names; it exists.
    objects : ObjectStore
        Where they lead to.
    """

    def __init__(self, products: Path, objects: ObjectStore) -> None:
        self._products = str(products)
        self._objects = objects
        # the system follows a link from where it really lies, not from the name under which its
        # folder was reached; relative where both lie in one tree, so that it can be moved
        start = os.path.realpath(products)
        end = os.path.realpath(objects.folder)
        root = os.path.commonpath([start, end])
        is_apart = root == Path(root).anchor
        self._way = end if is_apart else os.path.relpath(end, start)
        self._is_relative = not is_apart

    def show(self, task: Task | TaskAlias, products: Mapping[str, Product]) -> None:
        """Give the products of a task readable names.

        Raises
        ------
        OSError
            Where they cannot be made.
        """
        names = _names(task)
        parent = "/".join((self._products, *names))
        depth = len(names) + 1
        if products:
            _make(parent)
        for port, product in products.items():
            target = f"{parent}/{safe_name(port)}"
            if not _make(target):
                self._replace(target, product, depth)
                continue
            for item in product.files:
                self._link(f"{target}/{item.name}", item.digest, depth + item.name.count("/"))

    def _replace(self, target: str, product: Product, depth: int) -> None:
        """Show another product under a name that is there already."""
        draft = Path(f"{os.path.dirname(target)}/.{secrets.token_hex(6)}")  # noqa: PTH120
        draft.mkdir(mode=PRIVATE_FOLDER)
        try:
            for item in product.files:
                self._link(f"{draft}/{item.name}", item.digest, depth + item.name.count("/"))
            place = Path(target)
            if place.is_dir() and not place.is_symlink():
                shutil.rmtree(place)
            else:
                place.unlink()
            draft.rename(place)
        except OSError:
            shutil.rmtree(draft, ignore_errors=True)
            raise

    def _link(self, place: str, digest: Digest, depth: int) -> None:
        way = "../" * depth + self._way if self._is_relative else self._way
        try:
            if place.endswith(_PAGES):
                Path(place).parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
                shutil.copyfile(self._objects.path(digest), place)
            else:
                self._symlink(f"{way}/{digest[:2]}/{digest}", place)
        except OSError:  # no links here
            shutil.copyfile(self._objects.path(digest), place)

    @staticmethod
    def _symlink(way: str, place: str) -> None:
        try:
            os.symlink(way, place)  # noqa: PTH211
        except FileNotFoundError:
            Path(place).parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
            os.symlink(way, place)  # noqa: PTH211


def _make(folder: str) -> bool:
    """Make a folder and those above it; return False where something is there already."""
    try:
        os.mkdir(folder, PRIVATE_FOLDER)  # noqa: PTH102
    except FileExistsError:
        return False
    except FileNotFoundError:
        Path(folder).mkdir(mode=PRIVATE_FOLDER, parents=True)
    return True


def cannot_show(error: OSError) -> RunError:
    """Return what to tell where names cannot be made."""
    reason = error.strerror or str(error)
    where = error.filename or "products"
    return RunError(f"{where} cannot be written: {reason}", hint=_HINT)


class Shows(Protocol):
    """Gives products readable names while the driver does something else."""

    def show(self, task: Task | TaskAlias, products: Mapping[str, Product]) -> None:
        """Give the products of a task readable names, soon: see `flush`."""

    def flush(self) -> None:
        """Let it begin."""

    def finish(self) -> None:
        """Wait until all is shown."""


class Showing:
    """Shows products in a thread of its own.

    Parameters
    ----------
    links : ProductLinks
        Makes them.
    """

    def __init__(self, links: ProductLinks) -> None:
        self._links = links
        self._waiting: queue.Queue[list[_Item] | None] = queue.Queue(_MOST_WAITING // _AT_ONCE)
        self._next: list[_Item] = []
        self._error: OSError | None = None
        self._thread: threading.Thread | None = None

    def show(self, task: Task | TaskAlias, products: Mapping[str, Product]) -> None:
        """Give the products of a task readable names, soon: see `flush`.

        Raises
        ------
        RunError
            Where those of an earlier task could not be made.
        """
        self._next.append((task, products))
        if len(self._next) >= _AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Let the thread begin; it costs to wake it, so several tasks are handed over at a time.

        Raises
        ------
        RunError
            Where names of an earlier task could not be made.
        """
        self._raise()
        if not self._next:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="gpwf-show", daemon=True)
            self._thread.start()
        self._waiting.put(self._next)
        self._next = []

    def finish(self) -> None:
        """Wait until all is shown.

        Raises
        ------
        RunError
            Where something could not be.
        """
        if self._error is None:
            self.flush()
        thread, self._thread = self._thread, None
        if thread is not None:
            self._waiting.put(None)
            thread.join()
        self._raise()

    def _raise(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise cannot_show(error)

    def _work(self) -> None:
        while (items := self._waiting.get()) is not None:
            if self._error is None:
                try:
                    for item in items:
                        self._links.show(*item)
                except OSError as error:
                    self._error = error
