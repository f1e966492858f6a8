"""A workflow as a picture: text for the terminal, Mermaid, and DOT for Graphviz."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpwf.core.plan import Plan
from gpwf.core.spec import WorkflowSpec
from gpwf.errors import UsageError
from gpwf.report.planned import TIMES
from gpwf.report.text import clean, one_line

if TYPE_CHECKING:
    import graphviz

__all__ = [
    "IMAGE_FORMATS",
    "MOST_NODES",
    "Drawing",
    "Link",
    "Node",
    "check_size",
    "dot",
    "groups",
    "mermaid",
    "of_plan",
    "of_spec",
    "text_tree",
    "write",
]

#: Nodes of a picture, or of the text, that can still be looked at.
MOST_NODES = 500

_SHOWN = 8  # takers of a product on a line of the text

#: Formats that the `dot` program of Graphviz makes.
IMAGE_FORMATS = ("svg", "png", "pdf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A step or a task.

    Parameters
    ----------
    id, tag : str
        Its name and type.
    count : int
        How often it runs; 0 where a condition leaves it out.
    axes : tuple of str
        Axes of its scatter.
    outputs : tuple of (str, str)
        Names and kinds of its products.
    group : str
        Name of the step that is the workflow which it belongs to; empty for none.
    """

    id: str
    tag: str
    count: int = 1
    axes: tuple[str, ...] = ()
    outputs: tuple[tuple[str, str], ...] = ()
    group: str = ""

    @property
    def often(self) -> str:
        """How often it runs, where that is not once, and over which axes."""
        if not self.count:
            return "left out"
        return f"{TIMES}{self.count} [{', '.join(self.axes)}]" if self.axes else ""

    @property
    def shows_tag(self) -> bool:
        """Whether the name leaves the type open."""
        return self.tag != self.id.rpartition("/")[2]

    def title(self, *, inside: bool = False) -> str:
        """Return its name and how often it runs; without the group's name inside its box."""
        name = self.id.removeprefix(f"{self.group}/") if inside and self.group else self.id
        return f"{name} {self.often}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """``product`` of ``source`` goes to ``port`` of ``target``; both empty for ``after``.

    ``gathers`` are the axes that end here.
    """

    source: str
    target: str
    product: str = ""
    port: str = ""
    gathers: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Name of what goes along the link."""
        name = self.product if self.product == self.port else f"{self.product} → {self.port}"
        return f"{name} (gathers {', '.join(self.gathers)})" if self.gathers else name


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """What is drawn: ``noun`` are ``steps`` or ``tasks``, ``results`` (name, node, product)."""

    name: str
    noun: str = "steps"
    nodes: tuple[Node, ...]
    links: tuple[Link, ...]
    results: tuple[tuple[str, str, str], ...] = ()


def of_spec(spec: WorkflowSpec) -> Drawing:
    """Return the drawing of the steps of a workflow; needs no data."""
    links = []
    axes = {step.name: step.axes for step in spec.steps}
    for step in spec.steps:
        for port, refs in step.inputs.items():
            links += [
                Link(
                    source=ref.step,
                    target=step.name,
                    product=ref.product,
                    port=port,
                    gathers=tuple(axis for axis in step.gather if axis in axes[ref.step]),
                )
                for ref in refs
            ]
        links += [Link(source=name, target=step.name) for name in step.after]
    return Drawing(
        name=spec.name,
        nodes=tuple(
            Node(
                id=step.name,
                tag=step.tag,
                count=len(step.points),
                axes=step.axes,
                outputs=tuple(step.outputs.items()),
                group=step.name.rpartition("/")[0],
            )
            for step in spec.steps
        ),
        links=tuple(links),
        results=tuple((name, ref.step, ref.product) for name, ref in spec.outputs.items()),
    )


