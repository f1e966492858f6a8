"""The part of the bundled schema that describes a step; see `gpwf.lang.bundle`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpwf.core.catalog import StepCatalog

__all__ = [
    "NAME_MESSAGE",
    "NAME_PATTERN",
    "PARAM_PATTERN",
    "config_schema",
    "include_config",
    "name_schema",
    "policy_keys",
    "reference_schema",
    "step_schema",
    "text_schema",
]

NAME_PATTERN = "^[A-Za-z][A-Za-z0-9_-]*$"
PARAM_PATTERN = "^[A-Za-z_][A-Za-z0-9_]*(-[A-Za-z0-9_]+)*$"
NAME_MESSAGE = "a name begins with a letter and has letters, digits, - and _ only"
_REFERENCE = "^[A-Za-z][A-Za-z0-9_-]*(\\.[A-Za-z][A-Za-z0-9_-]*)?$"
_REFERENCE_MESSAGE = "write step.product, such as fit.models, or a public name"
_SPAN_PATTERN = "^[0-9.]+([eE][-+]?[0-9]+)? *(ms|s|min|h|hr|hour|d|day)$"
_MEMORY_PATTERN = "^[0-9.]+ *([kMGT]i?)?B$"


def name_schema() -> dict[str, Any]:
    """Return what a name must be like."""
    return {"pattern": NAME_PATTERN, "patternErrorMessage": NAME_MESSAGE}


def text_schema(title: str, help_text: str, pattern: str | None = None) -> dict[str, Any]:
    """Return the schema of a text with its title and help."""
    schema: dict[str, Any] = {"title": title, "markdownDescription": help_text, "type": "string"}
    if pattern is not None:
        schema |= {"pattern": pattern, "patternErrorMessage": NAME_MESSAGE}
    return schema


def reference_schema(title: str) -> dict[str, Any]:
    """Return the schema of a reference to a product."""
    return {
        "title": title,
        "type": "string",
        "pattern": _REFERENCE,
        "patternErrorMessage": _REFERENCE_MESSAGE,
        "examples": ["fit.models"],
    }


def policy_keys() -> dict[str, Any]:
    """Keys of a step that do not change its result; shared by steps and profiles."""
    duration = {
        "type": "string",
        "pattern": _SPAN_PATTERN,
        "patternErrorMessage": "a duration has a unit: 30 min, 2 h",
        "examples": ["30 min"],
    }
    return {
        "resources": {
            "title": "Resources",
            "markdownDescription": "What one task of the step needs.",
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "n_jobs": {"title": "Cores", "type": "integer", "minimum": 1},
                "memory": {
                    "title": "Memory",
                    "type": "string",
                    "pattern": _MEMORY_PATTERN,
                    "patternErrorMessage": "memory has a unit: 4 GB, 500 MB",
                    "examples": ["4 GB"],
                },
                "walltime": {"title": "Wall time", **duration},
            },
        },
        "retries": {
            "title": "Retries",
            "markdownDescription": "Attempts after a failure that may pass. Default: `0`.",
            "type": "integer",
            "minimum": 0,
            "maximum": 100,
        },
        "timeout": {
            "title": "Time limit",
            "markdownDescription": "Stop an attempt after this time. Default: none.",
            **duration,
        },
        "on_error": {
            "title": "On error",
            "markdownDescription": "Whether a failure fails the run. Default: `fail`.",
            "enum": ["fail", "continue"],
        },
        "cache": {
            "title": "Cache",
            "markdownDescription": "Take a result that the store has. Default: `true`.",
            "type": "boolean",
        },
        "description": text_schema("Description", "What the step is for."),
    }


def step_schema(catalog: StepCatalog, tags: list[str]) -> dict[str, Any]:
    """One step: common keys once, and one ``if`` per tag that adds the settings.

    ``type: object`` in each ``if`` keeps every branch from firing on an item that is still empty.
    """
    product = reference_schema("Product")
    references = {"title": "Products", "type": "array", "items": product}
    known = [
        {
            "const": tag,
            "title": _INCLUDE_TITLE if tag == "workflow" else catalog.title(tag),
            "markdownDescription": _INCLUDE_HELP if tag == "workflow" else catalog.help(tag),
        }
        for tag in tags
    ]
    return {
        "title": "Step",
        "type": "object",
        "additionalProperties": False,
        "required": ["tag"],
        "properties": {
            "tag": {"title": "Step type", "anyOf": known},
            "name": text_schema("Name", "Unique name of the step. Default: its tag.", NAME_PATTERN),
            "config": {"title": "Settings", "type": "object"},
            "required_products": {
                "title": "Inputs",
                "markdownDescription": (
                    "`{port: step.product}` or a list of public names. A port left out takes the "
                    "only product of its kind above."
                ),
                "type": ["object", "array"],
                "propertyNames": name_schema(),
                "items": product,
                "additionalProperties": {
                    "type": ["string", "array", "null"],
                    "pattern": _REFERENCE,
                    "patternErrorMessage": _REFERENCE_MESSAGE,
                    "items": product,
                },
            },
            "products": {
                "title": "Public names of the products",
                "markdownDescription": "A name, or `{product: name}`.",
                "type": ["string", "object"],
                "pattern": NAME_PATTERN,
                "patternErrorMessage": NAME_MESSAGE,
                "additionalProperties": {"type": "string", **name_schema()},
            },
            "after": {
                **references,
                "title": "After",
                "markdownDescription": "Steps that must end first.",
                "type": ["array", "string"],
                "items": {"type": "string", **name_schema()},
            },
            **_scatter(),
            **policy_keys(),
        },
        "allOf": [
            {
                "if": {
                    "type": "object",
                    "properties": {"tag": _exactly(tag, tags)},
                    "required": ["tag"],
                },
                "then": {"properties": {"config": config_schema(tag)}},
            }
            for tag in tags
        ],
    }


def _exactly(tag: str, tags: Sequence[str]) -> dict[str, Any]:
    """Return the schema of a tag.

    While somebody types, the YAML language server takes the beginning of a constant for the whole:
    it would offer the settings of ``simulate-observations`` under ``simulate``.
    """
    if any(tag != other and tag.startswith(other) for other in tags):
        return {"const": tag, "pattern": f"^{tag}$"}
    return {"const": tag}


def _scatter() -> dict[str, Any]:
    """Keys of a step that make many tasks of it."""
    whole = {"type": ["integer", "string"], "pattern": "^\\$\\{.+\\}$"}
    span = {
        "title": "Range",
        "markdownDescription": "Whole numbers: `{start, count}`. Default of `start`: `0`.",
        "type": "object",
        "additionalProperties": False,
        "required": ["count"],
        "properties": {
            "start": {"title": "First number", **whole},
            "count": {"title": "How many", "minimum": 0, **whole},
        },
    }
    axis = {
        "title": "Values",
        "markdownDescription": "A list, `${tables.NAME}`, or `{range: {start, count}}`.",
        "type": ["array", "object", "string"],
        "pattern": "^\\$\\{.+\\}$",
        "patternErrorMessage": "an axis is a list, ${tables.NAME} or {range: {start, count}}",
        "additionalProperties": False,
        "properties": {"range": span},
        "required": ["range"],
    }
    return {
        "foreach": {
            "title": "Scatter",
            "markdownDescription": (
                "Run the step for every value of an axis: `{axis: values}`. Steps below run for "
                "every value as well, until one gathers the axis. Used as `${axis}`."
            ),
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": PARAM_PATTERN, "patternErrorMessage": NAME_MESSAGE},
            "additionalProperties": axis,
        },
        "gather": {
            "title": "Gather",
            "markdownDescription": "Axes of the inputs that end here: the step takes all values.",
            "type": "array",
            "items": {"type": "string", "minLength": 1},
        },
        "when": {
            "title": "Condition",
            "markdownDescription": (
                "Run the step only where this holds: `true`, `${params.NAME}`, or comparisons "
                "with `and`, `or`, `not`, such as `${params.n} > 3`. What depends on it is left "
                "out too."
            ),
            "type": ["boolean", "string"],
            "examples": ["${params.NAME}", "${params.n} > 3"],
        },
    }


_INCLUDE_TITLE = "Another workflow as a step"
_INCLUDE_HELP = (
    "Another file as a step, with parameters of its own. Its `outputs` are the products of the "
    "step."
)


def include_config() -> dict[str, Any]:
    """Settings of a step that is another workflow."""
    return {
        "title": "workflow",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "file": {
                "title": "File",
                "markdownDescription": "The workflow, relative to this file. Required.",
                "type": "string",
                "examples": ["crab-1d.gpwf.yaml"],
            },
            "params": {
                "title": "Parameters",
                "markdownDescription": "Values of its parameters: `{name: value}`.",
                "type": "object",
            },
        },
    }


def config_schema(tag: str) -> dict[str, Any]:
    """Return a reference to the settings of a step type."""
    return {"$ref": f"#/definitions/config-{tag}"}
