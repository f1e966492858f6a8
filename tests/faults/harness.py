"""Runs plans of the fake catalogue, in this process or in a driver of their own."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from gpwf.core.plan import Plan
from gpwf.core.runs import RunEvent
from gpwf.core.view import RunView, fold
from gpwf.errors import GpwfError
from gpwf.run.engine import execute, exit_code
from gpwf.run.executors.local import LocalExecutor
from gpwf.run.journal import read_journal
from gpwf.run.rundir import RunDirectory
from gpwf.store.store import Store

HERE = Path(__file__).parent


def run(
    plan: Plan,
    folder: Path,
    *,
    name: str = "run",
    jobs: int = 2,
    events: list[RunEvent] | None = None,
    logs: list[Any] | None = None,
    executor: LocalExecutor | None = None,
    fail_fast: bool = False,
    targets: Collection[str] | None = None,
    force: Collection[str] = (),
) -> RunView:
    """Run a plan in ``folder/<name>`` over the store ``folder/store``."""
    with RunDirectory(folder / name) as rundir:
        execute(
            plan,
            store=Store(folder / "store"),
            rundir=rundir,
            executor=executor or LocalExecutor(jobs, prepare="fakecatalog:prepare"),
            text="gpwf: 1\n",
            catalog="fakecatalog:load_catalog",
            formats="fakecatalog",
            on_event=() if events is None else (events.append,),
            on_log=None if logs is None else logs.append,
            fail_fast=fail_fast,
            targets=targets,
            force=force,
        )
        return fold(plan, read_journal(rundir.journal))


def states(view: RunView) -> dict[str, str]:
    """Return the state of every task."""
    return {name: item.state.value for name, item in view.tasks.items()}


def start_driver(
    plan: Plan, folder: Path, *, name: str = "run", under: Sequence[str] = (), **options: Any
) -> subprocess.Popen[bytes]:
    """Run a plan in a process of its own, that can be signalled and killed.

    ``under`` is a command that runs another command: ``strace`` and its options, for example.
    """
    (folder / f"{name}.pickle").write_bytes(pickle.dumps(plan))
    return subprocess.Popen(
        [*under, sys.executable, str(Path(__file__)), str(folder), name],
        stdin=subprocess.DEVNULL,
        cwd=HERE,
        **options,
    )


def start_cli(
    *arguments: object,
    cwd: Path,
    environment: Mapping[str, str] | None = None,
    under: Sequence[str] = (),
    **options: Any,
) -> subprocess.Popen[bytes]:
    """Start ``gpwf``, in a process of its own whose workers import nothing heavy.

    ``under`` is a command that runs another command.
    """
    return subprocess.Popen(
        [*under, sys.executable, str(HERE / "quickcli.py"), *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        **options,
    )


def cli(
    *arguments: object, cwd: Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``gpwf`` to its end; return what it said."""
    driver = start_cli(
        *arguments,
        cwd=cwd,
        environment=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    said, complained = driver.communicate(timeout=120)
    return subprocess.CompletedProcess(
        driver.args, driver.returncode, said.decode(), complained.decode()
    )


def wait_for(condition: Callable[[], Any], what: str, limit_s: float = 60.0) -> Any:
    """Return the first true value of a condition; fail where it never becomes true."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what} did not come within {limit_s} s")


def wait_for_file(path: Path, driver: subprocess.Popen[bytes]) -> None:
    """Wait until a driver has made a file."""
    wait_for(lambda: path.exists() or driver.poll() is not None, str(path))
    assert path.exists(), f"the driver ended with {driver.returncode}"


def is_alive(pid: int) -> bool:
    """Return True where a process exists and is no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def lines(path: Path) -> list[str]:
    """Return the lines of a file, none where it is not there yet."""
    try:
        return path.read_text().splitlines()
    except FileNotFoundError:
        return []


def main() -> None:
    """Be the driver."""
    folder = Path(sys.argv[1])
    sys.executable = os.environ.get("FAULTS_PYTHON", sys.executable)  # of the workers
    plan = pickle.loads((folder / f"{sys.argv[2]}.pickle").read_bytes())
    try:
        view = run(plan, folder, name=sys.argv[2], jobs=int(os.environ.get("FAULTS_JOBS", "2")))
    except GpwfError as error:  # as the command line does
        sys.stderr.write(f"error: {error.message}\n")
        os._exit(int(error.exit_code))
    os._exit(int(exit_code(view)))


if __name__ == "__main__":
    main()
