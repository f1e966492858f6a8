"""What was to be done: workflows, steps, tools and their parameters in a crate.

References
----------
Provenance Run Crate 0.5, https://w3id.org/ro/wfrun/provenance/0.5
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from gpwf.core.plan import Plan, PlannedStep
from gpwf.prov.crate_graph import CrateGraph, fragment, ref
from gpwf.prov.crate_record import ArchivedRecord, Item
from gpwf.prov.crate_software import distribution_id

__all__ = ["WORKFLOW", "CrateWorkflow"]

#: Name of the workflow's document in the crate.
WORKFLOW = "workflow.yaml"

_LANGUAGE = "#language-gpwf"


class CrateWorkflow:
    """The workflow and, inside it, those that it includes.

    A tool is one declared step with its code, not a step type: parameters are connected step by
    step, and two steps of one type would share what belongs to one of them.

    Parameters
    ----------
    graph : CrateGraph
        Where the entities go.
    plan : Plan
        The plan of the run.
    record : ArchivedRecord
        Its record.
    ran : set of str
        Steps of which there is an attempt. The profile asks that a tool was used; a step that
        was left out is there, but its tool is no part of the workflow.

    Attributes
    ----------
    nested : list of str
        Included workflows of which a step ran, the innermost first.
    """

    def __init__(
        self, graph: CrateGraph, plan: Plan, record: ArchivedRecord, ran: set[str]
    ) -> None:
        self._graph = graph
        self._plan = plan
        self._ran = ran
        self._formal: dict[str, set[str]] = defaultdict(set)
        self._declared = {step.name: step for step in plan.steps}
        self._code = {
            str(item.get("name")): item
            for item in record.of_type("wfdesc:Process")
            if item.get("name")
        }
        self._names = list(dict.fromkeys([*self._declared, *self._code]))
        self._up = _step_edges(plan)
        self._depths: dict[str, int] = {}
        self.nested = _nested(self._names, ran)
        self._add_main(record)
        for name in self._names:
            self._add_step(name)

    @staticmethod
    def step_id(name: str) -> str:
        """Return the name in the crate of a step."""
        return fragment("step", name)

    @staticmethod
    def tool_id(name: str) -> str:
        """Return the name in the crate of what carries a step out."""
        return fragment("tool", name)

    @staticmethod
    def workflow_id(name: str) -> str:
        """Return the name in the crate of an included workflow; of the main one for ""."""
        return fragment("workflow", name) if name else WORKFLOW

    def formal(self, owner: str, name: str, direction: str, kind: str) -> str:
        """Return a formal parameter of a tool or workflow, added where it is new.

        Parameters
        ----------
        owner : str
            Name of tool or workflow in the crate.
        name : str
            Name of the setting or port.
        direction : str
            ``input`` or ``output``.
        kind : str
            What it takes: a type of schema.org.
        """
        label = owner.removeprefix("#").removeprefix("tool-")
        known = fragment("parameter", label, direction, name)
        self._formal[known].add(kind)
        if known not in self._graph:
            self._graph.add(known, "FormalParameter", name=name)
            self._graph.link(owner, direction, known)
        return known

    def finish(self, outputs: Iterable[tuple[str, str, str]]) -> None:
        """Add what is known only when all parameters are: their types and connections.

        Parameters
        ----------
        outputs : iterable of (str, str, str)
            Step, port and name of every named result.
        """
        for name, kinds in self._formal.items():
            self._graph[name]["additionalType"] = sorted(kinds)
        seen: set[tuple[str, ...]] = set()
        for task in self._plan.tasks:
            for port, wires in task.inputs.items():
                for wire in wires:
                    source = self._plan.task(wire.task)
                    edge = (source.step, wire.product, task.step, port)
                    if edge not in seen:
                        seen.add(edge)
                        self._connect_steps(*edge)
        for step, port, output in outputs:
            self._connect(
                WORKFLOW,
                fragment("parameter", step, "output", port),
                fragment("parameter", WORKFLOW, "output", output),
            )

    def _connect_steps(self, source: str, product: str, target: str, port: str) -> None:
        self._connect(
            self.step_id(target),
            fragment("parameter", source, "output", product),
            fragment("parameter", target, "input", port),
        )

    def _connect(self, owner: str, source: str, target: str) -> None:
        if source not in self._formal or target not in self._formal:
            return  # one of the two never had a value
        parts = (source.removeprefix("#parameter-"), target.removeprefix("#parameter-"))
        name = f"#connection-{parts[0]}--{parts[1]}"
        self._graph.add(
            name, "ParameterConnection", sourceParameter=ref(source), targetParameter=ref(target)
        )
        self._graph.link(owner, "connection", name)

    # ---- workflows --------------------------------------------------------------------------

    def _add_main(self, record: ArchivedRecord) -> None:
        plan, text = self._plan, next(record.of_type("wfdesc:Workflow"), Item("", {}))
        self._graph.add(
            _LANGUAGE,
            "ComputerLanguage",
            name="gpwf workflow language",
            alternateName="gpwf",
            version=str(plan.language),
            identifier=f"urn:gpwf:language-{plan.language}",
        )
        version = plan.metadata.get("version") or plan.workflow_digest[:12]
        self._graph.add(
            WORKFLOW,
            ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
            name=plan.name,
            description=plan.description,
            version=str(version),
            url=f"urn:gpwf:{text.id}" if text.id else f"urn:sha256:{plan.workflow_digest}",
            programmingLanguage=ref(_LANGUAGE),
            conformsTo=ref("https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"),
        )

    def _add_nested(self, name: str) -> None:
        """Add an included workflow, which is a tool of the one that includes it."""
        known = self.workflow_id(name)
        if known in self._graph:
            return
        self._graph.add(
            known,
            ["SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
            name=name,
            description=f"Workflow that step {name} includes",
            version=self._plan.workflow_digest[:12],
            url=f"urn:gpwf:plan-sha256-{self._plan.workflow_digest}",
            programmingLanguage=ref(_LANGUAGE),
        )
        self._add_to_parent(name, known)

    # ---- steps ------------------------------------------------------------------------------

    def _add_step(self, name: str) -> None:
        parents = _parents(name)
        if any(parent in self.nested for parent in parents):
            for parent in reversed(parents):
                self._add_nested(parent)
        elif parents:
            return  # nothing of the included workflow ran: there is nothing to tell of its parts
        self._add_tool(name)
        self._add_to_parent(name, self.tool_id(name))

    def _add_to_parent(self, name: str, tool: str) -> None:
        declared = self._declared.get(name)
        parent = self.workflow_id(name.rpartition("/")[0])
        step = self._graph.add(
            self.step_id(name),
            "HowToStep",
            name=name.rpartition("/")[2],
            description=_about(declared) if declared else "",
            position=str(self._depth(name)),
            workExample=ref(tool),
        )
        self._graph.link(parent, "step", step)
        if name in self._ran or name in self.nested:
            self._graph.link(parent, "hasPart", tool)

    def _add_tool(self, name: str) -> None:
        code, declared = self._code.get(name), self._declared.get(name)
        tag = str(code.get("tag")) if code else declared.tag if declared else name
        version = str(code.get("version") or "1") if code else "1"
        address = "urn:gpwf:step-type:" + tag
        details = [f"step type {tag}, version {version}"]
        if code and code.get("module"):
            package = (str(code.get("package")), str(code.get("packageVersion")))
            module = str(code.get("module")).replace(".", "/")
            address = f"{distribution_id(*package)}#{module}"
            details += [
                f"module {code.get('module')}",
                f"source SHA-256 {code.get('sourceDigest')}",
            ]
        if code and code.get("callable"):
            details.append(f"function {code.get('callable')}")
        self._graph.add(
            self.tool_id(name),
            "SoftwareApplication",
            name=f"{name} ({tag})",
            description="; ".join([str(code.get("title")) if code else "", *details]).lstrip("; "),
            softwareVersion=version,
            url=address,
            identifier=f"urn:gpwf:{code.id}" if code else None,
        )

    def _depth(self, name: str) -> int:
        """Return how many steps come one after the other before a step, which is its position."""
        found = self._depths.get(name)
        if found is None:
            self._depths[name] = 0  # of a circle, which only a foreign plan can have
            inside = {step for step in self._up if step == name or step.startswith(f"{name}/")}
            before = {up for step in inside for up in self._up[step]} - inside
            found = max((self._depth(_beside(up, name)) + 1 for up in before), default=0)
            self._depths[name] = found
        return found


def _beside(step: str, name: str) -> str:
    """Return the step, or the included workflow it is in, that stands at the level of a name."""
    level = name.count("/") + 1
    return "/".join(step.split("/")[:level])


def _parents(name: str) -> list[str]:
    """Return the included workflows around a step, the innermost first."""
    found = []
    while "/" in name:
        name = name.rpartition("/")[0]
        found.append(name)
    return found


def _nested(names: Iterable[str], ran: set[str]) -> list[str]:
    found = {parent for name in names if name in ran for parent in _parents(name)}
    return sorted(found, key=lambda name: (-name.count("/"), name))


def _about(step: PlannedStep) -> str:
    axes = ", ".join(f"{axis}={n}" for axis, n in step.axes.items())
    parts = [
        step.description or step.title,
        f"runs at {step.n_points} places: {axes}" if axes else "",
    ]
    return "; ".join(filter(None, parts))


def _step_edges(plan: Plan) -> dict[str, set[str]]:
    """Return the steps that each step needs."""
    edges: dict[str, set[str]] = {step.name: set() for step in plan.steps}
    for task in plan.tasks:
        needed = edges.setdefault(task.step, set())
        needed.update(plan.task(up).step for up in task.upstream)
    for alias in plan.aliases:
        edges.setdefault(alias.step, set()).update(edges.get(plan.task(alias.task).step, ()))
    for step, needed in edges.items():
        needed.discard(step)
    return edges
