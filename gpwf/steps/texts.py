"""Text types of settings that are no quantities: times and paths, and the base of all of them.

Each type is a ``str`` whose text is the settled, canonical form, so that settings are plain data
that can be hashed and written as they are.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import GetCoreSchemaHandler
from pydantic_core import PydanticCustomError, core_schema

if TYPE_CHECKING:
    from astropy.time import Time as AstropyTime

__all__ = ["InputPath", "Instant", "TextType", "kind_of", "problem", "unset_variable"]


def problem(code: str, message: str, hint: str = "") -> PydanticCustomError:
    """Return the error that a validator raises for a problem with this code.

    Parameters
    ----------
    code : str
        ``GP302`` wrong type, ``GP303`` wrong unit, ``GP304`` out of range, ``GP306`` inconsistent.
    message : str
        What is wrong and what was expected.
    hint : str, optional
        What to do.
    """
    # the message goes through a template, in which braces would be fields
    return PydanticCustomError(code, "{text}", {"text": message, "hint": hint})


class TextType(str):
    """Base of the text types: pydantic validates them with `settle`.

    Attributes
    ----------
    type_name : str
        Name of the type in messages, in the schema and in records.
    examples : tuple of str
        Values to show to people.
    may_be_empty : bool
        True where the empty text is a value.
    """

    __slots__ = ()

    type_name: ClassVar[str] = "text"
    examples: ClassVar[tuple[str, ...]] = ()
    may_be_empty: ClassVar[bool] = False

    @classmethod
    def settle(cls, value: Any, base: Path | None = None) -> Self:
        """Return the settled value, or raise a `PydanticCustomError` with a code."""
        raise NotImplementedError

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        def validate(value: Any, info: core_schema.ValidationInfo) -> Any:
            return cls.settle(value, (info.context or {}).get("base"))

        return core_schema.with_info_plain_validator_function(
            validate, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )


_INSTANT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(\.\d{1,9})?)?)?", re.ASCII
)


class Instant(TextType):
    """A point in time, ISO 8601, on the UTC scale; settled as ``2004-12-04T22:00:00.000``."""

    __slots__ = ()
    type_name = "time"
    examples = ("2004-12-04T22:00:00", "2004-12-04")

    def __new__(cls, text: str) -> Self:
        """Parse an ISO 8601 date, or date and time, in UTC."""
        return str.__new__(cls, cls._canonical(text))

    @classmethod
    def settle(cls, value: Any, base: Path | None = None) -> Self:  # noqa: ARG003
        """Return the settled time."""
        if not isinstance(value, str):
            raise problem(
                "GP302", f"expected a time such as '{cls.examples[0]}', not {kind_of(value)}"
            )
        return cls(value)

    @staticmethod
    def _canonical(text: str) -> str:
        from datetime import datetime

        bare = text.strip().removesuffix("Z")
        match = _INSTANT.fullmatch(bare)
        wanted = "expected a time in UTC such as '2004-12-04T22:00:00'"
        if match is None:
            raise problem("GP302", f"{text[:60]!r} is not an ISO 8601 time; {wanted}")
        try:
            datetime(*(int(part or 0) for part in match.groups()[:6]))  # type: ignore[arg-type]
        except ValueError as error:
            raise problem("GP304", f"{text[:60]!r}: {error}; {wanted}") from None
        day, clock = "-".join(match.groups()[:3]), [part or "00" for part in match.groups()[3:6]]
        fraction = (match[7] or ".").rstrip("0").ljust(4, "0")
        return f"{day}T{':'.join(clock)}{fraction}"

    @property
    def time(self) -> AstropyTime:
        """The same as an `astropy.time.Time` on the UTC scale."""
        from astropy.time import Time

        return Time(str(self), format="isot", scale="utc")


_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


class InputPath(TextType):
    """A file or folder that the step reads; absolute when settled.

    ``~`` and ``$NAME`` expand; a relative path counts from the file that contains it. A variable
    that is not set stays in the text, and the missing file is reported with the name of the
    variable when the workflow is planned: a document is as valid on a machine without the data.
    """

    __slots__ = ()
    type_name = "path"
    examples = ("data/file.fits", "$GAMMAPY_DATA/hess-dl3-dr1")

    @classmethod
    def settle(cls, value: Any, base: Path | None = None) -> Self:
        """Return the expanded, absolute path."""
        if not isinstance(value, str):
            raise problem("GP302", f"expected a path, not {kind_of(value)}")
        if not value.strip() or "\0" in value:
            raise problem("GP304", "the path is empty or holds a NUL character")
        text = value
        if unset_variable(value) is None:
            # normpath, not resolve: a link keeps its name
            text = os.path.expanduser(os.path.expandvars(value))  # noqa: PTH111  (much faster)
            text = os.path.normpath(os.path.join(base or Path.cwd(), text))  # noqa: PTH118
        return cls(text)

    @property
    def path(self) -> Path:
        """The same as a `pathlib.Path`."""
        return Path(str(self))


def unset_variable(path: str) -> str | None:
    """Return the first environment variable of a path that has no value; None for none."""
    for match in _VARIABLE.finditer(path):
        name = match[1] or match[2]
        if not os.environ.get(name):  # an empty one would make the path begin at the root
            return name
    return None


def kind_of(value: Any) -> str:
    """Return what a value from a document is, in the words of YAML."""
    words = {"dict": "a mapping", "list": "a list", "tuple": "a list", "NoneType": "null"}
    words |= {"bool": "a boolean", "int": "a whole number", "float": "a number", "str": "a text"}
    return words.get(type(value).__name__, type(value).__name__)
