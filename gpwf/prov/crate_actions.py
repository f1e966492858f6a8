"""What was done: the run, its attempts and who carried them out, in a crate.

References
----------
Provenance Run Crate 0.5, https://w3id.org/ro/wfrun/provenance/0.5; its actions are those of
schema.org. Units are named after QUDT, https://qudt.org
"""

from __future__ import annotations

import json
import shlex
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from gpwf.prov.crate_data import ROOT, CrateData, parameter_name
from gpwf.prov.crate_graph import CrateGraph, fragment, ref, time_text
from gpwf.prov.crate_record import ArchivedRecord, Item
from gpwf.prov.crate_software import add_distribution
from gpwf.prov.crate_workflow import WORKFLOW, CrateWorkflow

__all__ = ["CrateActions", "steps_of"]

_COMPLETED = "http://schema.org/CompletedActionStatus"
_FAILED = "http://schema.org/FailedActionStatus"
#: Ends of a run or an attempt that are no failure; a task without data is skipped.
_GOOD = frozenset(("ok", "cached", "skipped"))

#: Resource usage: attribute of the record, what it is, unit.
_USAGE = (
    ("wallTime_s", "wall time", "SEC"),
    ("cpuTime_s", "CPU time", "SEC"),
    ("peakMemory_B", "largest memory", "BYTE"),
)


def steps_of(record: ArchivedRecord) -> dict[str, list[str]]:
    """Return the steps that each attempt or use of a cached result carried out, by its name.

    An attempt of an earlier run carried out the steps that took its result.
    """
    names = {item.id: str(item.get("name")) for item in record.steps()}
    found: dict[str, list[str]] = {}
    for item in record.activities.values():
        plans = [names[plan] for plan in record.plans.get(item.id, ()) if names.get(plan)]
        if plans:
            found[item.id] = list(dict.fromkeys(plans))
    for hit in record.cache_hits():
        for maker in record.informants.get(hit.id, ()):
            known = found.setdefault(maker, [])
            known += [step for step in found.get(hit.id, ()) if step not in known]
    return found


