"""Whether a record is valid: W3C PROV-CONSTRAINTS, and what gpwf says of its own records.

`gpwf.prov.validation.check` has the entry points; every rule is a function in a module
``*_rules`` with an identifier that `docs/reference/prov-rules.md` explains.
"""
