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
from gpwf.prov.crate_record import ArchivedRecord
from gpwf.prov.crate_software import distribution_id

__all__ = ["WORKFLOW", "CrateWorkflow"]

#: Name of the workflow's document in the crate.
WORKFLOW = "workflow.yaml"

_LANGUAGE = "#language-gpwf"

#: Step, direction and name.
_Port = tuple[str, str, str]


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
    """

    def __init__(
        self, graph: CrateGraph, plan: Plan, record: ArchivedRecord, ran: set[str]
    ) -> None:
        self._graph = graph
        self._plan = plan
        self._ran = ran
        self._formal: dict[str, set[str]] = defaultdict(set)
        self._declared = {step.name: step for step in plan.steps}
        self._code = {str(item.get("name")): item for item in record.steps() if item.get("name")}
        self._included = record.included()
        self._names = list(dict.fromkeys([*self._declared, *self._code]))
        self._up = _step_edges(plan)
        self._depths: dict[str, int] = {}
        self._ran_inside = {str(item.get("step")) for item in record.subruns()}
        self._add_main(record)
        for name in self._names:
            self._add_step(name)

    def documents(self, places: dict[str, str]) -> None:
        """Say which document an included workflow was read from.

        Parameters
        ----------
        places : dict of str to str
            Names in the crate of the documents by SHA-256.
        """
        for name, item in self._included.items():
            place = places.get(str(item.get("sha256")))
            if place and self.workflow_id(name) in self._graph:
                self._graph.add(self.workflow_id(name), [], isBasedOn=ref(place))

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

    def tool(self, name: str) -> str:
        """Return the name in the crate of a step's tool, added where no plan has the step."""
        known = self.tool_id(name)
        if known not in self._graph:
            self._add_tool(name)
            self._add_to_parent(name, known)
        return known

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
        label = owner.removeprefix("#tool-")
        known = _formal_id(label, direction, name, kind)
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
            self._connect(WORKFLOW, (step, "output", port), (WORKFLOW, "output", output))

    def _connect_steps(self, source: str, product: str, target: str, port: str) -> None:
        owner = self.step_id(target)
        self._connect(owner, (source, "output", product), (target, "input", port))

    def _connect(self, owner: str, source: _Port, target: _Port) -> None:
        for kind in ("File", "Collection"):
            given, taken = _formal_id(*source, kind), _formal_id(*target, kind)
            if given in self._formal and taken in self._formal:  # both had a value
                parts = (given.removeprefix("#parameter-"), taken.removeprefix("#parameter-"))
                name = f"#connection-{parts[0]}--{parts[1]}"
                self._graph.add(
                    name,
                    "ParameterConnection",
                    sourceParameter=ref(given),
                    targetParameter=ref(taken),
                )
                self._graph.link(owner, "connection", name)

    # ---- workflows --------------------------------------------------------------------------

    def _add_main(self, record: ArchivedRecord) -> None:
        plan, text = self._plan, record.workflow
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

    def _add_included(self, name: str) -> None:
        """Add an included workflow, which is a tool of the one that includes it."""
        known, item = self.workflow_id(name), self._included[name]
        if known in self._graph:
            return
        title = str(item.get("title") or name)
        self._graph.add(
            known,
            # no file: two steps may include the same document
            ["SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
            name=title,
            description=str(item.get("description")) or f"The workflow {title} as step {name}",
            version=str(item.get("sha256"))[:12],
            url=f"urn:gpwf:{item.id}",
            programmingLanguage=ref(_LANGUAGE),
        )
        self._add_to_parent(name, known)

    # ---- steps ------------------------------------------------------------------------------

    def _add_step(self, name: str) -> None:
        if name not in self._ran and not self._is_told(name):
            return
        for parent in reversed(self._around(name)):
            self._add_included(parent)
        self._add_tool(name)
        self._add_to_parent(name, self.tool_id(name))

    def _add_to_parent(self, name: str, tool: str) -> None:
        declared = self._declared.get(name)
        around = next(iter(self._around(name)), "")
        parent = self.workflow_id(around)
        step = self._graph.add(
            self.step_id(name),
            "HowToStep",
            name=name.removeprefix(f"{around}/"),
            description=_about(declared) if declared else "",
            position=str(self._depth(name)),
            workExample=ref(tool),
        )
        self._graph.link(parent, "step", step)
        if name in self._ran or name in self._ran_inside:
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
            found = max((self._depth(self._beside(up, name)) + 1 for up in before), default=0)
            self._depths[name] = found
        return found

    def _around(self, name: str) -> list[str]:
        """Return the included workflows with runs that a step is in, the innermost first."""
        return [one for one in _outer(name) if one in self._included and one in self._ran_inside]

    def _is_told(self, name: str) -> bool:
        """Return False for a part of an included workflow of which nothing ran."""
        return all(one in self._ran_inside for one in _outer(name) if one in self._included)

    def _beside(self, step: str, name: str) -> str:
        """Return the step, or the included workflow it is in, that stands beside a name."""
        shared = set(self._around(name))
        return next((one for one in reversed(self._around(step)) if one not in shared), step)


def _formal_id(owner: str, direction: str, name: str, kind: str) -> str:
    """Return the name of a formal parameter.

    A port or a setting that takes files and collections, or a path and the file behind it, is one
    parameter for each: the profile wants the type of all values to be that of the parameter.
    """
    what = kind.lower() if kind in ("File", "Collection") else "value"
    return fragment("parameter", owner, direction, name, what)


def _outer(name: str) -> list[str]:
    """Return the names before each slash of a name, the longest first."""
    parts = name.split("/")
    return ["/".join(parts[:n]) for n in range(len(parts) - 1, 0, -1)]


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
