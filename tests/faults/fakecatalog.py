"""A catalogue, formats and plans of plain Python: workers load them by import string.

One step type, ``act``, does what its settings say; products of kind ``text`` are text files.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from gpwf.core.digests import Digest, digest_bytes
from gpwf.core.plan import Plan, PlannedFile, PlannedStep, Task, TaskOutput
from gpwf.core.spec import Port, StepPolicy
from gpwf.errors import NoDataError, StepError, TransientStepError

OUT = Port(name="text", kind="text")
IN = Port(name="texts", kind="text", multiple=True, optional=True)


def prepare() -> None:
    """Import once in the fork server what every worker needs."""
    import gpwf.steps.base  # noqa: F401


def prepare_for_two_seconds() -> None:
    """Take longer than some tasks may."""
    time.sleep(2.0)


def prepare_slowly() -> None:
    """Take for ever, like a large import from a slow disk."""
    _count(os.environ["FAKE_PREPARE_MARK"])
    time.sleep(600)


# ---- steps -------------------------------------------------------------------------------------


class Settings:
    """Stands for a pydantic model."""

    @classmethod
    def model_validate(cls, data: Mapping[str, Any]) -> SimpleNamespace:
        return SimpleNamespace(**{"do": "", "say": "", "file": "", "times": 0, **data})


def _count(path: str) -> int:
    """Append a line to a file and return how many there are now."""
    with Path(path).open("a") as stream:
        stream.write(f"{os.getpid()}\n")
    return len(Path(path).read_text().splitlines())


def _note(settings: Any, ctx: Any) -> None:
    """Leave a line that tells that this task ran, however short it lived."""
    handle = os.open(settings.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(handle, f"{settings.say}\n".encode())
    os.close(handle)
    time.sleep(settings.times)


def _die(settings: Any, ctx: Any) -> None:
    if _count(settings.file) <= settings.times:
        os.kill(os.getpid(), signal.SIGKILL)


def _crash(settings: Any, ctx: Any) -> None:
    import ctypes

    ctypes.string_at(0)


def _transient(settings: Any, ctx: Any) -> None:
    if _count(settings.file) <= settings.times:
        raise TransientStepError("the server is busy")


def _sleep(settings: Any, ctx: Any) -> None:
    _count(settings.file)
    time.sleep(settings.times)


def _stubborn(settings: Any, ctx: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _sleep(settings, ctx)


def _family(settings: Any, ctx: Any) -> None:
    """Start a child, and a grandchild that leaves the session, then sleep."""
    code = "import os, sys, time; os.setsid() if sys.argv[1] == '1' else None; time.sleep(600)"
    pids = [subprocess.Popen([sys.executable, "-c", code, leave]).pid for leave in ("0", "1")]
    Path(settings.file).write_text(" ".join(map(str, [os.getpid(), *pids])) + "\n")
    time.sleep(settings.times)


def _daemon(settings: Any, ctx: Any) -> None:
    """Leave a process with a session of its own, forked twice, that ignores SIGTERM and SIGHUP."""
    code = (
        "import os, signal, sys, time\n"
        "if os.fork(): os._exit(0)\n"
        "os.setsid()\n"
        "if os.fork(): os._exit(0)\n"
        "for number in (signal.SIGTERM, signal.SIGHUP): signal.signal(number, signal.SIG_IGN)\n"
        "open(sys.argv[1], 'a').write(f'{os.getpid()}\\n')\n"
        "time.sleep(600)\n"
    )
    subprocess.run([sys.executable, "-c", code, settings.file], check=True)
    while not Path(settings.file).exists():
        time.sleep(0.01)
    time.sleep(settings.times)


def _talk(settings: Any, ctx: Any) -> None:
    print("printed line")
    os.system("echo from a child")
    logging.getLogger("gammapy.fake").info("logged %s", "line")
    warnings.warn("warned line", UserWarning, stacklevel=1)
    ctx.progress(1, 2, "half")
    ctx.progress(2, 2, "all")


def _raise(error: Exception) -> Callable[[Any, Any], None]:
    def act(settings: Any, ctx: Any) -> None:
        raise error

    return act


def _swell(settings: Any, ctx: Any) -> None:
    """Let a child take much memory, then sleep."""
    code = f"x = b'x' * {settings.times * 2**20}; import time; time.sleep(600)"
    child = subprocess.Popen([sys.executable, "-c", code])
    Path(settings.file).write_text(f"{os.getpid()}\n{child.pid}\n")
    time.sleep(600)


def _overwrite(settings: Any, ctx: Any) -> None:
    Path(settings.file).write_text("changed while the step was reading")


_ACTS: dict[str, Callable[[Any, Any], Any]] = {
    "": lambda settings, ctx: None,
    "count": lambda settings, ctx: _count(settings.file),
    "note": _note,
    "die": _die,
    "crash": _crash,
    "transient": _transient,
    "sleep": _sleep,
    "stubborn": _stubborn,
    "family": _family,
    "daemon": _daemon,
    "talk": _talk,
    "bug": _raise(ValueError("division of nothing")),
    "step-error": _raise(StepError("no such source", hint="name one of the model's sources")),
    "no-data": _raise(NoDataError("no observation is left")),
    "overwrite": _overwrite,
    "swell": _swell,
    "fill": lambda settings, ctx: len(b"x" * (settings.times * 2**20)),
    "nothing": lambda settings, ctx: None,
    "sys-exit": lambda settings, ctx: sys.exit("enough"),
    "exit": lambda settings, ctx: os._exit(7),
}


class Act:
    """The step type."""

    Settings = Settings
    takes = "objects"

    def run(self, settings: Any, inputs: Mapping[str, Any], ctx: Any) -> Mapping[str, Any]:
        _ACTS[settings.do](settings, ctx)
        if settings.do == "nothing":
            return {}
        return {"text": "+".join([settings.say, *inputs.get("texts", [])])}


class Catalog:
    def step(self, tag: str) -> Act:
        assert tag == "act"
        return Act()


def load_catalog() -> Catalog:
    return Catalog()


class Scalar:
    """Like a scalar of numpy: no plain number."""

    def __init__(self, value: int) -> None:
        self._value = value

    def item(self) -> int:
        return self._value


# ---- formats -----------------------------------------------------------------------------------


#: Names that a file of a product may have on Linux.
STRANGE = (
    "new\nline.txt",
    "'single' \"double\" `back`.txt",
    "caf\u00e9.txt",
    "cafe\u0301.txt",
    "-rf.txt",
    "$(touch x);&|<>*?.txt",
    "\u202eright to left.txt",
    "x" * 251 + ".txt",
    ".hidden",
    "con.",
    " ",
)


def write(kind: str, value: Any, directory: Path, card: Mapping[str, str]) -> Mapping[str, Any]:
    if value == "strange names":
        for name in STRANGE:
            (directory / name).write_text(name)
    if value == "undecodable name":
        Path(os.fsdecode(os.fsencode(directory) + b"/\xff\xfe.txt")).write_text("bytes")
    if value == "a link":
        (directory / "value.txt").symlink_to("/etc/hostname")
        return {}
    (directory / "value.txt").write_text(f"{card['GPWFPORT']}\n{value}")
    (directory / "more").mkdir()
    (directory / "more" / "length.txt").write_text(str(len(value)))
    return {"length": Scalar(len(value))}


def read(kind: str, directory: Path, locate: Callable[[Digest], Path]) -> Any:
    return (directory / "value.txt").read_text().partition("\n")[2]


def keep(kind: str, value: Any) -> None:
    """Keep nothing in memory."""


hand_on = keep


# ---- plans -------------------------------------------------------------------------------------


def task(
    name: str,
    *upstream: str,
    retries: int = 0,
    timeout_s: float | None = None,
    memory_bytes: int | None = None,
    reads: Path | None = None,
    **settings: Any,
) -> Task:
    """Return a task that acts by its settings and joins the texts of its upstream tasks."""
    files = ()
    if reads is not None:
        data = reads.read_bytes()
        files = (
            PlannedFile(
                setting="file",
                name=reads.name,
                path=str(reads),
                digest=digest_bytes(data),
                size=len(data),
            ),
        )
    return Task(
        id=name,
        step=name,
        tag="act",
        version="1",
        settings={"say": name, **settings},
        types={"file": "path"},
        origins={},
        inputs={"texts": tuple(TaskOutput(task=up, product="text") for up in upstream)}
        if upstream
        else {},
        input_ports=(IN,),
        output_ports=(OUT,),
        files=files,
        policy=StepPolicy(retries=retries, timeout_s=timeout_s, memory_bytes=memory_bytes),
    )


def plan(*tasks: Task) -> Plan:
    """Return a plan of these tasks."""
    return Plan(
        name="fake",
        workflow_digest=digest_bytes(b"fake"),
        tasks=tasks,
        steps=tuple(PlannedStep(name=item.step, tag="act", title="Act") for item in tasks),
    )
