"""One task: read the inputs, `Step.run`, write the outputs.

Everything that can go wrong becomes an `Outcome`; nothing but plain data leaves the process.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import resource
import shutil
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from gpwf.core.digests import Digest
from gpwf.core.plan import PlannedFile
from gpwf.core.runs import Failure, Product, Resources, TaskState
from gpwf.errors import GpwfError, NoDataError, StepError, StoreError, TransientStepError
from gpwf.run.capture import capture_logging, capture_output, progress_sender, utc_now
from gpwf.run.executors.base import Job, Message, Outcome
from gpwf.store.atomic import PRIVATE_FOLDER
from gpwf.store.results import StoredResult
from gpwf.store.store import Store

__all__ = ["run_job", "serve"]

_RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes there


class _DamagedInputError(Exception):
    """Objects of an input are not what they were; they have been set aside."""

    def __init__(self, port: str, digests: tuple[Digest, ...]) -> None:
        super().__init__(f"input {port}: the store held damaged bytes; they are made again")
        self.digests = digests


def serve(handle: int) -> None:
    """Run the jobs that come over a connection until it closes.

    Parameters
    ----------
    handle : int
        File descriptor of a stream socket to the driver.
    """
    from multiprocessing.connection import Connection

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver decides
    connection = Connection(handle)
    lock = threading.Lock()  # steps may log from threads

    def send(item: Message | Outcome) -> None:
        with lock:
            connection.send(item)

    try:
        while True:
            job: Job = connection.recv()
            send(run_job(job, send))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def run_job(job: Job, send: Callable[[Message], None]) -> Outcome:
    """Run one attempt of a task.

    Parameters
    ----------
    job : Job
        What to do.
    send : callable
        Takes what the task says while it runs.

    Returns
    -------
    Outcome
        Never raises for what a step does.
    """

    def say(record: Mapping[str, Any]) -> None:
        about = {"task_id": job.task, "step": job.step, "attempt": job.attempt}
        send(Message(attempt_id=job.attempt_id, record={**record, **about}))

    started, before = utc_now(), _Usage()
    try:
        folder = Path(job.work_dir)
        folder.mkdir(mode=PRIVATE_FOLDER, parents=True)
        with capture_logging(say, job.log_level), capture_output(folder / "output.log", say):
            outcome = _attempt(job, folder, say, started, before)
        shutil.rmtree(folder, ignore_errors=True)  # a failed one is kept for its owner to look at
        with contextlib.suppress(OSError):
            folder.parent.rmdir()  # stays where an earlier attempt failed
    except _DamagedInputError as error:
        outcome = Outcome(
            attempt_id=job.attempt_id,
            state=TaskState.FAILED,
            failure=Failure(kind="damaged", message=str(error), transient=True),
            damaged=error.digests,
        )
    # whatever a step raises, sys.exit() too, must not end the worker
    except (Exception, SystemExit) as error:
        state = TaskState.SKIPPED if isinstance(error, NoDataError) else TaskState.FAILED
        outcome = Outcome(attempt_id=job.attempt_id, state=state, failure=_failure(error))
    return replace(
        outcome,
        started=started,
        ended=outcome.ended or utc_now(),
        resources=before.until_now(),
    )


def _attempt(
    job: Job,
    folder: Path,
    say: Callable[[Mapping[str, Any]], None],
    started: str,
    before: _Usage,
) -> Outcome:
    """Do the work; return the outcome of a success, raise for every other end."""
    store = _store(job.store)
    formats = importlib.import_module(job.formats)
    step = _catalog(job.catalog).step(job.tag)
    files = _ExternalFiles(store, job)
    files.check("since the plan was made")
    inputs = _read_inputs(job, step, folder / "in", store, formats, files)
    scratch = folder / "scratch"
    scratch.mkdir()
    settings = step.Settings.model_validate(dict(job.settings))
    values = step.run(settings, inputs, _context(job, scratch, say))
    products = _write_outputs(job, folder / "out", store, formats, values)
    files.check("while the step read it")
    ended = utc_now()
    result = StoredResult(
        key=job.key,
        products=products,
        run_id=job.run_id,
        attempt_id=job.attempt_id,
        started=started,
        ended=ended,
        tag=job.tag,
        resources=before.until_now(),
    )
    store.results.put(job.key, result)
    return Outcome(attempt_id=job.attempt_id, state=TaskState.OK, ended=ended, products=products)


@cache
def _store(root: str) -> Store:
    return Store(Path(root))


@cache
def _catalog(target: str) -> Any:
    module, _, function = target.partition(":")
    return getattr(importlib.import_module(module), function)()


def _context(job: Job, scratch: Path, say: Callable[[Mapping[str, Any]], None]) -> Any:
    from gpwf.steps.base import StepContext

    return StepContext(
        step=job.step,
        task_id=job.task,
        work_dir=scratch,
        n_jobs=job.n_jobs,
        progress=progress_sender(say),
        labels=job.labels,
        stream=job.stream,
    )


class _ExternalFiles:
    """The files outside the store that a task reads, watched for changes."""

    def __init__(self, store: Store, job: Job) -> None:
        self._store = store
        self._expected = {item.path: item for item in job.files}
        for item in job.known_files:
            _register(store, item)

    def locate(self, digest: Digest) -> Path:
        """Return a file with this content, and watch it where it is outside the store."""
        path = self._store.inputs.locate(digest)
        if path != self._store.objects.path(digest):
            known = PlannedFile(setting="", name=path.name, path=str(path), digest=digest, size=0)
            self._expected.setdefault(str(path), known)
        return path

    def check(self, when: str) -> None:
        """Raise StepError where a file is not what it should be."""
        for item in self._expected.values():
            try:
                digest, _ = self._store.inputs.digest(Path(item.path))
            except OSError as error:
                reason = error.strerror or str(error)
                raise StepError(
                    f"the input file {item.path} cannot be read: {reason}",
                    hint="correct the path or its permissions, then run again",
                ) from None
            if digest != item.digest:
                raise StepError(
                    f"the input file {item.path} has changed {when}",
                    hint="run again when nobody writes to it any more",
                )


def _register(store: Store, item: PlannedFile) -> None:
    """Make external content known to `locate`; what is gone is found missing there."""
    try:
        store.inputs.digest(Path(item.path))
    except OSError:
        return


def _read_inputs(
    job: Job, step: Any, folder: Path, store: Store, formats: Any, files: _ExternalFiles
) -> dict[str, Any]:
    """Return the value of every connected port, a list where the port takes several.

    It is the object in memory, or the path of the main file for a step that takes files.
    """

    def value(kind: str, directory: Path) -> Any:
        if step.takes == "files":
            return formats.main_path(kind, directory)
        return formats.read(kind, directory, files.locate)

    ports = {port.name: port for port in job.input_ports}
    values: dict[str, Any] = {}
    for port, products in job.inputs.items():
        for product in products:
            _check_objects(port, product, store)
        read = [
            value(product.kind, _present(product, folder / port / str(n), store))
            for n, product in enumerate(products)
        ]
        slot = ports.get(port) or ports["*"]  # see `gpwf.core.spec.Port`
        values[port] = read if slot.multiple else read[0]
    return values


def _check_objects(port: str, product: Product, store: Store) -> None:
    digests = {item.digest for item in product.files}
    bad = tuple(sorted(item for item in digests if not store.objects.verify(item)))
    for item in bad:
        store.objects.set_aside(item)
    if bad:
        raise _DamagedInputError(port, bad)


def _present(product: Product, folder: Path, store: Store) -> Path:
    """Return a folder that shows the files of a product under their names."""
    shown = folder / "files"
    for item in product.files:
        link = shown / item.name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(store.objects.path(item.digest))
    return shown


def _write_outputs(
    job: Job, folder: Path, store: Store, formats: Any, values: Mapping[str, Any]
) -> dict[str, Product]:
    """Write and publish the value of every output port."""
    ports = {port.name: port for port in job.output_ports}
    missing = [
        port.name
        for port in job.output_ports
        if values.get(port.name) is None and not port.optional
    ]
    strange = sorted(set(values) - set(ports))
    if missing or strange:
        raise StepError(
            f"step type {job.tag} gave {', '.join(sorted(values)) or 'nothing'}; "
            f"its output ports are {', '.join(ports) or 'none'}",
            hint="this is a fault of the step type, not of the workflow",
        )
    products = {}
    for name, port in ports.items():
        if values.get(name) is None:
            continue
        target = folder / name
        target.mkdir(parents=True)
        card = {"GPWFKEY": str(job.key), "GPWFPORT": name, "GPWFTAG": job.tag}
        summary = formats.write(port.kind, values[name], target, card)
        products[name] = store.objects.publish(
            target, port.kind, _plain(summary), mark=str(job.key)
        )
    return products


def _plain(value: Any) -> Any:
    """Return plain data; scalars of numpy would make the driver import it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)


