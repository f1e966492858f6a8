"""A workflow as a picture: text for the terminal, Mermaid, and DOT for Graphviz."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpwf.core.plan import Plan
from gpwf.core.spec import WorkflowSpec
from gpwf.errors import UsageError
from gpwf.report.text import clean, one_line

if TYPE_CHECKING:
    import graphviz

__all__ = [
    "IMAGE_FORMATS",
    "Drawing",
    "Link",
    "Node",
    "dot",
    "mermaid",
    "of_plan",
    "of_spec",
    "text_tree",
    "write",
]

#: Formats that the `dot` program of Graphviz makes.
IMAGE_FORMATS = ("svg", "png", "pdf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A step or a task. ``outputs`` are pairs of product name and kind."""

    id: str
    tag: str
    count: int = 1
    outputs: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """``product`` of ``source`` goes to ``port`` of ``target``; both empty for ``after``."""

    source: str
    target: str
    product: str = ""
    port: str = ""

    @property
    def label(self) -> str:
        """Name of what goes along the link."""
        if self.product == self.port:
            return self.product
        return f"{self.product} → {self.port}"


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
    for step in spec.steps:
        for port, refs in step.inputs.items():
            links += [
                Link(source=ref.step, target=step.name, product=ref.product, port=port)
                for ref in refs
            ]
        links += [Link(source=name, target=step.name) for name in step.after]
    return Drawing(
        name=spec.name,
        nodes=tuple(
            Node(id=step.name, tag=step.tag, outputs=tuple(step.outputs.items()))
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
    for node in drawing.nodes:
        tag = f"  [{one_line(node.tag)}]" if node.tag != node.id else ""
        lines += ["", f"{one_line(node.id)}{tag}"]
        branches = list(_branches(drawing, node))
        for index, branch in enumerate(branches):
            lines.append(f"{'└─' if index == len(branches) - 1 else '├─'} {one_line(branch)}")
    return "\n".join(lines)


def _branches(drawing: Drawing, node: Node) -> Iterator[str]:
    for product, kind in node.outputs:
        takers = [
            f"{link.target}.{link.port}"
            for link in drawing.links
            if link.source == node.id and link.product == product
        ]
        takers += [
            f"output {name}"
            for name, source, made in drawing.results
            if source == node.id and made == product
        ]
        shown = product if product.replace("_", "-") == kind else f"{product} ({kind})"
        yield f"{shown} → {', '.join(takers)}" if takers else shown
    later = [link.target for link in drawing.links if link.source == node.id and not link.product]
    if later:
        yield f"before {', '.join(later)}"


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
    for node in drawing.nodes:
        label = _mermaid_text(node.id)
        if node.tag != node.id:
            label += f"<br/>{_mermaid_text(node.tag)}"
        lines.append(f'    {ids[node.id]}["{label}"]')
    for link in drawing.links:
        arrow = f'-- "{_mermaid_text(link.label)}" -->' if link.product else "-.->"
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
    for node in drawing.nodes:
        lines = (node.id,) if node.tag == node.id else (node.id, node.tag)
        graph.node(ids[node.id], label=text(*lines))
    for link in drawing.links:
        style = {"label": text(f" {link.label} ")} if link.product else {"style": "dashed"}
        graph.edge(ids[link.source], ids[link.target], **style)
    for index, (name, source, product) in enumerate(drawing.results):
        graph.node(f"o{index}", label=text(name), shape="oval", fillcolor="#fdf3dc")
        graph.edge(ids[source], f"o{index}", label=text(f" {product} "))
    return graph


def write(drawing: Drawing, path: Path) -> None:
    """Write the drawing in the format that the suffix names.

    Raises
    ------
    UsageError
        For a suffix that is not known, a file that cannot be written, and for an image where the
        program `dot` is missing.
    """
    suffix = path.suffix.removeprefix(".").lower()
    if suffix == "mmd":
        data = mermaid(drawing).encode()
    elif suffix == "dot":
        data = str(dot(drawing).source).encode()
    elif suffix in IMAGE_FORMATS:
        data = _image(drawing, suffix)
    else:
        raise UsageError(
            f"{path}: cannot tell a format from the suffix {path.suffix!r}",
            hint="use .svg, .png, .pdf, .dot or .mmd",
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
            "graphviz), or use .dot or .mmd, which need nothing",
        ) from error
