"""Commands in real workers: they end with their task, and what they say fits into the log."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from harness import is_alive, lines, states, wait_for

from gpwf.core.digests import digest_bytes
from gpwf.core.plan import Plan, PlannedFile, PlannedStep, Task, TaskOutput
from gpwf.core.runs import TaskState
from gpwf.core.spec import StepPolicy
from gpwf.core.view import RunView, fold
from gpwf.run.engine import execute
from gpwf.run.executors.local import LocalExecutor
from gpwf.run.journal import read_journal
from gpwf.run.rundir import RunDirectory
from gpwf.steps.registry import load_catalog
from gpwf.store.store import Store

CATALOG = load_catalog()
linux = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for processes")


def command(
    name: str,
    code: str,
    *arguments: str,
    wired: Mapping[str, tuple[str, ...]] | None = None,
    policy: StepPolicy | None = None,
    **config: Any,
) -> Task:
    """Return the task of a command that is Python code and makes ``out.txt``.

    Products are wired as ``{input: (task, …)}``, of each the output ``out``.
    """
    argv = [sys.executable, "-c", code, *arguments]
    settled = CATALOG.settle(
        "command", {"argv": argv, "outputs": {"out": "out.txt"}, **config}, base=Path("/")
    )
    assert not settled.problems
    files = CATALOG.external_files("command", settled.settings)
    return Task(
        id=name,
        step=name,
        tag="command",
        version=CATALOG.version("command"),
        settings=settled.settings,
        types=settled.types,
        origins={},
        inputs={
            port: tuple(TaskOutput(task=task, product="out") for task in tasks)
            for port, tasks in (wired or {}).items()
        },
        input_ports=tuple(CATALOG.inputs("command", settled.settings)),
        output_ports=tuple(CATALOG.outputs("command", settled.settings)),
        files=tuple(
            PlannedFile(
                setting=item.setting,
                name=item.name,
                path=str(item.path),
                digest=digest_bytes(item.path.read_bytes()),
                size=item.path.stat().st_size,
            )
            for item in files
        ),
        policy=policy or StepPolicy(),
    )


def run(
    folder: Path,
    *tasks: Task,
    logs: list[Any] | None = None,
    on_log: Callable[[Any], None] | None = None,
) -> RunView:
    """Run tasks in ``folder/run`` over the store ``folder/store``."""
    plan = Plan(
        name="commands",
        workflow_digest=digest_bytes(b"commands"),
        tasks=tasks,
        steps=tuple(PlannedStep(name=item.step, tag="command", title="") for item in tasks),
    )
    with RunDirectory(folder / "run") as rundir:
        execute(
            plan,
            store=Store(folder / "store"),
            rundir=rundir,
            executor=LocalExecutor(2, prepare="fakecatalog:prepare"),
            text="gpwf: 1\n",
            catalog="gpwf.steps.registry:load_catalog",
            formats="gpwf.store.formats",
            on_log=on_log if logs is None else logs.append,
        )
        return fold(plan, read_journal(rundir.journal))


def shown(folder: Path, task: str) -> str:
    return (folder / "run" / "products" / task / "out" / "out.txt").read_text()


WRITE = "import sys; open('out.txt', 'w').write('|'.join(sys.argv[1:]))"
JOIN = "import sys; open('out.txt', 'w').write('+'.join(open(p).read() for p in sys.argv[1:]))"


def test_products_go_from_command_to_command(tmp_path: Path) -> None:
    """One product, several in their order, and names that no argument uses."""
    outside = tmp_path / "outside.txt"
    outside.write_text("o")
    view = run(
        tmp_path,
        command("a", WRITE, "a"),
        command("b", WRITE, "b"),
        command(
            "one",
            JOIN,
            "${inputs.x}",
            "${inputs.f}",
            inputs={"f": str(outside)},
            wired={"x": ("b",)},
        ),
        command("all", JOIN, "${inputs.x}", wired={"x": ("b", "one", "a"), "unused": ("a",)}),
    )
    assert set(states(view).values()) == {"ok"}
    assert shown(tmp_path, "one") == "b+o"
    assert shown(tmp_path, "all") == "b+b+o+a"
    product = view.tasks["all"].products["out"]
    assert [item.name for item in product.files] == ["out.txt"]
    assert product.summary["n_bytes"] == 7
    assert not list((tmp_path / "run" / "work").iterdir())


def test_the_same_again_is_the_same_to_the_byte(tmp_path: Path) -> None:
    """Also for a command that writes its arguments: no path in them tells when or where it ran."""
    digests = []
    for name in ("here", "there"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "data.txt").write_text("data")
        view = run(
            folder,
            command(
                "a", WRITE, "${inputs.f}", "${outputs.out}", inputs={"f": str(folder / "data.txt")}
            ),
            command("b", WRITE, "${inputs.x}", wired={"x": ("a",)}),
        )
        digests.append({task: item.products["out"].digest for task, item in view.tasks.items()})
    assert digests[0] == digests[1]
    view = run(tmp_path / "there", *[view.tasks[name].task for name in ("a", "b")])
    assert set(states(view).values()) == {"cached"}


def test_a_command_that_fails_is_tried_again(tmp_path: Path) -> None:
    counted = tmp_path / "n"
    code = (
        "import sys; s = open(sys.argv[1], 'a+'); s.write('x\\n'); s.flush(); s.seek(0); "
        "n = len(s.readlines()); open('out.txt', 'w').write(str(n)); sys.exit(n < 3)"
    )
    view = run(
        tmp_path,
        command("a", code, str(counted), policy=StepPolicy(retries=2)),
        command("b", "import sys; sys.exit('no such star')", policy=StepPolicy(retries=0)),
        command("c", "import sys; print('no output')", policy=StepPolicy(retries=3)),
    )
    assert states(view) == {"a": "ok", "b": "failed", "c": "failed"}
    assert shown(tmp_path, "a") == "3"
    failure = view.tasks["b"].attempts[-1].finished_event.failure
    assert "no such star" in failure.message
    assert failure.traceback is None
    assert len(view.tasks["c"].attempts) == 1  # it ended well: again would not help


FAMILY = (
    "import os, signal, subprocess, sys, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    "open(sys.argv[1], 'w').write(f'{os.getpid()}\\n{child.pid}\\n')\n"
    "time.sleep(600)\n"
)


@linux
def test_a_command_that_takes_too_long_is_ended_with_its_children(tmp_path: Path) -> None:
    marks = tmp_path / "pids"
    view = run(tmp_path, command("a", FAMILY, str(marks), policy=StepPolicy(timeout_s=2.0)))
    assert states(view) == {"a": "timeout"}
    pids = [int(line) for line in lines(marks)]
    assert len(pids) == 2
    wait_for(lambda: not any(map(is_alive, pids)), "the end of the command")


@linux
def test_a_command_ends_with_its_worker(tmp_path: Path) -> None:
    """The worker is killed by its own command, as the kernel does when memory is short."""
    marks = tmp_path / "pids"
    code = FAMILY.replace("time.sleep(600)\n", "") + "os.kill(os.getppid(), 9)\ntime.sleep(600)\n"
    view = run(tmp_path, command("a", code, str(marks)))
    assert states(view) == {"a": "lost"}
    assert view.tasks["a"].attempts[-1].finished_event.state is TaskState.LOST
    pids = [int(line) for line in lines(marks)]
    wait_for(lambda: not any(map(is_alive, pids)), "the end of the command")


@linux
def test_a_command_needs_no_more_memory_than_it_may(tmp_path: Path) -> None:
    code = "x = b'x' * 300_000_000; import time; time.sleep(600)"
    view = run(tmp_path, command("a", code, policy=StepPolicy(memory_bytes=200_000_000)))
    assert states(view) == {"a": "oom"}


def test_a_gigabyte_of_output_fills_neither_memory_nor_disk(tmp_path: Path) -> None:
    code = (
        "import os, sys\n"
        "open('out.txt', 'w')\n"
        "block = (b'y' * 127 + b'\\n') * 8192\n"
        "for _ in range(512): os.write(1, block); os.write(2, b'x' * len(block))\n"
        "print('last words'); sys.exit(1)\n"
    )
    logs: list[Any] = []
    view = run(tmp_path, command("a", code, max_log=100_000), logs=logs)
    end = view.tasks["a"].attempts[-1].finished_event
    assert states(view) == {"a": "failed"}
    assert "exit code 1" in end.failure.message
    assert (end.failure.exit_code, end.failure.signal) == (1, None)
    assert len(end.failure.message) < 50_000
    assert end.resources.peak_rss_bytes < 300e6
    assert len(json.dumps([str(item) for item in logs])) < 1e6
    written = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert written < 5e6, "what the command printed is on the disk"
    dropped = [str(item) for item in logs if "more than max_log" in str(item)]
    assert len(dropped) == 2


def test_what_a_command_prints_is_in_the_log_while_it_runs(tmp_path: Path) -> None:
    """The command waits for an answer to what it has printed."""
    answer = tmp_path / "answer"
    code = (
        "import pathlib, sys, time\n"
        "print('is anybody there?', flush=True)\n"
        "for _ in range(300):\n"
        "    if pathlib.Path(sys.argv[1]).exists():\n"
        "        pathlib.Path('out.txt').write_text('heard')\n"
        "        sys.exit()\n"
        "    time.sleep(0.1)\n"
        "sys.exit('nobody')\n"
    )

    def hear(item: Any) -> None:
        if "is anybody there?" in str(item):
            answer.touch()

    view = run(tmp_path, command("a", code, str(answer)), on_log=hear)
    assert states(view) == {"a": "ok"}
    assert shown(tmp_path, "a") == "heard"


def test_a_command_that_fails_leaves_nothing_in_the_store(tmp_path: Path) -> None:
    """Neither an output that was made before it failed, nor one of two that it should make."""
    secret = "half a product, 0x6b1d"
    fails = f"import sys; open('out.txt', 'w').write('{secret}'); sys.exit(3)"
    lacks = f"open('out.txt', 'w').write('{secret}')"
    outputs = {"out": "out.txt", "more": "more.txt"}
    view = run(tmp_path, command("a", fails), command("b", lacks, outputs=outputs))
    assert states(view) == {"a": "failed", "b": "failed"}
    kept = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert not [path for path in kept if secret.encode() in path.read_bytes()]
    assert not list((tmp_path / "run" / "products").rglob("out.txt"))


@pytest.mark.parametrize(
    "name", ["a b.txt", "caf\u00e9.txt", "$x;'\"\\.txt", "\u2028.txt", "x" * 200]
)
def test_strange_names_are_kept(tmp_path: Path, name: str) -> None:
    code = "import sys; open(sys.argv[1], 'w').write(sys.argv[1])"
    view = run(
        tmp_path,
        command("a", code, "${outputs.out}", outputs={"out": name}),
        command("b", JOIN, "${inputs.x}", wired={"x": ("a",)}),
    )
    assert states(view) == {"a": "ok", "b": "ok"}
    assert shown(tmp_path, "b") == name
    folder = tmp_path / "run" / "products" / "a" / "out"
    assert [path.name for path in folder.iterdir()] == [name]


def test_a_command_that_was_killed_says_by_what(tmp_path: Path) -> None:
    view = run(tmp_path, command("a", "import os; os.kill(os.getpid(), 9)"))
    failure = view.tasks["a"].attempts[-1].finished_event.failure
    assert "SIGKILL" in failure.message
    assert (failure.exit_code, failure.signal) == (None, 9)
