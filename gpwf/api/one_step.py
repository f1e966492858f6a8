"""One step alone: made into a workflow of its own, checked and run as any other."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from gpwf.api.runs import Run, open_run
from gpwf.api.step_inputs import find_port, source_of
from gpwf.api.workflow import Workflow
from gpwf.core.diagnostics import Severity
from gpwf.core.runs import RunState
from gpwf.errors import DocumentError, UsageError
from gpwf.store.atomic import write_atomic
from gpwf.store.places import STORE_FOLDER, named_store

if TYPE_CHECKING:
    from gpwf.core.spec import Port
    from gpwf.lang.one_step import StepDraft

__all__ = ["OneStep"]

_DOCUMENT = "step.gpwf.yaml"
_RUN = "run"


class OneStep:
    """A step with its settings and inputs.

    Parameters
    ----------
    tag : str
        Step type.
    output : Path
        Folder for the products (a link for each, by the name of the port), the workflow that the
        step was made into (``step.gpwf.yaml``) and the run (``run``) with its record.
    name : str, optional
        Name of the step; the tag by default.
    config_file : Path, optional
        YAML file with settings; paths in it count from its folder.
    sets : sequence of (str, str)
        Single settings by dotted path, as text; stronger than the file. Paths count from the
        folder of the file of settings, from the current folder where there is none.
    inputs : sequence of (str, str)
        Input ports, each with a path: the folder of a product, or a file; several times for an
        input that takes several. With ``source_run`` also ``STEP.PRODUCT``.
    source_run : str or Path, optional
        Run that these are products of.
    store : Path, optional
        Folder of the store; that of the run, or ``.gpwf`` in the current folder by default.

    Raises
    ------
    UsageError
        Where there is no such step type or run.
    """

    def __init__(
        self,
        tag: str,
        *,
        output: str | Path,
        name: str | None = None,
        config_file: str | Path | None = None,
        sets: Sequence[tuple[str, str]] = (),
        inputs: Sequence[tuple[str, str]] = (),
        source_run: str | Path | None = None,
        store: str | Path | None = None,
    ) -> None:
        from gpwf.steps.registry import load_catalog

        self._catalog = load_catalog()
        self._catalog.step(tag)
        self._tag = tag
        self._name = name or tag
        self._output = Path(output)
        self._config_file = Path(config_file) if config_file is not None else None
        self._sets = tuple(sets)
        self._inputs = tuple(inputs)
        self._run = open_run(source_run) if source_run is not None else None
        self._store = Path(store) if store is not None else None

    def check(self) -> str:
        """Return the workflow that the step is made into, when everything is right.

        Raises
        ------
        DocumentError
            With every problem of the settings, and every input file that is not there.
        UsageError
            For an input that the step does not have, or that is missing.
        """
        return self._document

    def run(
        self, *, jobs: int | None = None, console: str = "off", command: Sequence[str] = ()
    ) -> Run:
        """Run the step.

        Parameters
        ----------
        jobs, console, command
            See `gpwf.api.workflow.Workflow.run`.

        Returns
        -------
        Run
            Whatever its end.

        Raises
        ------
        DocumentError, UsageError, StoreError, RunError
            Before anything runs.
        """
        text = self._document
        self._refuse_foreign()
        try:
            self._output.mkdir(parents=True, exist_ok=True)
            path = self._output / _DOCUMENT
            write_atomic(path, text.encode())
        except OSError as error:
            raise UsageError(f"{self._output} cannot be written: {error.strerror}") from None
        workflow = Workflow(path, params={}, sets=(), profile=None)
        run = workflow.run(
            jobs=jobs,
            store=self._place_of_store(),
            run_dir=self._output / _RUN,
            console=console,
            command=command,
        )
        self._show(run)
        return run

    @cached_property
    def _document(self) -> str:
        """The workflow, checked."""
        from gpwf.compiler.inputs import missing_inputs
        from gpwf.lang.one_step import check_step

        checked = check_step(self._draft(), self._catalog)
        problems = list(checked.problems)
        if checked.spec is not None:
            problems += missing_inputs(checked.spec, self._catalog)
        if checked.spec is None or any(item.severity is Severity.ERROR for item in problems):
            raise DocumentError(problems)
        return checked.text

    def _draft(self) -> StepDraft:
        """Return the step with the steps that bring its inputs."""
        from gpwf.lang.one_step import StepDraft, step_ports

        draft = StepDraft(
            tag=self._tag, name=self._name, config_file=self._config_file, sets=self._sets
        )
        ports = step_ports(draft, self._catalog)
        if ports is None:  # what is wrong with the settings is told with the rest
            ports = self._catalog.step(self._tag).input_ports
        sources = []
        inputs: dict[str, list[str]] = {port.name: [] for port in ports if port.name != "*"}
        for name, text in self._inputs:
            port = find_port(self._tag, name, ports)
            found = source_of(name, port.kind, text, self._run)
            before = len(inputs.get(name, ()))
            step = f"input-{name.replace('_', '-')}" + (f"-{before + 1}" if before else "")
            sources.append({"name": step, "tag": found.tag, "config": dict(found.config)})
            inputs.setdefault(name, []).append(f"{step}.{found.product}")
        self._refuse_missing(ports, inputs)
        return StepDraft(
            tag=self._tag,
            name=self._name,
            config_file=self._config_file,
            sets=self._sets,
            sources=sources,
            inputs=inputs,
        )

    def _refuse_missing(self, ports: Sequence[Port], inputs: dict[str, list[str]]) -> None:
        missing = [
            port
            for port in ports
            if port.name != "*" and not port.optional and not inputs[port.name]
        ]
        if missing:
            names = ", ".join(f"{port.name} ({port.kind})" for port in missing)
            example = " ".join(f"--input {port.name}=PATH" for port in missing)
            raise UsageError(
                f"the step {self._tag} needs the inputs {names}", hint=f"add {example}"
            )

    def _place_of_store(self) -> Path:
        if self._store is not None:
            return self._store
        if self._run is not None:
            return self._run.store
        return named_store() or Path.cwd() / STORE_FOLDER

    def _refuse_foreign(self) -> None:
        """Refuse a folder in which something else lies."""
        if self._output.exists() and not self._output.is_dir():
            raise UsageError(f"{self._output} is a file", hint="give another folder with -o")
        names = [item.name for item in self._output.iterdir()] if self._output.is_dir() else []
        if names and _DOCUMENT not in names:
            raise UsageError(
                f"{self._output} is not empty: it has {min(names)}",
                hint="give a new folder with -o, or that of an earlier `gpwf step run`",
            )

    def _show(self, run: Run) -> None:
        """Link to the products under the names of their ports."""
        latest = self._output / "latest"  # there is but one run here
        if latest.is_symlink():
            latest.unlink()
        for entry in self._output.iterdir():
            if entry.is_symlink() and f"{_RUN}/products/" in str(entry.readlink()):
                entry.unlink()  # of an earlier run
        if run.state is not RunState.OK:
            return
        for name, product in run[self._name].items():
            place = self._output / name
            if place.exists() or place.is_symlink():
                continue
            target = os.path.relpath(product.folder, self._output)
            try:
                place.symlink_to(target, target_is_directory=True)
            except OSError:  # no links on this file system
                shutil.copytree(product.folder, place)
