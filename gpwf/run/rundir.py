"""The folder of a run: what was asked, what happened, and what came out, under readable names."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from gpwf.core.digests import Digest
from gpwf.core.plan import Plan, Task, TaskAlias
from gpwf.core.plan_codec import plan_to_text
from gpwf.core.runs import Product
from gpwf.errors import RunError
from gpwf.run.showing import ProductLinks, product_folder, safe_name
from gpwf.store.atomic import PRIVATE_FOLDER, write_atomic
from gpwf.store.objects import ObjectStore

__all__ = ["RunDirectory", "lock_holder", "new_run_path", "product_folder"]

_HINT = "choose another folder with --run-dir"
#: Of a product, and of a file: see `gpwf.run.showing` and `gpwf.store.atomic.write_atomic`.
_DRAFT = re.compile(r"\.([0-9a-f]{12}|.+\.[0-9a-f]{12}\.part)")


def new_run_path(root: Path, workflow: str) -> Path:
    """Return a path for a new run: ``<root>/<workflow>/<UTC time>-<short id>``."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    return root / safe_name(workflow) / f"{stamp}-{secrets.token_hex(3)}"


def lock_holder(path: Path) -> str | None:
    """Return who drives the run in this folder now, None where nobody does."""
    lock = path / "run.lock"
    try:
        with lock.open("r+") as stream:
            try:
                # shared, so that two who ask do not take each other for a driver
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _describe(stream.read())
    except OSError:
        pass
    return None


class RunDirectory:
    """Make the folder of a run, or take over the one of an earlier run, and hold its lock.

    Usable as a context manager; leaving it gives the lock back.

    Parameters
    ----------
    path : Path
        The folder; its parents are made as needed. ``latest`` beside it is made to point here.

    Raises
    ------
    RunError
        Where the folder cannot be written, another driver holds it, or it holds something else
        than a run.
    """

    def __init__(self, path: Path) -> None:
        self._is_holder = False
        self.path = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links
        try:
            self._refuse_foreign()
            self.path.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
            self._lock = os.open(
                self.path / "run.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
        except OSError as error:
            raise self._unwritable(error) from None
        try:
            was_killed = self._take_lock()
            self._clear_work()
            if was_killed:
                _clear_drafts(self.path)
            for name in ("work", "products", "prov"):
                (self.path / name).mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
        except OSError as error:
            self.close()
            raise self._unwritable(error) from None
        except RunError:
            self.close()
            raise
        self._point_latest()

    @property
    def journal(self) -> Path:
        """The journal."""
        return self.path / "journal.jsonl"

    @property
    def log(self) -> Path:
        """The log for people and machines, JSON Lines."""
        return self.path / "log.jsonl"

    @property
    def plan(self) -> Path:
        """The frozen plan."""
        return self.path / "plan.json"

    @property
    def workflow(self) -> Path:
        """The document as given."""
        return self.path / "workflow.yaml"

    @property
    def work(self) -> Path:
        """Private folders of the attempts."""
        return self.path / "work"

    @property
    def products(self) -> Path:
        """Products under readable names."""
        return self.path / "products"

    @property
    def prov(self) -> Path:
        """Provenance documents."""
        return self.path / "prov"

    def freeze(self, plan: Plan, text: str | None = None) -> Digest:
        """Write the plan, and the document as given; return the SHA-256 of ``plan.json``.

        Raises
        ------
        RunError
            Where they cannot be written.
        """
        digest = hashlib.sha256()

        def parts() -> Iterator[bytes]:
            for part in plan_to_text(plan):
                digest.update(part)
                yield part

        try:
            write_atomic(self.plan, parts())
            if text is not None:
                write_atomic(self.workflow, text.encode())
        except OSError as error:
            raise self._unwritable(error) from None
        plan.kept.clear()  # large, and not needed any more
        return Digest(digest.hexdigest())

    def attempt_folder(self, task: str, attempt: int) -> Path:
        """Return a path for a new attempt that nobody else uses; it is not made."""
        return self.work / safe_name(task) / f"{attempt}-{secrets.token_hex(4)}"

    def show(
        self, task: Task | TaskAlias, products: Mapping[str, Product], objects: ObjectStore
    ) -> None:
        """Give the products of a task readable names: ``products/<step>/<port>/<file>``.

        After scatter ``products/<step>/<coordinates>/<port>/<file>``; those of a further name of a
        task lie under that name, too.

        The names are links into the store, which protects itself; where links are impossible,
        copies.

        Raises
        ------
        RunError
            Where they cannot be made.
        """
        try:
            ProductLinks(self.products, objects).show(task, products)
        except OSError as error:
            raise self._unwritable(error) from None

    def close(self) -> None:
        """Give the lock back."""
        if self._lock >= 0:
            if self._is_holder:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._lock, 0)
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> RunDirectory:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _refuse_foreign(self) -> None:
        """Refuse a folder with other files: names such as ``workflow.yaml`` may be among them."""
        try:
            names = {entry.name for entry in self.path.iterdir()}
        except FileNotFoundError:
            return
        if names and not names & {"run.lock", "journal.jsonl"}:
            raise RunError(
                f"{self.path} is no run directory and not empty: it has {min(names)}",
                hint=_HINT,
            )

    def _take_lock(self) -> bool:
        """Take the lock; return True where the driver before was killed."""
        for wait_s in (0.01, 0.05, 0.1, 0.0):  # `lock_holder` asks by taking it for an instant
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(wait_s)
        else:
            text = os.pread(self._lock, 4096, 0).decode(errors="replace")
            raise RunError(
                f"{self.path} is in use by {_describe(text)}",
                hint="wait for it or stop it; `gpwf run` without --run-dir takes a new folder",
            )
        self._is_holder = True
        was_killed = os.fstat(self._lock).st_size > 0  # who ends in order empties it
        holder = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        }
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, (json.dumps(holder) + "\n").encode(), 0)
        return was_killed

    def _clear_work(self) -> None:
        """Remove the folders of attempts of earlier runs here: failed and killed ones."""
        for wait_s in (0.02, 0.1, 0.5):  # workers of a killed driver may be dying just now
            found = list(self.work.iterdir()) if self.work.is_dir() else []
            if not found:
                return
            for path in found:
                shutil.rmtree(path, ignore_errors=True)
            time.sleep(wait_s)

    def _point_latest(self) -> None:
        """Make ``latest`` beside the folder point to it; a convenience, never a reason to fail."""
        latest = self.path.parent / "latest"
        if self.path.name == "latest" or (latest.exists() and not latest.is_symlink()):
            return
        draft = latest.with_name(f".latest.{secrets.token_hex(4)}")
        with contextlib.suppress(OSError):
            draft.symlink_to(self.path.name)
            draft.replace(latest)

    def _unwritable(self, error: OSError) -> RunError:
        reason = error.strerror or str(error)
        return RunError(f"the run directory {self.path} cannot be written: {reason}", hint=_HINT)


def _clear_drafts(path: Path) -> None:
    """Remove what a killed driver was writing when it died."""
    for folder, names, files in os.walk(path):
        for name in filter(_DRAFT.fullmatch, tuple(names)):
            names.remove(name)
            shutil.rmtree(Path(folder, name), ignore_errors=True)
        for name in filter(_DRAFT.fullmatch, files):
            with contextlib.suppress(OSError):
                Path(folder, name).unlink()


def _describe(text: str) -> str:
    try:
        holder = json.loads(text)
        return f"process {holder['pid']} on {holder['host']} since {holder['since']}"
    except (ValueError, KeyError, TypeError):
        return "another process"
