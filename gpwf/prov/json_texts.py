"""Texts of attributes in PROV-JSON, prepared once for those that come again and again."""

from __future__ import annotations

from gpwf.prov.json_values import Keys, Notes, Quoted, Types, encoded, quote, several
from gpwf.prov.recorder import Attributes, Form, Recorder, plain_value

__all__ = ["JsonTexts"]


class JsonTexts(Recorder):
    """A recorder that knows the JSON texts of names, types, roles and attributes.

    Attributes
    ----------
    keys, quoted, types
        Texts of attribute names, of words such as roles, and of types.
    """

    def __init__(self) -> None:
        self.keys = Keys()
        self.quoted = Quoted()
        self.types = Types()
        self._forms: dict[Form, tuple[str, tuple[str, ...]]] = {}

    def prepare(self, attributes: Attributes) -> Notes:
        """Return attributes as JSON text."""
        found = self.attributes(attributes)
        return Notes("".join(found.values()), found.keys())

    def attributes(self, attributes: Attributes) -> dict[str, str]:
        """Return the JSON text of attributes by name, each with its key and a comma in front.

        Raises
        ------
        KeyError
            For a name that is in no vocabulary.
        """
        keys = self.keys
        found: dict[str, str] = {}
        lists: dict[str, dict[str, None]] = {}  # values of names that come again, each once
        for name, value in attributes:
            if value is None:
                continue
            if type(value) is str and value:
                text = quote(value)
                if "\\u" in text:
                    text = quote(plain_value(value))
            else:
                text = encoded(value)
                if not text:
                    if value != "" or name != "prov:value":
                        continue
                    text = '""'
            if name not in found:
                found[name] = keys[name] + text
            elif name in lists:
                lists[name][text] = None
            else:
                lists[name] = {found[name][len(keys[name]) :]: None, text: None}
        for name, texts in lists.items():
            found[name] = keys[name] + several(list(texts))
        return found

    def of_form(self, form: Form) -> tuple[str, tuple[str, ...]]:
        """Return the text of the types of a form, and the keys of its attributes."""
        found = self._forms.get(form)
        if found is None:
            keys = tuple(self.keys[name] for name in form.names)
            found = self._forms[form] = self.types[form.types][1:], keys
        return found
