"""The card of a pull request, and the message that says what is new about it; made from words and values."""

import math
from collections.abc import Iterator

from bot.core import cards, form
from bot.core.contribute import EXAMPLE, FORMS
from bot.core.known import Known, PullFound, Spot
from bot.core.records import Draft
from bot.core.talk import LABEL, TITLE, Block, Button, Card, Choice, Text
from bot.core.words import Words
from pipeline import pulls
from pipeline.pulls import Check, News, Pull, Remark

SHOWN = 5  # remarks of one message, and labels of a card; GitHub has the rest
QUOTE = 500  # characters of a remark
LINE = 160  # of a line of a file, or of what a check says
ROOM = 2800  # of a message; Slack's sections take 3,000
PRESSED = 10  # buttons below a message
TELLS = ("all", "mine", "none")


def card(draft: Draft, pull: Pull, known: Known) -> Card:
    """How it stands: whose turn it is, checks, labels with their meaning, who agrees. `known` is of its contributor."""
    words = known.words
    title = cards.clip(words("pull.title", number=pull.number, name=cards.name_of(draft, words)), TITLE)
    lines = [_stands(pull, known), _checked(pull, words), *_labelled(pull, words), _agreed(pull, known)]
    link = words("pull.link", url=pull.url, repo=cards.quoted(pull.repo))
    blocks: list[Block] = [Text("\n".join(filter(None, (*lines, link))))]
    if pull.state != "open":
        return Card(title, tuple(blocks))
    return Card(title, tuple(blocks), _buttons(draft, known), _tells(draft, known))


def _stands(pull: Pull, known: Known) -> str:
    if pull.state != "open":
        return known.words(f"pull.{pull.state}")
    return known.words(f"pull.waits.{pulls.waits(pull, known.hub.rules)}")


def _checked(pull: Pull, words: Words) -> str:
    if failed := pulls.failing(pull):
        return words("pull.checks.failed", names=", ".join(cards.quoted(one.name, 60) for one in failed[:SHOWN]))
    results = {one.result for one in pull.checks}
    if results & {"waiting", "running"}:
        return words("pull.checks.running")
    return words("pull.checks.passed") if "passed" in results else ""


def _labelled(pull: Pull, words: Words) -> list[str]:
    return [words("pull.label", name=cards.quoted(one, 60), means=meaning(one, words)) for one in pull.labels[:SHOWN]]


def meaning(label: str, words: Words) -> str:
    """What a label means, in plain words; one that is not upstream's speaks for itself."""
    name = f"tag.{label.replace(' ', '-')}"
    return words(name) if label in pulls.LABELS and words.has(name) else words("tag.other")


def _agreed(pull: Pull, known: Known) -> str:
    who = pulls.agreed(pull)
    named = ", ".join(cards.quoted(one, 40) for one in who)
    most = known.hub.rules.lgtms
    if pull.state != "open":
        return ""
    return known.words("pull.lgtms", count=len(who), most=most, who=f" ({named})" if named else "")


def _buttons(draft: Draft, known: Known) -> tuple[Button, ...]:
    words = known.words
    update = (cards.button(words, "pull.update", f"draft.submit|{draft.id}", "good"),) if draft.state == "open" else ()
    return (*update, cards.button(words, "pull.withdraw", f"pull.withdraw|{draft.id}", "danger"))


def _tells(draft: Draft, known: Known) -> Choice:
    words = known.words
    options = [Button(cards.clip(words(f"pull.tells.{one}"), LABEL), f"pull.tells|{draft.id}.{one}") for one in TELLS]
    return Choice(cards.clip(words("pull.tells", now=words(f"pull.tells.{known.person.tells}")), LABEL), tuple(options))


# --- news


def counts(one: News, tells: str) -> bool:
    """Whether somebody who chose so wants to hear it: of the end they do, unless they want to hear nothing."""
    if one.kind in ("merged", "closed") or (one.needs and tells == "mine"):
        return tells != "none"
    return tells == "all" and one.kind != "opened"


def message(draft: Draft, pull: Pull, news: list[News], found: PullFound, known: Known) -> Card:
    """What is new, in a message of its own: remarks quoted, the failing lines with what they belong to, and the ways on."""
    words = known.words
    told = [line for one in news for line in _told(one, draft, pull, found, known)]
    buttons = {button.token: button for _, more in told for button in more}
    lines = [line for line, _ in told] + _found(news, known)
    title = cards.clip(words("pull.news", number=pull.number, name=cards.name_of(draft, words)), TITLE)
    return Card(title, _blocks(lines, words("pull.rest", url=pull.url)), tuple(buttons.values())[:PRESSED])


def _blocks(lines: list[str], rest: str) -> tuple[Block, ...]:
    """The lines as they fit; `rest` says where those are that do not."""
    text = ""
    for line in lines:
        if len(text) + len(line) > ROOM:
            text = f"{text}\n{rest}"
            break
        text = f"{text}\n{line}" if text else line
    return (Text(text),) if text else ()


def _found(news: list[News], known: Known) -> list[str]:
    """What our own checks say of the draft as it is now, where a check failed: they know what would mend it."""
    finding = known.finding()
    if finding is None or not any(one.kind == "checks.failed" for one in news):
        return []
    return [known.words("pull.new.fix", why=cards.say_problem(known.words, one)) for one in finding.problems[:SHOWN]]


