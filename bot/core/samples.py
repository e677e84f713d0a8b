"""What a run that makes samples says of itself, as sentences and cards: how far it is, what it dropped and why, the samples.

A run's facts are texts; some hold JSON, as `pipeline.stages.generate` wrote it. What another version wrote otherwise is
left out.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bot.core import cards, form
from bot.core.contribute import EXAMPLE, FORMS
from bot.core.known import Report, Sample, Sampled
from bot.core.records import Draft, Run
from bot.core.talk import BLOCKS, CARD, TITLE, TOKEN, Attached, Block, Button, Card, Text
from bot.core.words import Words
from pipeline.errors import Problem

MORE = 200  # samples that the button for more asks for
PAGE = 10  # samples of a page
FIRST = 5  # samples that are shown to be thumbed
TOLD = 4  # kinds of reasons that a line has room for
ADVISED = 4  # pieces of advice that a card gives
FEW = ("generate.few", "generate.none", "mix.none")  # problems of a run that made too few samples, or none
CUT = 200  # characters of the files that were too long to be read whole
THUMBS = {"up": "good", "down": "bad"}  # with the button that gives it
WIDTHS = (500, 300, 200, 120, 80, 50, 30)  # characters of a text in a list: the most with which all fit


def number(facts: Mapping[str, str], name: str) -> int:
    """A count among the facts; 0 where there is none."""
    text = facts.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else 0


def _listed(facts: Mapping[str, str], name: str) -> list[Any]:
    """A list that stands among the facts as JSON."""
    try:
        found = json.loads(facts.get(name) or "[]")
    except ValueError:
        return []
    return found if isinstance(found, list) else []


# --- how far it is


def told(run: Run, words: Words, *, document: bool = False) -> str:
    """How a run that makes samples stands, or how it ended; `document`: it reads one first."""
    stage = run.facts.get("stage", "")
    match run.state:
        case "running" if stage in ("judge", "mix") or (document and stage == "document"):
            return words(f"generate.stage.{stage}")  # the counts of these stages are of their own progress
        case "running":
            return _line(run.facts, words) or words("generate.begins")
        case "done":
            return counted(run.facts, words)
        case "failed":
            return words("run.failed", cause=cause(run.facts, words))
        case "cancelled":
            return words("generate.cancelled")
        case state:
            return words(f"run.{state}")


def cause(facts: Mapping[str, str], words: Words) -> str:
    """Why a run failed, with the counts that its problem's sentence may have."""
    counts = {name: str(number(facts, name)) for name in ("kept", "made", "judged")}
    return cards.say_problem(words, Problem(facts.get("code", ""), facts.get("cause", ""), facts={**facts, **counts}))


def counted(facts: Mapping[str, str], words: Words) -> str:
    """ "212 samples kept of 260, 24 questions held out for the test": what came of it."""
    kept, held = number(facts, "kept"), number(facts, "held")
    made = number(facts, "made") or kept + number(facts, "dropped")
    one = words("generate.kept.1" if kept == 1 else "generate.kept.n", kept=kept, made=made)
    return ", ".join(filter(None, (one, words("generate.held", count=held) if held else "")))


def _line(facts: Mapping[str, str], words: Words) -> str:
    """What each step has done and what was kept; before anything is done, what there is to do."""
    kept, dropped, wanted = (number(facts, name) for name in ("kept", "dropped", "wanted"))
    steps = [_step(*one, words) for one in _steps(facts)]
    if not (steps or kept or dropped):
        requests, tokens, done = (number(facts, name) for name in ("requests", "tokens", "done"))
        if done and requests:  # from here on the tokens are those that were written
            return words("generate.asked", done=done, requests=requests)
        return words("generate.estimate", requests=requests, tokens=tokens) if requests else ""
    why = reasons(facts, words)
    parts = [*steps, words("generate.so_far", kept=kept, wanted=wanted) if wanted else words("generate.kept", kept=kept)]
    if dropped:
        parts.append(words("generate.dropped", count=dropped) + (f" ({why})" if why else ""))
    return " · ".join(parts)


def _steps(facts: Mapping[str, str]) -> list[tuple[str, int, int]]:
    """(name, how many passed, how many it dropped) of every step that has done something."""
    rows = [one for one in _listed(facts, "steps") if isinstance(one, list) and len(one) == 3]
    found = [(str(name), passed, dropped) for name, passed, dropped in rows if _is_count(passed) and _is_count(dropped)]
    return [one for one in found if one[1] + one[2]]


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _step(name: str, passed: int, dropped: int, words: Words) -> str:
    what = words(f"generate.step.{name}" if words.has(f"generate.step.{name}") else "generate.step")
    if dropped:
        return words("generate.passed.of", what=what, passed=passed, all=passed + dropped)
    return words("generate.passed", what=what, passed=passed)