def of_plan(plan: Plan) -> Drawing:
    """Return the drawing of the tasks of a plan."""
    links = []
    for task in plan.tasks:
        for port, refs in task.inputs.items():
            links += [
                Link(source=ref.task, target=task.id, product=ref.product, port=port)
                for ref in refs
            ]
        links += [Link(source=name, target=task.id) for name in task.after]
    return Drawing(
        name=plan.name,
        noun="tasks",
        nodes=tuple(
            Node(
                id=task.id,
                tag=task.tag,
                outputs=tuple((port.name, port.kind) for port in task.output_ports),
                group=task.step.rpartition("/")[0],
            )
            for task in plan.tasks
        ),
        links=tuple(links),
        results=tuple(
            (name, ref.task, ref.product) for name, refs in plan.outputs.items() for ref in refs
        ),
    )


def text_tree(drawing: Drawing) -> str:
    """Return the drawing as text: every node, its products, and who takes them.

    ::

        fit
        ├─ models → flux-points.models, plot.models
        └─ fit_result
    """
    lines = [f"{one_line(drawing.name)}: {len(drawing.nodes)} {drawing.noun}"]
    takers = _takers(drawing)
    for node in drawing.nodes:
        tag = (
            f"  [{one_line(node.tag)}]" if node.tag not in (node.id, node.id.split("/")[-1]) else ""
        )
        lines += ["", f"{one_line(node.title())}{tag}"]
        branches = list(_branches(node, takers))
        for index, branch in enumerate(branches):
            lines.append(f"{'└─' if index == len(branches) - 1 else '├─'} {one_line(branch)}")
    return "\n".join(lines)


def _takers(drawing: Drawing) -> dict[tuple[str, str], list[str]]:
    """Return who takes a product of a node; with an empty product, who runs after the node."""
    found: dict[tuple[str, str], list[str]] = {}
    for link in drawing.links:
        gathers = f" (gathers {', '.join(link.gathers)})" if link.gathers else ""
        taker = f"{link.target}.{link.port}{gathers}" if link.product else link.target
        found.setdefault((link.source, link.product), []).append(taker)
    for name, source, product in drawing.results:
        found.setdefault((source, product), []).append(f"output {name}")
    return found


def _branches(node: Node, takers: dict[tuple[str, str], list[str]]) -> Iterator[str]:
    for product, kind in node.outputs:
        shown = product if product.replace("_", "-") == kind else f"{product} ({kind})"
        found = takers.get((node.id, product))
        yield f"{shown} → {_some(found)}" if found else shown
    later = takers.get((node.id, ""))
    if later:
        yield f"before {_some(later)}"


