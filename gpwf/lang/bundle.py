"""The JSON Schema of the language, one draft-07 file with the settings of every step type in it.

The shape is the one that editors complete well, measured with yaml-language-server: see
``docs/design`` and the remarks at the functions. `bundle_schema` is the only place that writes it;
the document reader validates against the same bundle.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpwf.core.catalog import StepCatalog
from gpwf.lang.bundle_step import (
    NAME_MESSAGE,
    NAME_PATTERN,
    PARAM_PATTERN,
    config_schema,
    include_config,
    name_schema,
    policy_keys,
    reference_schema,
    step_schema,
    text_schema,
)

__all__ = ["NAME_PATTERN", "PARAM_TYPES", "SCHEMA_ID", "bundle_schema"]

SCHEMA_ID = "https://gpwf.readthedocs.io/schemas/workflow.schema.json"

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
    definitions: dict[str, Any] = {"config-workflow": include_config()}
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
            "name": text_schema("Name of the workflow", "Default: the file name.", NAME_PATTERN),
            "description": text_schema("Description", "What the analysis is for."),
            "metadata": {"title": "Metadata", "type": "object", "markdownDescription": "Free."},
            "params": _params(),
            "tables": _tables(),
            "defaults": _defaults(own_tags),
            "steps": {
                "title": "Steps",
                "markdownDescription": "The steps, in any order that wires them.",
                "type": "array",
                "minItems": 1,
                "items": step_schema(catalog, tags),
            },
            "outputs": {
                "title": "Outputs",
                "markdownDescription": "Named results: `{name: step.product}`.",
                "type": "object",
                "propertyNames": name_schema(),
                "additionalProperties": reference_schema("Product"),
            },
            "profiles": _profiles(own_tags),
            "execution": _execution(),
        },
        "definitions": definitions,
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
            "description": text_schema("Description", "One line for people."),
        },
    }
    return {
        "title": "Parameters",
        "markdownDescription": (
            "Values that `-p NAME=VALUE` changes: a bare value, whose type is inferred, or "
            "`{type, default, min, max, choices, description}`. Used as `${params.NAME}`."
        ),
        "type": "object",
        "propertyNames": {"pattern": PARAM_PATTERN, "patternErrorMessage": NAME_MESSAGE},
        "additionalProperties": {
            "if": {"type": "object", "required": ["type"]},
            "then": declaration,
            "else": {"if": {"type": "object", "required": ["default"]}, "then": declaration},
        },
    }


def _defaults(tags: list[str]) -> dict[str, Any]:
    return {
        "title": "Defaults",
        "markdownDescription": "Settings for every step of a type: `{tag: {...}}`.",
        "type": "object",
        "additionalProperties": False,
        "properties": {tag: config_schema(tag) for tag in tags},
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
        "propertyNames": {"pattern": PARAM_PATTERN, "patternErrorMessage": NAME_MESSAGE},
        "additionalProperties": {
            "title": "Table",
            "type": ["array", "object", "string"],
            "pattern": "\\.(ya?ml|csv|ecsv)$",
            "patternErrorMessage": "a table is rows, or a file: targets.yaml, .csv or .ecsv",
            "items": {**row, "type": "object"},
            "additionalProperties": row,
        },
    }


def _profiles(tags: list[str]) -> dict[str, Any]:
    step = {
        "title": "Step",
        "type": "object",
        "additionalProperties": False,
        "properties": {"config": {"title": "Settings", "type": "object"}, **policy_keys()},
    }
    profile = {
        "title": "Profile",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "description": text_schema("Description", "When to use the profile."),
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
        "propertyNames": name_schema(),
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
            "record_env": {
                "title": "Environment variables that may be recorded",
                "markdownDescription": "Names of variables that `${env.NAME}` looks up and whose "
                "values may stand in records and logs. The values of all others are redacted.",
                "type": "array",
                "items": {
                    "title": "Name of a variable",
                    "type": "string",
                    "pattern": "^[A-Za-z_][A-Za-z0-9_]*$",
                },
            },
            "anonymous": {
                "title": "Anonymous",
                "markdownDescription": "Leave user and host out of records and logs, as "
                "`gpwf run --anonymous` does. Default: `false`.",
                "type": "boolean",
            },
        },
    }