def _failure(error: BaseException) -> Failure:
    """Return an exception as plain data, readable for people."""
    expected = isinstance(error, GpwfError)
    message = str(error).strip() or "no message"
    if isinstance(error, OSError) and not expected:
        message = _os_message(error)
    elif not expected:
        message = f"{type(error).__name__}: {message}"
    plain = isinstance(error, (StepError, StoreError)) and error.__cause__ is None
    return Failure(
        kind=type(error).__name__,
        message=message,
        hint=error.hint if isinstance(error, GpwfError) else None,
        transient=isinstance(error, TransientStepError),
        no_data=isinstance(error, NoDataError),
        traceback=None if plain else "".join(traceback.format_exception(error)),
    )


def _os_message(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{type(error).__name__}: {where}{error.strerror or error}"


class _Usage:
    """What this process and its children have used since this was made."""

    def __init__(self) -> None:
        _forget_peak()
        self._wall_s = time.monotonic()
        self._cpu_s = self._cpu()
        self._children_peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss

    @staticmethod
    def _cpu() -> float:
        total = 0.0
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
            usage = resource.getrusage(who)
            total += usage.ru_utime + usage.ru_stime
        return total

    def until_now(self) -> Resources:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        if children > self._children_peak:  # otherwise it was a child of an earlier task
            peak = max(peak, children)
        return Resources(
            wall_s=round(time.monotonic() - self._wall_s, 6),
            cpu_s=round(self._cpu() - self._cpu_s, 6),
            peak_rss_bytes=peak * _RSS_UNIT,
            pid=os.getpid(),
            host=socket.gethostname(),
        )


def _forget_peak() -> None:
    """Start the peak of the resident memory anew, so that it is this task's (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
