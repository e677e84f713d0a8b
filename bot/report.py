"""What operators read: questions to the FAQ and what became of them (`labbot faq report`), and what operators did (`audit`)."""

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

from bot.core.records import Asked, Audit, Kept

SHOWN = 20  # lines of a list; --json has all


def as_text(asked: Sequence[Asked], kept: Sequence[Kept], now: str) -> Iterator[str]:
    """The report for reading; `now` is the digest of the FAQ's entries as they are, by which old answers are told apart."""
    yield f"{len(asked)} questions, {sum(one.answered for one in asked)} answered"
    yield from _list("Not answered", Counter(_bare(one.question) for one in asked if not one.answered))
    down = [one for one in asked if one.thumb == "bad" and one.hits]
    yield from _list("No help (thumb down), by entry", Counter(f"{one.hits[0]} [{_state(one, now)}]" for one in down))
    for one in down[-SHOWN:]:
        yield f"      {one.question!r} got {one.hits[0]!r}"
    waiting = [one for one in asked if one.handed and not one.reply]
    yield from _list("Waiting for a maintainer", Counter(_bare(one.question) for one in waiting))
    for answer in kept:
        yield from ("", *_entry(answer))


def as_json(asked: Sequence[Asked], kept: Sequence[Kept]) -> Iterator[str]:
    """A JSON line a question, then one for each answer that was kept; people are ids of ours."""
    for kind, records in (("question", asked), ("kept", kept)):
        for record in records:
            yield json.dumps({"is": kind, **asdict(record)}, ensure_ascii=False)


def audit(acts: Sequence[Audit], names: Mapping[str, str], *, as_json: bool) -> Iterator[str]:
    """A line an act, oldest first; people by name where they are still known, else by id."""
    for act in acts:
        day = time.strftime("%Y-%m-%d %H:%M", time.gmtime(act.at))
        who, whom = (names.get(one, one) for one in (act.person, act.whom))
        yield json.dumps(asdict(act)) if as_json else f"{day}Z  {act.scope}  {who}  {act.what} {whom}  {act.why}".rstrip()


def _list(title: str, counts: Counter[str]) -> Iterator[str]:
    if counts:
        yield from ("", f"{title}:")
    for text, count in counts.most_common(SHOWN):
        yield f"{count:4}  {text}"
    if len(counts) > SHOWN:
        yield f"      and {len(counts) - SHOWN} more (--json has all)"


def _bare(question: str) -> str:
    return " ".join(question.split()).lower()[:120]


def _state(one: Asked, now: str) -> str:
    """The entries' state that an answer came from: as they are now, or an earlier one."""
    day = time.strftime("%Y-%m-%d", time.gmtime(one.at))
    return f"{one.digest}, as now" if one.digest == now else f"{one.digest}, {day}"


def _entry(kept: Kept) -> Iterator[str]:
    """A maintainer's answer as an entry in the form of configs/faq, to be looked over: link and phrasings are missing."""
    yield f"<!-- answered by {kept.by}; look it over, then put it into configs/faq -->"
    yield from (f"## {kept.question.strip()}", "", f"asked: {_bare(kept.question)}", "", kept.answer.strip())