def _some(names: list[str]) -> str:
    """Return names for one line: the first of many."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN + 1 else ""
    return ", ".join(names[:_SHOWN] if more else names) + more


def groups(drawing: Drawing) -> dict[str, list[Node]]:
    """Return the nodes by the workflow that they belong to; those of the drawing itself first."""
    found: dict[str, list[Node]] = {"": []}
    for node in drawing.nodes:
        found.setdefault(node.group, []).append(node)
    return found


def _mermaid_text(text: str) -> str:
    """Escape text for a quoted Mermaid label, which knows entities without ``&``."""
    return "".join(
        char if char.isalnum() or char in " _-.,:/→()[]=" else f"#{ord(char)};"
        for char in one_line(text)
    )


def mermaid(drawing: Drawing) -> str:
    """Return the drawing as a Mermaid flow chart, as GitHub and many editors show it."""
    ids = {node.id: f"n{index}" for index, node in enumerate(drawing.nodes)}
    lines = ["flowchart TD"]
    for number, (group, nodes) in enumerate(groups(drawing).items()):
        indent = "    "
        if group:
            lines.append(f'    subgraph g{number}["{_mermaid_text(group)}"]')
            indent *= 2
        for node in nodes:
            label = _mermaid_text(node.title(inside=True))
            if node.shows_tag:
                label += f"<br/>{_mermaid_text(node.tag)}"
            lines.append(f'{indent}{ids[node.id]}["{label}"]')
        if group:
            lines.append("    end")
    for link in drawing.links:
        head = "==" if link.gathers else "--"
        arrow = f'{head} "{_mermaid_text(link.label)}" {head}>' if link.product else "-.->"
        lines.append(f"    {ids[link.source]} {arrow} {ids[link.target]}")
    for index, (name, source, product) in enumerate(drawing.results):
        lines.append(f'    o{index}(["{_mermaid_text(name)}"])')
        lines.append(f'    {ids[source]} -- "{_mermaid_text(product)}" --> o{index}')
    return "\n".join(lines) + "\n"


def dot(drawing: Drawing) -> graphviz.Digraph:
    """Return the drawing for Graphviz; labels are quoted text, never HTML."""
    import graphviz

    def text(*lines: str) -> Any:
        escaped = r"\n".join(graphviz.escape(clean(line).replace("\n", " ")) for line in lines)
        return graphviz.nohtml(escaped)  # or `<…>` would be read as HTML

    graph = graphviz.Digraph(
        name="workflow",
        graph_attr={"rankdir": "TB", "fontname": "Helvetica", "ranksep": "0.45"},
        node_attr={
            "shape": "box",
            "style": "rounded,filled",
            "fillcolor": "#eef3f8",
            "color": "#4a6785",
            "fontname": "Helvetica",
            "fontsize": "11",
        },
        edge_attr={"color": "#7a7a7a", "fontname": "Helvetica", "fontsize": "9"},
    )
    ids = {node.id: f"n{index}" for index, node in enumerate(drawing.nodes)}

    def add(place: graphviz.Digraph, nodes: list[Node]) -> None:
        for node in nodes:
            lines = [node.title(inside=True)]
            if node.shows_tag:
                lines.append(node.tag)
            look = {"peripheries": "2"} if node.count > 1 else {}
            if not node.count:
                look = {"style": "rounded,dashed"}
            place.node(ids[node.id], label=text(*lines), **look)

    for number, (group, nodes) in enumerate(groups(drawing).items()):
        if not group:
            add(graph, nodes)
            continue
        with graph.subgraph(name=f"cluster_{number}") as box:
            box.attr(label=text(group), style="rounded", color="#9aa8b8", fontsize="11")
            add(box, nodes)
    for link in drawing.links:
        style = {"label": text(f" {link.label} ")} if link.product else {"style": "dashed"}
        if link.gathers:
            style["penwidth"] = "2"
        graph.edge(ids[link.source], ids[link.target], **style)
    for index, (name, source, product) in enumerate(drawing.results):
        graph.node(f"o{index}", label=text(name), shape="oval", fillcolor="#fdf3dc")
        graph.edge(ids[source], f"o{index}", label=text(f" {product} "))
    return graph


def check_size(drawing: Drawing) -> None:
    """Refuse a drawing that nobody could look at.

    Raises
    ------
    UsageError
        Where it has too many nodes.
    """
    size = len(drawing.nodes)
    if size > MOST_NODES:
        raise UsageError(
            f"{drawing.name} has {size} {drawing.noun}: more than the {MOST_NODES} that fit a "
            "picture",
            hint="leave --tasks out, choose a part with --target 'STEP[axis=value]', or write "
            ".dot or .mmd, which have no limit",
        )


def write(drawing: Drawing, path: Path) -> None:
    """Write the drawing in the format that the suffix names.

    Raises
    ------
    UsageError
        For a suffix that is not known, a file that cannot be written, and for an image where the
        program `dot` is missing.
    """
    suffix = path.suffix.removeprefix(".").lower()
    if suffix not in ("mmd", "dot"):
        check_size(drawing)
    if suffix == "mmd":
        data = mermaid(drawing).encode()
    elif suffix == "dot":
        data = str(dot(drawing).source).encode()
    elif suffix == "html":
        from gpwf.report.graph_page import page

        data = page(drawing).encode()
    elif suffix in IMAGE_FORMATS:
        data = _image(drawing, suffix)
    else:
        raise UsageError(
            f"{path}: cannot tell a format from the suffix {path.suffix!r}",
            hint="use .svg, .png, .pdf, .html, .dot or .mmd",
        )
    try:
        path.write_bytes(data)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from error


def _image(drawing: Drawing, suffix: str) -> bytes:
    import graphviz

    try:
        return bytes(dot(drawing).pipe(format=suffix))
    except graphviz.ExecutableNotFound as error:
        raise UsageError(
            f"a {suffix} picture needs the program `dot` of Graphviz, which is not on the PATH",
            hint="install Graphviz (apt install graphviz, brew install graphviz, conda install "
            "graphviz), or use .html, .dot or .mmd, which need nothing",
        ) from error