def reasons(facts: Mapping[str, str], words: Words) -> str:
    """ "6 too like an example, 3 off topic": why samples were dropped, the most frequent first."""
    try:
        found = json.loads(facts.get("reasons") or "{}")
    except ValueError:
        return ""
    counts: Counter[str] = Counter()
    for name, count in found.items() if isinstance(found, dict) else ():
        if _is_count(count) and count > 0:
            step, _, why = name.rpartition(":")
            counts[reason(step, why, words)] += count
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    rest = sum(count for _, count in ordered[TOLD:])
    lines = [words("generate.reason.count", count=count, why=why) for why, count in ordered[:TOLD]]
    return ", ".join([*lines, *([words("generate.reason.count", count=rest, why=words("generate.reason"))] if rest else [])])


def reason(step: str, why: str, words: Words) -> str:
    """Why a sample was dropped, in a few words: what a judge found, or what was seen without one."""
    names = (f"generate.reason.{step}", "generate.reason.score") if why in ("score", "") else (f"generate.reason.{why}",)
    return words(next((name for name in names if words.has(name)), "generate.reason"))


# --- the first samples


def firsts(facts: Mapping[str, str]) -> list[Sample]:
    """The first samples that were kept, each with its id as `at`."""
    found: dict[str, Sample] = {}
    for one in _listed(facts, "first"):
        if isinstance(one, dict) and isinstance(one.get("id"), str) and one["id"].isalnum() and _is_count(one.get("number")):
            question, answer = str(one.get("question", "")), str(one.get("answer", ""))
            found.setdefault(one["id"], Sample(one["number"], 0, question, answer, at=one["id"]))
    return list(found.values())[:FIRST]


def first(draft: Draft, run: str, facts: Mapping[str, str], thumbs: Mapping[str, str], words: Words) -> Card | None:
    """The card with the first samples, to be thumbed; None as long as there are none."""
    found = firsts(facts)
    if not found:
        return None
    marks = {one.at: f" {words(f'button.{THUMBS[thumbs[one.at]]}')}" for one in found if thumbs.get(one.at) in THUMBS}
    lead = words("samples.lead")
    rows = _fitting(found, lambda one, width: _row(one, words, width) + marks.get(one.at, ""), CARD - len(lead) - 1)
    buttons = [
        Button(f"{words(f'button.{name}')} {one.number}", f"sample.{verb}|{run}|{one.at}")
        for one in found
        for verb, name in THUMBS.items()
    ]
    fitting = tuple(one for one in buttons if len(one.token) <= TOKEN)
    title = cards.clip(words("samples.first", name=cards.name_of(draft, words), id=run), TITLE)
    return Card(title, (Text(lead), *map(Text, rows)), fitting)


def _row(one: Sample, words: Words, width: int) -> str:
    about = words("samples.context", context=cards.quoted(one.context, width)) if one.context else ""
    question, answer = (cards.quoted(text, width) or "…" for text in (one.question, one.answer))
    return "\n".join(filter(None, (words("samples.row", number=one.number, question=question, answer=answer), about)))


def _fitting(rows: Sequence[Sample], draw: Any, room: int) -> list[str]:
    """A text for each sample, as long as there is room for all."""
    drawn: list[str] = []
    for width in WIDTHS:
        drawn = [draw(one, width) for one in rows]
        if sum(len(one) + 1 for one in drawn) <= room:
            break
    return drawn


# --- all of them


def page(draft: Draft, run: str, which: str, skip: int, found: Sampled, words: Words, done: Run | None = None) -> Card:
    """A page of the samples of a run that are kept, or of those that were dropped and why; buttons lead to the others.

    `done` is the run where it is the draft's newest and has come to its end, so that it can be asked for more.
    """
    kept = which == "kept"
    title = cards.clip(words(f"samples.{which}", name=cards.name_of(draft, words), id=run), TITLE)
    other = "dropped" if kept else "kept"
    buttons = [cards.button(words, f"samples.{other}", f"sample.page|{run}|{other}.0")]
    if skip:
        buttons.insert(0, cards.button(words, "samples.back", f"sample.page|{run}|{which}.{max(0, skip - PAGE)}"))
    if found.more:
        buttons.insert(0, cards.button(words, "samples.more", f"sample.page|{run}|{which}.{skip + PAGE}"))
    if done and number(done.facts, "wanted"):
        buttons.append(more(done, words))
    if not found.rows:
        return Card(title, (Text(words(f"samples.{which}.none")),), tuple(buttons))

    def draw(one: Sample, width: int) -> str:
        return _row(one, words, width) if one.kept else f"{_row(one, words, width)}\n{_dropped(one, words, width)}"

    rows = _fitting(found.rows[:PAGE], draw, CARD)
    assert len(rows) <= BLOCKS
    return Card(title, tuple(map(Text, rows)), tuple(buttons))


