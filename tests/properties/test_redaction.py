"""Looking for signs of secrets first leaves none behind."""

from __future__ import annotations

from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from gpwf.core import redact

_FORMS = (redact._SECRET_VALUE, redact._URL_PASSWORD, redact._BEARER)
_NAMES = st.from_regex(redact._SECRET_NAME) | st.text("pasPAswdWDtokenKEYauth_.-", max_size=12)
_ASSIGNED = st.builds("{}{}{}".format, _NAMES, st.sampled_from("=:"), st.text(min_size=1))
_PIECES = st.one_of(*(st.from_regex(form) for form in _FORMS), _ASSIGNED, st.text())


@given(st.lists(_PIECES, max_size=4).map("".join))
def test_a_text_without_signs_has_no_secret(text: str) -> None:
    with mock.patch.object(redact, "_SIGNS", ("",)):  # in every text
        thorough = redact.redact_text(text)
    assert redact.redact_text(text) == thorough