def _told(one: News, draft: Draft, pull: Pull, found: PullFound, known: Known) -> Iterator[tuple[str, tuple[Button, ...]]]:
    words = known.words
    match one.kind:
        case "checks.failed":
            check = next((check for check in pulls.failing(pull) if check.name == one.what), Check(one.what, "failed"))
            yield from _failed(check, draft, found, words)
        case "label" | "unlabel" | "stale":
            yield _of_label(one, draft, pull, known)
        case "remark" | "changes" | "lgtm":
            remark = next((remark for remark in pull.remarks if remark.name == one.what), None)
            if remark:
                yield _said(one, remark, draft, found, words)
        case "stale.soon":
            days = _days(pulls.stale_at(pull, known.hub.rules), pull.read)
            yield words(f"pull.new.stale.soon{'' if days > 1 else '.now'}", days=days), (_still(draft, words),)
        case "closed":
            yield words("pull.new.closed"), ()
            yield from _last(draft, pull, words)
        case kind:
            yield words(f"pull.new.{kind}", count=len(pulls.agreed(pull)), most=known.hub.rules.lgtms), ()


def _of_label(one: News, draft: Draft, pull: Pull, known: Known) -> tuple[str, tuple[Button, ...]]:
    words = known.words
    if one.kind == "stale":
        days = _days(pulls.closes_at(pull, known.hub.rules), pull.read)
        return words(f"pull.new.stale{'' if days > 1 else '.now'}", days=days), (_still(draft, words),)
    return words(f"pull.new.{one.kind}", name=cards.quoted(one.what, 60), means=meaning(one.what, words)), ()


def _still(draft: Draft, words: Words) -> Button:
    return cards.button(words, "pull.still", f"pull.still|{draft.id}", "good")


def _days(at: float | None, now: float) -> int:
    return max(0, math.ceil(((at or now) - now) / pulls.DAY_S))


def _said(one: News, remark: Remark, draft: Draft, found: PullFound, words: Words) -> tuple[str, tuple[Button, ...]]:
    """A remark, quoted, with the part of the draft that it is about."""
    spot = _spot(remark.path, remark.line, found)
    where = words("pull.on", what=_part(spot, draft, words)) if spot else ""
    by, text = cards.quoted(remark.by, 40), _quote(remark.text)
    line = words(f"pull.new.{one.kind}", by=by, where=where, text=text) if text else words(f"pull.new.{one.kind}.bare", by=by)
    answer = cards.button(words, "pull.answer", f"pull.answer|{draft.id}.{remark.name}")
    return line, (answer, *_edits(spot, draft, words))


def _last(draft: Draft, pull: Pull, words: Words) -> Iterator[tuple[str, tuple[Button, ...]]]:
    """What somebody else said last, which may be why it was closed."""
    said = [one for one in pull.remarks if one.by != pull.author and one.text.strip()]
    if said:
        answer = cards.button(words, "pull.answer", f"pull.answer|{draft.id}.{said[-1].name}")
        yield words("pull.new.last", by=cards.quoted(said[-1].by, 40), text=_quote(said[-1].text)), (answer,)


def _quote(text: str) -> str:
    return cards.quoted(" ".join(text.split()), QUOTE) if text.strip() else ""


def _failed(check: Check, draft: Draft, found: PullFound, words: Words) -> Iterator[tuple[str, tuple[Button, ...]]]:
    """A check that failed: each note with the line that it is about, and where in the draft that is mended."""
    name = cards.quoted(check.name, 60)
    if not check.notes:
        why = words("pull.new.check.why", why=cards.quoted(check.summary, LINE)) if check.summary else ""
        yield f"{words('pull.new.checks.failed', name=name)} {why}".strip(), ()
        return
    yield words("pull.new.checks.failed", name=name), ()
    for note in check.notes[:SHOWN]:
        spot = _spot(note.path, note.line, found)
        quote = f"`{cards.clip(spot.text.replace('`', ' '), LINE)}`" if spot and spot.text else cards.quoted(note.path, LINE)
        where = words("pull.on", what=_part(spot, draft, words)) if spot else ""
        said = cards.quoted(" ".join(note.text.split()), LINE)
        yield words("pull.new.note", line=note.line, where=where, quote=quote, text=said), _edits(spot, draft, words)


def _spot(path: str, line: int, found: PullFound) -> Spot | None:
    return found.spots.get(line) if path.endswith("qna.yaml") else None


def _part(spot: Spot, draft: Draft, words: Words) -> str:
    return words("pull.example", number=spot.part) if spot.page == EXAMPLE else cards.page_name(draft, spot.page, words)


def _edits(spot: Spot | None, draft: Draft, words: Words) -> tuple[Button, ...]:
    """The button that opens that part of the draft; examples are counted in the order that they have now."""
    if spot is None:
        return ()
    to = f"draft.edit|{draft.id}.{spot.page}"
    if spot.page == EXAMPLE:
        order = form.parts(FORMS[draft.form].page(EXAMPLE), draft.answers)
        if not 0 < spot.part <= len(order):
            return ()
        to = f"{to}.{order[spot.part - 1]}"
    return (cards.button(words, "pull.edit", to, what=_part(spot, draft, words)),)
