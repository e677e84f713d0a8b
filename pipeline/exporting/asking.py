"""What written files are asked, and how: a few of the run's own questions, as the model will be asked them, and some texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.generating import rows

QUESTIONS = 8  # that logits are compared on
LONGEST = 192  # tokens of a question that are asked: its last ones matter most, but a cut one is as good a test
TEXTS = (  # that are cut into tokens by both; digits, signs, scripts and white space are where tokenisers differ
    "How do I reset my password, and where's the form?",
    "Room 1203 costs 45.50 a night (two nights: 91.00).",
    "Größe, Maß und Übung; naïve café — “quoted” ‘twice’…",
    "def total(rows):\n    return sum(row['n'] for row in rows)\n\n\t# 100%",
    "I'LL say it's done; they'd've known, WE'RE late.",
    "привет, мир! 你好，世界 12345 🐕🐕",
    "one\r\ntwo   three    four\n\n\nfive ",
)


@dataclass(frozen=True, slots=True)
class Asked:
    """`prompts`: tokens; `last`: after how many of the last tokens of each the logits are compared.

    `chats`: the questions as the template puts them, which have to be cut into the same tokens; `texts`: others, of which it
    is told.
    """

    prompts: tuple[tuple[int, ...], ...]
    chats: tuple[str, ...]
    texts: tuple[str, ...] = TEXTS
    last: int = 16


def asked(run: Path, words: Any, system: str) -> Asked:
    """Of a run's folder. `words`: transformers' tokeniser; `system`: what the model is told before a question."""
    unseen = [row.asks for row in rows.read(run / rows.UNSEEN) if row.kept][:QUESTIONS]
    chats = [_rendered(words, system, one) for one in [*unseen, *TEXTS][:QUESTIONS]]
    prompts = [words(one, add_special_tokens=not words.chat_template)["input_ids"] for one in chats]
    return Asked(tuple(tuple(one[-LONGEST:]) for one in prompts), tuple(chats))


def _rendered(words: Any, system: str, question: str) -> str:
    """A question as the model's template puts it; as it is where there is none. Some templates know no system message."""
    if not words.chat_template:
        return question
    user = {"role": "user", "content": question}
    said: Sequence[dict[str, str]] = [{"role": "system", "content": system}, user]
    from jinja2 import TemplateError

    try:
        return str(words.apply_chat_template(said, tokenize=False, add_generation_prompt=True))
    except TemplateError:
        return str(words.apply_chat_template([user], tokenize=False, add_generation_prompt=True))