class CrateActions:
    """Adds the actions of a run.

    Parameters
    ----------
    graph, record, workflow, data
        The parts of the crate that are there already.
    steps : dict of str to list of str
        As `steps_of` returns them.
    person, engine : str
        Names of who started the run and of what carried it out.
    log : str
        Name of the log in the crate, "" where there is none: what an attempt leaves that made
        nothing else.
    """

    def __init__(
        self,
        graph: CrateGraph,
        record: ArchivedRecord,
        workflow: CrateWorkflow,
        data: CrateData,
        *,
        steps: dict[str, list[str]],
        person: str,
        engine: str,
        log: str,
    ) -> None:
        self._graph = graph
        self._record = record
        self._workflow = workflow
        self._data = data
        self._steps = steps
        self._person = person
        self._engine = engine
        self._log = log
        environment = record.environment
        self._python = set(environment.all("distribution") if environment else ())
        #: Step, port and name of the workflow's results.
        self.outputs: dict[tuple[str, str, str], None] = {}

    @property
    def run_id(self) -> str:
        """Name in the crate of the execution of the workflow."""
        return fragment("run", self._record.run.id.removeprefix("run-"))

    def add_run(self) -> None:
        """Add the execution of the workflow, whose results come with the attempts."""
        run = self._record.run
        state = str(run.get("state"))
        self._graph.add(
            self.run_id,
            "CreateAction",
            name=run.label,
            description=_sentence(f"Run of workflow {run.get('name')}", run),
            instrument=ref(WORKFLOW),
            agent=ref(self._person),
            identifier=f"urn:gpwf:{run.id}",
            **_times(run.start, run.end),
            **_status(state, str(run.get("reason")) or state),
        )
        self._graph.link(ROOT, "mentions", self.run_id)
        for use in self._record.uses.get(run.id, ()):
            if use.role.startswith("in.params."):
                self._take(self.run_id, [WORKFLOW], use.entity, parameter_name(use.role))

    def add_attempts(self) -> None:
        """Add every attempt, and what the engine did for each task."""
        organize = self._graph.add(
            fragment("organize", self._record.run.id.removeprefix("run-")),
            "OrganizeAction",
            name=f"Engine of {self._record.run.label}",
            description=f"Command line: {_command(self._record.run)}",
            agent=ref(self._person),
            instrument=ref(self._engine),
            result=ref(self.run_id),
            **_times(self._record.run.start, self._record.run.end),
            **_status(str(self._record.run.get("state")), str(self._record.run.get("reason"))),
        )
        for attempt in self._record.attempts():
            self._add_attempt(attempt)
        for name, action in self._controls():
            self._graph.link(organize, "object", name)
            self._graph.add(name, "ControlAction", **action)
        for subrun in self._record.subruns():
            self._graph.link(organize, "object", self._add_subrun(subrun))
        self._never_empty(self.run_id)

    # ---- attempts ---------------------------------------------------------------------------

    def _add_attempt(self, attempt: Item) -> None:
        steps = self._steps.get(attempt.id) or [str(attempt.get("step") or attempt.get("tag"))]
        tools = [self._workflow.tool(step) for step in steps]
        state = str(attempt.get("state"))
        name = self._graph.add(
            self._action_id(attempt.id),
            "CreateAction",
            name=attempt.label,
            description=_sentence(self._what(attempt), attempt),
            instrument=[ref(tool) for tool in tools],
            agent=ref(self._person_of(attempt)),
            identifier=f"urn:gpwf:{attempt.id}",
            **_times(attempt.start, attempt.end),
            **_status(state, _error(attempt) or state),
        )
        self._graph.link(ROOT, "mentions", name)
        for use in self._record.uses.get(attempt.id, ()):
            self._take(name, tools, use.entity, parameter_name(use.role))
            if "File" in self._record.entities[use.entity].types:
                self._graph.link(self.run_id, "object", self._data.place(use.entity))
        for made in self._record.made.get(attempt.id, ()):
            types = self._record.entities[made.entity].types
            if "Product" in types:
                self._give(name, tools, made.entity, parameter_name(made.role))
            elif "Log" in types:
                self._graph.link(name, "result", self._data.place(made.entity))
        self._add_usage(name, attempt)
        for tool in tools:
            for text in attempt.all("software"):
                python = text in self._python or not self._python
                known = add_distribution(self._graph, str(text), python=python)
                self._graph.link(tool, "softwareRequirements", known)
        self._never_empty(name)

    def _what(self, attempt: Item) -> str:
        task = attempt.get("task") or attempt.label.partition(",")[0]
        if not self._is_own(attempt):
            run = str(attempt.get("wfprov:wasPartOfWorkflowRun")).removeprefix("run-")
            return f"Task {task}, made by the earlier run {run} and taken from the store"
        return f"Attempt {attempt.get('attempt', 1)} at task {task}"

    def _is_own(self, attempt: Item) -> bool:
        return self._record.run.id in attempt.all("wfprov:wasPartOfWorkflowRun")

    def _person_of(self, attempt: Item) -> str:
        if self._is_own(attempt):
            return self._person
        # the record does not say who started an earlier run
        return self._graph.add(fragment("person", "unknown"), "Person", name="not recorded")

    def _take(self, action: str, owners: Iterable[str], entity: str, name: str) -> None:
        place = self._data.place(entity)
        if place:
            self._graph.link(action, "object", place)
            for owner in owners:
                kind = self._data.types(entity)
                formal = self._workflow.formal(owner, name, "input", kind)
                self._graph.link(place, "exampleOfWork", formal)

    def _give(self, action: str, tools: Iterable[str], entity: str, name: str) -> None:
        place, item = self._data.place(entity), self._record.entities[entity]
        self._graph.link(action, "result", place)
        kind = self._data.types(entity)
        for tool in tools:
            formal = self._workflow.formal(tool, name, "output", kind)
            self._graph.link(place, "exampleOfWork", formal)
        for output in item.all("output"):
            self._graph.link(self.run_id, "result", place)
            formal = self._workflow.formal(WORKFLOW, str(output), "output", kind)
            self._graph.link(place, "exampleOfWork", formal)
            for step in self._steps.get(self._record.makers[entity], ())[:1]:
                self.outputs[step, name, str(output)] = None

    def _add_usage(self, action: str, attempt: Item) -> None:
        for attribute, what, unit in _USAGE:
            value = attempt.get(attribute, None)
            if value is not None:
                usage = self._graph.add(
                    f"{action}-{attribute}",
                    "PropertyValue",
                    name=what,
                    propertyID=f"urn:gpwf:{attribute}",
                    unitCode=f"https://qudt.org/vocab/unit/{unit}",
                    value=value,
                )
                self._graph.link(action, "resourceUsage", usage)

    def _never_empty(self, action: str) -> None:
        """Name what an action gave: the lines in the log where it gave nothing else."""
        if self._graph.linked(action, "result"):
            return
        if self._log:
            self._graph.link(action, "result", self._log)
        else:  # the profile: an action without a result is no CreateAction
            self._graph[action]["@type"] = "ActivateAction"

    # ---- the engine -------------------------------------------------------------------------

    def _controls(self) -> list[tuple[str, dict[str, Any]]]:
        """Return what the engine did for each task: attempts made, or a result taken."""
        groups: dict[tuple[str, str], list[tuple[Item, list[str]]]] = defaultdict(list)
        for item in self._record.activities.values():
            if not self._is_own(item):
                continue
            for step in self._steps.get(item.id, ()):
                groups[step, str(item.get("task"))].append((item, self._made_by(item)))
        return [
            (fragment("control", step, task), self._control(step, task, items))
            for (step, task), items in groups.items()
        ]

    def _control(self, step: str, task: str, items: list[tuple[Item, list[str]]]) -> dict[str, Any]:
        actions = [
            ref(self._action_id(one)) for _, made in items for one in made if self._is_there(one)
        ]
        first, last = items[0][0], items[-1][0]
        state = str(last.get("state"))
        n = "1 attempt" if len(items) == 1 else f"{len(items)} attempts"
        how = "result taken from the store" if state == "cached" else n
        return {
            "name": f"Orchestrate {task}",
            "description": f"Step {step}, task {task}: {how}, {state}",
            "instrument": ref(self._workflow.step_id(step)),
            "object": actions,
            **_times(first.start, last.end),
            **_status(state, _error(last) or state),
        }

    def _is_there(self, activity: str) -> bool:
        return self._action_id(activity) in self._graph

    @staticmethod
    def _action_id(activity: str) -> str:
        return fragment("act", activity.removeprefix("act-"))

    # ---- included workflows -----------------------------------------------------------------

    def _add_subrun(self, subrun: Item) -> str:
        """Add the execution of an included workflow; return what the engine did for it."""
        step, state = str(subrun.get("step")), str(subrun.get("state"))
        parts = list(self._record.parts_of(subrun.id))
        bad = next((item for item in parts if _is_bad_end(item)), None)
        error = f"{bad.label}: {_error(bad) or bad.get('state')}" if bad else state
        times, status = _times(subrun.start, subrun.end), _status(state, error)
        action = self._graph.add(
            fragment(*subrun.id[: subrun.id.find("-") + 17].split("-", 1)),
            "CreateAction",
            name=subrun.label,
            description=_sentence(f"Run of the workflow that step {step} includes", subrun),
            instrument=ref(self._workflow.workflow_id(step)),
            agent=ref(self._person),
            identifier=f"urn:gpwf:{subrun.id}",
            **times,
            **status,
        )
        self._graph.link(ROOT, "mentions", action)
        inside = dict.fromkeys(
            self._action_id(one)
            for item in parts
            for one in self._made_by(item)
            if self._is_there(one)
        )
        made = {place for one in inside for place in self._graph.linked(one, "result")}
        for one in inside:
            for place in self._graph.linked(one, "object"):
                if place not in made:
                    self._graph.link(action, "object", place)
            for place in self._graph.linked(one, "result"):
                self._graph.link(action, "result", place)
        self._never_empty(action)
        return self._graph.add(
            f"{action}-control",
            "ControlAction",
            name=f"Orchestrate {subrun.label.removeprefix('run of ')}",
            description=f"Step {step}, an included workflow: {state}",
            instrument=ref(self._workflow.step_id(step)),
            object=ref(action),
            **times,
            **status,
        )

    def _made_by(self, item: Item) -> list[str]:
        """Return the attempts behind an activity: those that made a cached result, or itself."""
        if "CacheHit" in item.types:
            return self._record.informants.get(item.id, [])
        return [item.id]