def _dropped(one: Sample, words: Words, width: int) -> str:
    """Why a sample was dropped, and what the judge said of it or what it says again."""
    why = reason(one.at, one.why, words)
    if one.of:
        name = "samples.of.seed" if one.why == "seed" else "samples.of"
        return words("samples.why", why=words(name, why=why, number=one.of))
    if one.reason and one.why in ("score", ""):
        return words("samples.why.judge", why=why, quote=cards.quoted(one.reason, width))
    return words("samples.why", why=why)


# --- its end


def end(draft: Draft, run: Run, report: Report, words: Words) -> Card:
    """What came of it, with the page to read, and what can be done next."""
    why = reasons(run.facts, words)
    held, least = number(run.facts, "held"), number(run.facts, "held_least")
    lines = (
        words("generate.dropped.why", why=why) if why else "",
        words("generate.held.few", held=held, least=least) if held < least else "",
        words("generate.cut", files=cards.quoted(run.facts["cut"], CUT)) if run.facts.get("cut") else "",
        words("generate.no_replay") if run.facts.get("replay") == "none" else "",
    )
    buttons = (
        cards.button(words, "train", f"draft.train|{draft.id}", "good"),
        *((more(run, words),) if number(run.facts, "wanted") else ()),
        cards.button(words, "samples", f"sample.page|{run.id}|kept.0"),
        *(() if draft.state == "submitted" else (cards.button(words, "submit", f"draft.submit|{draft.id}", "good"),)),
    )
    title = words("generate.done.end", name=cards.clip(cards.name_of(draft, words), 40), counts=counted(run.facts, words))
    return Card(cards.clip(title, TITLE), with_page(run.id, report, lines, words), buttons)


def with_page(run: str, report: Report, lines: Iterable[str], words: Words) -> tuple[Block, ...]:
    """Lines, and the run's page below them where there is one; of one that is too large it is said where it lies."""
    large = words("generate.report.large", id=run) if report.where and not report.text else ""
    text = "\n".join(filter(None, (*lines, large)))
    page = (Attached(f"report-{run}.html", report.text, report.where),) if report.where else ()
    return (*((Text(text),) if text else ()), *page)


def more(run: Run, words: Words) -> Button:
    """The button for more of them. It names how many there are to be then: pressed twice it asks for the same."""
    total = number(run.facts, "wanted") + MORE
    return cards.button(words, "samples.wanted", f"sample.more|{run.id}|{total}", count=MORE)


def failed(draft: Draft, run: Run, report: Report, words: Words) -> Card:
    """What to change, as far as the run says; each example that it names is a press away, and so is what was dropped."""
    found = [one for one in _listed(run.facts, "advice") if isinstance(one, dict)][:ADVISED]
    lines = [words("generate.advice", what=_advice(one, draft, words)) for one in found]
    blocks = with_page(run.id, report, (words("generate.advised"), *lines) if lines else (), words)
    few = run.facts.get("code") in FEW
    buttons = (
        *_edits(draft, (one.get("seed") for one in found), words),
        *((cards.button(words, "samples.dropped", f"sample.page|{run.id}|dropped.0"),) if few else ()),
        cards.button(words, "again", f"draft.generate|{draft.id}"),
    )
    name, kept = cards.clip(cards.name_of(draft, words), 80), number(run.facts, "kept")
    why = "generate.failed.end" if few else f"generate.broke.{kept if kept < 2 else 'n'}"
    return Card(cards.clip(words(why, name=name, kept=kept), TITLE), blocks, buttons)


def _advice(one: Mapping[str, Any], draft: Draft, words: Words) -> str:
    """ "Sample 14 repeats example 2: ...": a piece of advice, with the pair that it is about."""
    facts = {name: cards.quoted(str(one.get(name) or ""), 160) for name in ("code", "question", "other", "reason")}
    name = f"generate.advice.{one.get('code')}"
    numbers = {which: one.get(which) if _is_count(one.get(which)) else 0 for which in ("sample", "seed", "of")}
    said = words(name if words.has(name) else "generate.advice.other", **numbers, **facts)
    return " ".join(said.split())


def _edits(draft: Draft, seeds: Iterable[object], words: Words) -> list[Button]:
    """A button for each seed example, which a run numbers as qna.yaml does; some may be gone from the draft since."""
    page = FORMS[draft.form].page(EXAMPLE)
    order = form.parts(page, draft.answers)
    numbers = dict.fromkeys(one for one in seeds if isinstance(one, int) and 1 <= one <= len(order))
    return [
        cards.button(
            words,
            "samples.edit",
            f"draft.edit|{draft.id}.{EXAMPLE}.{order[one - 1]}",
            what=cards.part_name(draft, page, order[one - 1], words),
        )
        for one in numbers
    ]
