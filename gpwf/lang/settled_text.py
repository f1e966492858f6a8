"""A settled document as YAML that the reader of the language reads as the same values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from gpwf.lang.scalars import NotFiniteError, resolve_scalar

__all__ = ["settled_text"]


class _Dumper(yaml.SafeDumper):
    """Writes what the reader of the language reads as the same value."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 (PyYAML's signature)
        """Write everything out."""
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Quote a text that would be read as something else: ``1e-9``, ``no``."""
    try:
        quoted = not isinstance(resolve_scalar(text), str)
    except NotFiniteError:
        quoted = True
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if quoted else None)


_Dumper.add_representer(str, _represent_text)


def settled_text(document: Mapping[str, Any], remark: str) -> str:
    """Return a settled document as YAML, below a line that says what it is."""
    body = yaml.dump(
        dict(document),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=None,
        width=100,
    )
    return f"# {remark}\n{body}"