def _is_bad_end(attempt: Item) -> bool:
    return not attempt.get("willRetry", False) and str(attempt.get("state")) not in _GOOD


def _command(run: Item) -> str:
    """Return the command line as one would type it."""
    try:
        return shlex.join(map(str, json.loads(str(run.get("command")))))
    except (ValueError, TypeError):
        return str(run.get("command")) or "not recorded"


def _times(start: datetime | None, end: datetime | None) -> dict[str, str | None]:
    return {"startTime": time_text(start), "endTime": time_text(end)}


def _status(state: str, error: str) -> dict[str, str]:
    if state in _GOOD:
        return {"actionStatus": _COMPLETED}
    return {"actionStatus": _FAILED, "error": error or state}


def _error(attempt: Item) -> str:
    parts = [str(attempt.get(key)) for key in ("errorKind", "errorMessage")]
    text = ": ".join(filter(None, parts))
    hint = attempt.get("errorHint")
    return f"{text} ({hint})" if hint else text


def _sentence(what: str, item: Item) -> str:
    """Return a description: what it was, how it ended, at which coordinates."""
    state, reason = str(item.get("state")), str(item.get("reason"))
    places = ", ".join(str(text) for text in item.all("coordinate"))
    parts = [what, f"at {places}" if places else "", state, reason]
    return "; ".join(filter(None, parts))
