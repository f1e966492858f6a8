"""The stable codes of the problems that a workflow document can have.

Every code has a heading in ``docs/reference/diagnostics.md`` and at least one conformance case.
A code is never given a second meaning; one that is no longer used stays unused.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

__all__ = ["TITLES", "Code"]


class Code(StrEnum):
    """Code of a diagnostic; the text of a member is what the user sees."""

    UNREADABLE = "GP101"
    ENCODING = "GP102"
    CHARACTER = "GP103"
    SYNTAX = "GP104"
    TAB = "GP105"
    DUPLICATE_KEY = "GP106"
    MERGE_KEY = "GP107"
    TAG = "GP108"
    DOCUMENTS = "GP109"
    TOO_LARGE = "GP110"
    KEY_NOT_TEXT = "GP111"
    ALIAS = "GP112"
    NOT_FINITE = "GP113"
    EMPTY = "GP114"

    UNKNOWN_KEY = "GP201"
    MISSING_KEY = "GP202"
    WRONG_TYPE = "GP203"
    UNKNOWN_TAG = "GP204"
    NOT_ALLOWED = "GP205"
    VERSION = "GP206"
    NOT_YET = "GP207"
    STEP_TWICE = "GP208"
    UNKNOWN_PROFILE = "GP209"
    UNKNOWN_STEP_OVERRIDE = "GP210"
    SET_PATH = "GP211"
    UNUSED_DEFAULTS = "GP212"

    SETTING_UNKNOWN = "GP301"
    SETTING_TYPE = "GP302"
    SETTING_UNIT = "GP303"
    SETTING_VALUE = "GP304"
    SETTING_MISSING = "GP305"
    SETTING_INCONSISTENT = "GP306"
    CALLABLE = "GP307"

    EXPRESSION = "GP401"
    UNKNOWN_NAME = "GP402"
    EXPRESSION_VALUE = "GP403"
    PARAM_CIRCLE = "GP404"
    UNKNOWN_PARAM = "GP405"
    PARAM_MISSING = "GP406"
    PARAM_TYPE = "GP407"
    PARAM_UNIT = "GP408"
    PARAM_VALUE = "GP409"
    PARAM_DECLARATION = "GP410"
    PARAM_UNUSED = "GP411"
    ENVIRONMENT = "GP412"

    UNKNOWN_STEP = "GP501"
    UNKNOWN_PRODUCT = "GP502"
    UNKNOWN_PORT = "GP503"
    WRONG_KIND = "GP504"
    AMBIGUOUS = "GP505"
    NOTHING_TO_CONNECT = "GP506"
    CIRCLE = "GP507"
    PRODUCT_TWICE = "GP508"
    ONE_PRODUCT_ONLY = "GP509"
    PRODUCT_UNCLEAR = "GP510"
    UNKNOWN_SOURCE = "GP512"

    AXIS = "GP701"
    AXIS_TWICE = "GP702"
    UNKNOWN_AXIS = "GP703"
    GATHER = "GP704"
    TOO_MANY_TASKS = "GP705"
    CONDITION = "GP706"
    PORTS_VARY = "GP707"
    NOTHING_RUNS = "GP708"
    TABLE = "GP709"
    TABLE_UNUSED = "GP710"
    INCLUDE = "GP711"
    INCLUDE_CIRCLE = "GP712"
    PRIVATE_NAME = "GP713"


TITLES: Mapping[Code, str] = MappingProxyType(
    {
        Code.UNREADABLE: "The file cannot be read",
        Code.ENCODING: "The text is not UTF-8",
        Code.CHARACTER: "A character that text must not contain",
        Code.SYNTAX: "The text is not YAML",
        Code.TAB: "A tab used as indentation",
        Code.DUPLICATE_KEY: "The same key twice",
        Code.MERGE_KEY: "A merge key",
        Code.TAG: "A YAML tag",
        Code.DOCUMENTS: "More than one document in the file",
        Code.TOO_LARGE: "The document is too large or too deep",
        Code.KEY_NOT_TEXT: "A key that is not text",
        Code.ALIAS: "An alias without an anchor",
        Code.NOT_FINITE: "A number that is not finite",
        Code.EMPTY: "The document is empty",
        Code.UNKNOWN_KEY: "Unknown key",
        Code.MISSING_KEY: "Missing key",
        Code.WRONG_TYPE: "Wrong type of value",
        Code.UNKNOWN_TAG: "Unknown step type",
        Code.NOT_ALLOWED: "A value that is not allowed here",
        Code.VERSION: "Unknown version of the language",
        Code.NOT_YET: "Not supported by this version of gpwf yet",
        Code.STEP_TWICE: "Two steps with one name",
        Code.UNKNOWN_PROFILE: "Unknown profile",
        Code.UNKNOWN_STEP_OVERRIDE: "A change to a step that does not exist",
        Code.SET_PATH: "A `--set` that cannot be applied",
        Code.UNUSED_DEFAULTS: "Defaults that no step uses",
        Code.SETTING_UNKNOWN: "Unknown setting",
        Code.SETTING_TYPE: "Wrong type of a setting",
        Code.SETTING_UNIT: "Wrong unit of a setting",
        Code.SETTING_VALUE: "Setting out of range or not a choice",
        Code.SETTING_MISSING: "Missing setting",
        Code.SETTING_INCONSISTENT: "Settings that do not fit together",
        Code.CALLABLE: "A function that is not there",
        Code.EXPRESSION: "Malformed expression",
        Code.UNKNOWN_NAME: "Unknown name in an expression",
        Code.EXPRESSION_VALUE: "An expression whose value cannot be used",
        Code.PARAM_CIRCLE: "Parameters that depend on each other",
        Code.UNKNOWN_PARAM: "Unknown parameter",
        Code.PARAM_MISSING: "A parameter without a value",
        Code.PARAM_TYPE: "Wrong type of a parameter",
        Code.PARAM_UNIT: "Wrong unit of a parameter",
        Code.PARAM_VALUE: "Parameter out of range or not a choice",
        Code.PARAM_DECLARATION: "A parameter declared wrongly",
        Code.PARAM_UNUSED: "A parameter that nothing uses",
        Code.ENVIRONMENT: "Environment variable not set",
        Code.UNKNOWN_STEP: "Unknown step",
        Code.UNKNOWN_PRODUCT: "Unknown product",
        Code.UNKNOWN_PORT: "Unknown input port",
        Code.WRONG_KIND: "Wrong kind of product",
        Code.AMBIGUOUS: "Several products fit an input",
        Code.NOTHING_TO_CONNECT: "No product fits an input",
        Code.CIRCLE: "Steps that wait for each other",
        Code.PRODUCT_TWICE: "Two products with one public name",
        Code.ONE_PRODUCT_ONLY: "An input that takes one product only",
        Code.PRODUCT_UNCLEAR: "A public name without a product",
        Code.UNKNOWN_SOURCE: "An unknown source",
        Code.AXIS: "An axis without usable values",
        Code.AXIS_TWICE: "One axis with two lists of values",
        Code.UNKNOWN_AXIS: "An axis that a step does not have",
        Code.GATHER: "An input that cannot gather",
        Code.TOO_MANY_TASKS: "Too many tasks",
        Code.CONDITION: "A condition that cannot be decided",
        Code.PORTS_VARY: "Inputs or products that depend on an axis",
        Code.NOTHING_RUNS: "A step that runs nowhere",
        Code.TABLE: "A table that cannot be used",
        Code.TABLE_UNUSED: "A table that nothing uses",
        Code.INCLUDE: "A workflow that cannot be included",
        Code.INCLUDE_CIRCLE: "Workflows that include each other",
        Code.PRIVATE_NAME: "A name made of a value that must not be recorded",
    }
)
"""Title of every code; the headings of the reference page."""
