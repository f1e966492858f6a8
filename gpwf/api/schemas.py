"""The schema files of an installation, as they are committed under ``schemas/``."""

from __future__ import annotations

import json
from pathlib import Path

from gpwf.core.catalog import StepCatalog
from gpwf.errors import UsageError
from gpwf.lang.bundle import SCHEMA_ID, bundle_schema
from gpwf.report.log_schema import log_schema

__all__ = ["schema_files", "write_schemas"]


def schema_files(catalog: StepCatalog) -> dict[str, str]:
    """Return the text of every schema file by its path inside ``schemas/``.

    Parameters
    ----------
    catalog : StepCatalog
        The step types.

    Returns
    -------
    dict of str to str
        ``workflow.schema.json``, the bundle, ``steps/<tag>.schema.json``, and
        ``log.schema.json`` of the lines of a log.
    """
    base = SCHEMA_ID.rpartition("/")[0]
    files = {"workflow.schema.json": bundle_schema(catalog)}
    for tag in catalog.tags():
        name = f"steps/{tag}.schema.json"
        files[name] = {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "$id": f"{base}/{name}",
            **catalog.schema(tag),
        }
    files["log.schema.json"] = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": f"{base}/log.schema.json",
        **log_schema(),
    }
    return {
        name: json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        for name, schema in files.items()
    }


def write_schemas(catalog: StepCatalog, directory: Path) -> list[Path]:
    """Write the schema files and remove those of steps that are no more.

    Raises
    ------
    UsageError
        Where the folder cannot be written.
    """
    written = []
    try:
        (directory / "steps").mkdir(parents=True, exist_ok=True)
        for name, text in schema_files(catalog).items():
            path = directory / name
            path.write_text(text, encoding="utf-8")
            written.append(path)
        for path in (directory / "steps").glob("*.schema.json"):
            if path not in written:
                path.unlink()
    except OSError as error:
        raise UsageError(f"{directory}: cannot be written: {error.strerror}") from error
    return written
