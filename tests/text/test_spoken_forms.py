"""What is read of money, dates, units, initialisms, markup and so on: a test for each form of the lists.

Kind of fault: words that are read wrongly, or markup that is read aloud. spoken_forms.tsv was worked on;
held_out.tsv was written before it was measured (86 of 89 then).
"""

import pytest

from tests.text.spoken_forms import SpokenForm, spoken_forms
from text.normalise import speakable


@pytest.mark.parametrize(
    "form", [*spoken_forms(), *spoken_forms("held_out.tsv")], ids=lambda form: form.written
)
def test_written_forms_are_read_as_a_reader_reads_them(form: SpokenForm) -> None:
    spoken = speakable(form.written, "english")
    assert form.allows(spoken), spoken
    assert form.allows(speakable(f"{form.written}\n\nThen more.", "english").removesuffix("Then more."))
