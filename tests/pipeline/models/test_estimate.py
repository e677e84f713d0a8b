"""An estimate of tokens is never too low for a tokenizer of a usual size."""

import pytest

from pipeline.models.estimate import estimate, tokens
from tests.conftest import HOME

PATHS = [*sorted((HOME / "configs").rglob("*.md")), *sorted((HOME / "configs" / "words").glob("*.yaml")), HOME / "README.md"]
TEXTS = [path.read_text(encoding="utf-8") for path in PATHS]
STRANGE = [
    "12345678901234567890",
    "über Füße, Straße",
    "こんにちは世界",
    "🐶🐕‍🦺",
    "    \n\n\t\t  ",
    "{}[]();::--",
    "internationalization" * 9,
]


@pytest.mark.parametrize("text", STRANGE)
def test_no_text_is_taken_for_less_than_its_parts(text: str) -> None:
    letters = sum(one.isascii() and one.isalpha() for one in text)

    assert tokens(text) >= letters / 3 + sum(not (one.isascii() and (one.isalpha() or one == " ")) for one in text)


def test_an_empty_conversation_has_room_for_the_system_message_of_a_template() -> None:
    assert estimate([]) > estimate([{"role": "system", "content": ""}]) > 0


def test_an_estimate_is_above_what_a_trained_tokenizer_counts() -> None:
    tokenizers = pytest.importorskip("tokenizers", reason="the extra train is not installed")
    made = tokenizers.ByteLevelBPETokenizer()
    made.train_from_iterator(TEXTS, vocab_size=8000, show_progress=False)

    for text in [*TEXTS, *STRANGE]:
        assert tokens(text) >= len(made.encode(text).ids)
    whole = "\n".join(TEXTS)
    assert tokens(whole) < 3 * len(made.encode(whole).ids)
