"""`labbot ask`: questions from the command line, from lines, or as JSON lines for other programs.

A JSON line in is {"id", "question", "history": [earlier questions, oldest first]}; one out is {"id", "answered", "score",
"hits": [{"title", "answers", "link", "score"}], "answer"}. A line that is none of that gets {"id", "error"}; the rest goes on.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bot.faq.answer import Faq, Reply

NEAREST = 3


@dataclass(frozen=True, slots=True)
class _Line:
    """A question as a program asks it. `id` is whatever JSON value it gave."""

    id: object
    question: str
    history: tuple[str, ...]


def as_json(faq: Faq, lines: Iterable[bytes]) -> Iterator[tuple[bool, str]]:
    """For each line that is not empty: whether it was a question, and the JSON line that answers it."""
    for line in lines:
        if not line.strip():
            continue
        asked = _asked(line)
        if isinstance(asked, _Line):
            yield True, json.dumps(_record(asked, faq.ask(asked.question, asked.history)), ensure_ascii=False)
        else:
            yield False, json.dumps({"id": asked[0], "error": asked[1]}, ensure_ascii=False)


def as_text(faq: Faq, questions: Iterable[str]) -> Iterator[str]:
    """The answer and where it stands, or that there is none and what is near; later questions may lean on earlier ones."""
    history: list[str] = []
    for question in questions:
        if question.strip():
            yield _told(faq.ask(question, history))
            history.append(question)


def _asked(line: bytes) -> _Line | tuple[object, str]:
    """The question, or the id as far as there is one and what is wrong."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        return None, f"this is no JSON: {error}"
    if not isinstance(found, dict):
        return None, "a question is an object with id and question"
    id, question, history = found.get("id"), found.get("question"), found.get("history")
    if not isinstance(question, str):
        return id, "question is missing or no text"
    if history is not None and not (isinstance(history, list) and all(isinstance(one, str) for one in history)):
        return id, "history is no list of texts"
    return _Line(id, question, tuple(history or ()))


def _record(asked: _Line, reply: Reply) -> dict[str, object]:
    hits = [{"title": hit.title, "answers": list(hit.answers), "link": hit.link, "score": hit.score} for hit in reply.hits]
    return {"id": asked.id, "answered": reply.answered, "score": reply.score, "hits": hits, "answer": reply.answer}


def _told(reply: Reply) -> str:
    if reply.answered:
        best = reply.hits[0]
        return f"{reply.answer}\nSource: {best.title}{best.link and f', {best.link}'}"
    said = "The FAQ may say it here:" if reply.offered else "The FAQ does not say. Nearest:"
    near = [f"  {hit.title}{hit.link and f', {hit.link}'}" for hit in reply.hits[:NEAREST]]
    return "\n".join([said, *near]) if near else "The FAQ does not say."
