"""The JSON Schema of the language, one draft-07 file with the settings of every step type in it.

The shape is the one that editors complete well, measured with yaml-language-server: see
``docs/design`` and the remarks at the functions. `bundle_schema` is the only place that writes it;
the document reader validates against the same bundle.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpwf.core.spec import StepCatalog

__all__ = ["NAME_PATTERN", "PARAM_TYPES", "SCHEMA_ID", "bundle_schema"]

SCHEMA_ID = "https://gpwf.readthedocs.io/schemas/workflow.schema.json"

NAME_PATTERN = "^[A-Za-z][A-Za-z0-9_-]*$"
_PARAM_PATTERN = "^[A-Za-z_][A-Za-z0-9_]*(-[A-Za-z0-9_]+)*$"
_NAME_MESSAGE = "a name begins with a letter and has letters, digits, - and _ only"
_REFERENCE = "^[A-Za-z][A-Za-z0-9_-]*(\\.[A-Za-z][A-Za-z0-9_-]*)?$"
_REFERENCE_MESSAGE = "write step.product, such as fit.models, or a public name"
_SPAN_PATTERN = "^[0-9.]+([eE][-+]?[0-9]+)? *(ms|s|min|h|hr|hour|d|day)$"
_MEMORY_PATTERN = "^[0-9.]+ *([kMGT]i?)?B$"

PARAM_TYPES: Mapping[str, str] = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "string": "text",
    "path": "a file or folder, relative to the workflow",
    "energy": "a quantity such as 1 TeV",
    "angle": "a quantity such as 0.1 deg",
    "time": "an instant such as 2019-12-01T22:00:00",
    "duration": "a quantity such as 28 min",
    "length": "a quantity such as 10 m",
    "flux": "a quantity such as 1e-12 TeV-1 cm-2 s-1",
    "quantity": "a number with any unit",
    "skycoord": "a position {frame, lon, lat}",
    "list": "a list",
    "mapping": "a mapping",
    "table": "rows that have a `name`: a list, or a mapping of names to rows",
}
"""Types of parameters, with words for each."""


def bundle_schema(catalog: StepCatalog) -> dict[str, Any]:
    """Return the draft-07 schema of workflows for the step types of a catalogue.

    Parameters
    ----------
    catalog : StepCatalog
        The step types of the installation.

    Returns
    -------
    dict
        Plain data, the same for the same catalogue.
    """
    own_tags = list(catalog.tags())
    definitions: dict[str, Any] = {"config-workflow": _workflow_config()}
    for tag in own_tags:
        own = dict(catalog.schema(tag))
        own.pop("$schema", None)
        own.pop("$id", None)
        definitions[f"config-{tag}"] = own
    tags = sorted([*own_tags, "workflow"])
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": SCHEMA_ID,
        "title": "gpwf workflow",
        "markdownDescription": "A gamma-ray analysis for gpwf, version 1 of the language.",
        "type": "object",
        "additionalProperties": False,
        "required": ["gpwf", "steps"],
        "properties": {
            "gpwf": {
                "title": "Version of the language",
                "markdownDescription": "Version of the language: `1`.",
                "enum": [1],
            },
            "name": _text("Name of the workflow", "Default: the file name.", NAME_PATTERN),
            "description": _text("Description", "What the analysis is for."),
            "metadata": {"title": "Metadata", "type": "object", "markdownDescription": "Free."},
            "params": _params(),
            "tables": _tables(),
            "defaults": _defaults(own_tags),
            "steps": {
                "title": "Steps",
                "markdownDescription": "The steps, in any order that wires them.",
                "type": "array",
                "minItems": 1,
                "items": _step(catalog, tags),
            },
            "outputs": {
                "title": "Outputs",
                "markdownDescription": "Named results: `{name: step.product}`.",
                "type": "object",
                "propertyNames": _name(),
                "additionalProperties": _reference("Product"),
            },
            "profiles": _profiles(own_tags),
            "execution": _execution(),
        },
        "definitions": definitions,
    }


def _name() -> dict[str, Any]:
    return {"pattern": NAME_PATTERN, "patternErrorMessage": _NAME_MESSAGE}


def _text(title: str, help_text: str, pattern: str | None = None) -> dict[str, Any]:
    schema: dict[str, Any] = {"title": title, "markdownDescription": help_text, "type": "string"}
    if pattern is not None:
        schema |= {"pattern": pattern, "patternErrorMessage": _NAME_MESSAGE}
    return schema


def _reference(title: str) -> dict[str, Any]:
    return {
        "title": title,
        "type": "string",
        "pattern": _REFERENCE,
        "patternErrorMessage": _REFERENCE_MESSAGE,
        "examples": ["fit.models"],
    }


def _params() -> dict[str, Any]:
    """A parameter is a bare value, or a declaration where it has ``type`` or ``default``."""
    declaration = {
        "title": "Parameter",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "type": {
                "title": "Type",
                "markdownDescription": "\n".join(f"- `{k}`: {v}" for k, v in PARAM_TYPES.items()),
                "enum": list(PARAM_TYPES),
            },
            "default": {"title": "Default", "markdownDescription": "None: it must be given."},
            "min": {"title": "Smallest value", "type": ["number", "string"]},
            "max": {"title": "Largest value", "type": ["number", "string"]},
            "choices": {"title": "Values allowed", "type": "array", "minItems": 1},
            "description": _text("Description", "One line for people."),
        },
    }
    return {
        "title": "Parameters",
        "markdownDescription": (
            "Values that `-p NAME=VALUE` changes: a bare value, whose type is inferred, or "
            "`{type, default, min, max, choices, description}`. Used as `${params.NAME}`."
        ),
        "type": "object",
        "propertyNames": {"pattern": _PARAM_PATTERN, "patternErrorMessage": _NAME_MESSAGE},
        "additionalProperties": {
            "if": {"type": "object", "required": ["type"]},
            "then": declaration,
            "else": {"if": {"type": "object", "required": ["default"]}, "then": declaration},
        },
    }


def _config(tag: str) -> dict[str, Any]:
    return {"$ref": f"#/definitions/config-{tag}"}


def _defaults(tags: list[str]) -> dict[str, Any]:
    return {
        "title": "Defaults",
        "markdownDescription": "Settings for every step of a type: `{tag: {...}}`.",
        "type": "object",
        "additionalProperties": False,
        "properties": {tag: _config(tag) for tag in tags},
    }


def _policy() -> dict[str, Any]:
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
        "description": _text("Description", "What the step is for."),
    }


def _step(catalog: StepCatalog, tags: list[str]) -> dict[str, Any]:
    """One step: common keys once, and one ``if`` per tag that adds the settings.

    ``type: object`` in each ``if`` keeps every branch from firing on an item that is still empty.
    """
    reference = _reference("Product")
    references = {"title": "Products", "type": "array", "items": reference}
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
            "name": _text("Name", "Unique name of the step. Default: its tag.", NAME_PATTERN),
            "config": {"title": "Settings", "type": "object"},
            "required_products": {
                "title": "Inputs",
                "markdownDescription": (
                    "`{port: step.product}` or a list of public names. A port left out takes the "
                    "only product of its kind above."
                ),
                "type": ["object", "array"],
                "propertyNames": _name(),
                "items": reference,
                "additionalProperties": {
                    "type": ["string", "array", "null"],
                    "pattern": _REFERENCE,
                    "patternErrorMessage": _REFERENCE_MESSAGE,
                    "items": reference,
                },
            },
            "products": {
                "title": "Public names of the products",
                "markdownDescription": "A name, or `{product: name}`.",
                "type": ["string", "object"],
                "pattern": NAME_PATTERN,
                "patternErrorMessage": _NAME_MESSAGE,
                "additionalProperties": {"type": "string", **_name()},
            },
            "after": {
                **references,
                "title": "After",
                "markdownDescription": "Steps that must end first.",
                "type": ["array", "string"],
                "items": {"type": "string", **_name()},
            },
            **_scatter(),
            **_policy(),
        },
        "allOf": [
            {
                "if": {
                    "type": "object",
                    "properties": {"tag": {"const": tag}},
                    "required": ["tag"],
                },
                "then": {"properties": {"config": _config(tag)}},
            }
            for tag in tags
        ],
    }


def _tables() -> dict[str, Any]:
    row = {"title": "Row", "type": ["object", "null"]}
    return {
        "title": "Tables",
        "markdownDescription": (
            "Rows that have a `name`: a list, a mapping of names to rows, or a file (`.yaml`, "
            "`.csv`, `.ecsv`). Used as `${tables.TABLE}` in `foreach`, and as "
            "`${tables.TABLE[row].column}` elsewhere."
        ),
        "type": "object",
        "propertyNames": {"pattern": _PARAM_PATTERN, "patternErrorMessage": _NAME_MESSAGE},
        "additionalProperties": {
            "title": "Table",
            "type": ["array", "object", "string"],
            "pattern": "\\.(ya?ml|csv|ecsv)$",
            "patternErrorMessage": "a table is rows, or a file: targets.yaml, .csv or .ecsv",
            "items": {**row, "type": "object"},
            "additionalProperties": row,
        },
    }


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
            "propertyNames": {"pattern": _PARAM_PATTERN, "patternErrorMessage": _NAME_MESSAGE},
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


def _workflow_config() -> dict[str, Any]:
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


def _profiles(tags: list[str]) -> dict[str, Any]:
    step = {
        "title": "Step",
        "type": "object",
        "additionalProperties": False,
        "properties": {"config": {"title": "Settings", "type": "object"}, **_policy()},
    }
    profile = {
        "title": "Profile",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "description": _text("Description", "When to use the profile."),
            "params": {
                "title": "Parameters",
                "markdownDescription": "Values of parameters.",
                "type": "object",
            },
            "defaults": _defaults(tags),
            "execution": _execution(),
            "steps": {
                "title": "Steps",
                "markdownDescription": "Changes by the name of the step.",
                "type": "object",
                "additionalProperties": step,
            },
        },
    }
    return {
        "title": "Profiles",
        "markdownDescription": "Named variants, chosen with `--profile NAME`.",
        "type": "object",
        "propertyNames": _name(),
        "additionalProperties": profile,
    }


def _execution() -> dict[str, Any]:
    return {
        "title": "Execution",
        "markdownDescription": "How tasks are run; never a part of their identity.",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "executor": {
                "title": "Executor",
                "markdownDescription": "Default: `local`.",
                "enum": ["local"],
            },
            "jobs": {
                "title": "Tasks at a time",
                "markdownDescription": "Default: the number of cores.",
                "type": "integer",
                "minimum": 1,
            },
            "max_tasks": {
                "title": "Largest number of tasks",
                "markdownDescription": "Bound on the size of a scatter. Default: `1000000`.",
                "type": "integer",
                "minimum": 1,
            },
            "log_level": {
                "title": "Log level",
                "markdownDescription": "Default: `info`.",
                "enum": ["debug", "info", "warning", "error"],
            },
            "options": {
                "title": "Options",
                "markdownDescription": "Options of the executor.",
                "type": "object",
            },
        },
    }
