"""From the text of a workflow to its validated specification, or to every problem in it."""

from gpwf.lang.build import check_document, check_workflow, read_workflow
from gpwf.lang.bundle import bundle_schema

__all__ = ["bundle_schema", "check_document", "check_workflow", "read_workflow"]
