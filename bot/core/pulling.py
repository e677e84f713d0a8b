"""A pull request as its thread hears of it, and what its contributor does about it from there.

What GitHub says comes as `Pulled`: how it stands, and what is new to whom it is told. Its card is edited always; a message of
its own, which notifies, there is only of what the person chose to hear. What they do goes out as a run, once for each press.
"""

from dataclasses import replace

from bot.core import cards, github, pulled, setup
from bot.core.known import Known, PullFound
from bot.core.records import Draft, Person
from bot.core.talk import (
    Answer,
    Ask,
    Card,
    Dialog,
    Effect,
    Event,
    Field,
    Follow,
    Look,
    Moved,
    Pulled,
    Save,
    Show,
    Start,
    Submit,
    Text,
    short,
)
from bot.core.words import Words
from pipeline import pulls
from pipeline.errors import Problem
from pipeline.pulls import Followed, News, Pull, Remark

ACT = "act-"  # how the part of a run's id begins that does something to a pull request; the draft's comes before it
WITHDRAWS = f"{ACT}withdraw-"
LISTED = 15  # of /status
AT_HOME = 5


def slot(draft: Draft) -> str:
    return f"pull.{draft.id}"


def is_act(run: str) -> bool:
    return run.partition(".")[2].startswith(ACT)


# --- what is heard


def heard(event: Event, known: Known, draft: Draft, act: Pulled) -> list[Effect]:
    """Show how it stands; say what is new of what the person wants to hear; note its end."""
    news = [one for one in act.news if pulled.counts(one, known.person.tells) and not _own(one, draft)]
    found = known.pulled()
    wanted = [Look("pull", draft.id)] if news else []
    wanted += [Look("draft", draft)] if any(one.kind == "checks.failed" for one in news) else []
    if looks := [one for one in wanted if one.what not in known.found]:
        return [*looks]
    draft = _noted(draft, act.pull)
    effects: list[Effect] = [Save(draft), Show(pulled.card(draft, act.pull, known), slot(draft), draft.place)]
    if news:
        message = pulled.message(draft, act.pull, news, found or PullFound(), known)
        effects.append(Show(message, place=draft.place, ping=event.person))
    return effects


def _own(one: News, draft: Draft) -> bool:
    """Whether it is the end of a pull request that was withdrawn from here: that was said when it was."""
    return one.kind == "closed" and not draft.pull


def _noted(draft: Draft, pull: Pull) -> Draft:
    """The draft with its pull request's end: one that was closed can be changed and proposed again, or thrown away."""
    match pull.state:
        case "open":
            return replace(draft, pull=f"{pull.repo}#{pull.number}")
        case "closed":
            return replace(draft, pull="", state="open" if draft.state == "submitted" else draft.state)
        case _:
            return replace(draft, pull="")


def opened(effects: list[Effect], draft: Draft, moved: Moved) -> list[Effect]:
    """The effects of a proposal that is done, with its pull request noted in the draft, and followed from now on."""
    repo, number = moved.facts["repo"], int(moved.facts["number"])
    saved = [one for one in effects if isinstance(one, Save) and isinstance(one.what, Draft)]
    last = saved[-1].what if saved else draft
    assert isinstance(last, Draft)
    return [*effects, Save(replace(last, pull=f"{repo}#{number}")), Follow(draft.id, repo, number)]


def acted(event: Event, known: Known, draft: Draft, moved: Moved) -> list[Effect]:
    """The end of a run that did something: say that it is done, or why not, and have the pull request looked at now."""
    if moved.state in ("failed", "cancelled") and draft.pull and moved.run.partition(".")[2].startswith(WITHDRAWS):
        back: list[Effect] = [Show(_sure(draft, known.words), f"withdraw.{draft.id}", draft.place)]
    else:
        back = []
    if moved.state == "failed":
        problem = Problem(moved.facts.get("code", ""), moved.facts.get("cause", ""), facts=moved.facts)
        told = known.words("pull.act.failed", cause=cards.say_problem(known.words, problem))
        buttons = (github.button(known),) if problem.code in github.MENDS else ()
        return [*back, Answer(told, buttons=buttons, place=draft.place)]
    if moved.state != "done":
        return back
    repo, _, number = draft.pull.partition("#")
    looks = [Follow(draft.id, repo, int(number))] if number else []
    if moved.facts.get("act") == "withdraw":
        return [*_withdrawn(known, draft, moved.facts["url"].rpartition("/")[2]), *looks]
    return [Answer(known.words("pull.answered", url=moved.facts.get("url", "")), place=draft.place), *looks]


def _withdrawn(known: Known, draft: Draft, number: str) -> list[Effect]:
    """It is closed: the draft is open again, and can be proposed anew or thrown away. That may be heard of before."""
    gone = Card(
        known.words("pull.withdrawn", number=number),
        (Text(known.words("pull.withdrawn.text")),),
        (cards.button(known.words, "submit.again", f"draft.submit|{draft.id}"),),
    )
    still = draft.pull.endswith(f"#{number}")
    saved: list[Effect] = [Save(replace(draft, pull="", state="open"))] if still else []
    return [*saved, Show(gone, f"withdraw.{draft.id}", draft.place)]


# --- what is pressed


def press(event: Event, known: Known, draft: Draft, verb: str, rest: str) -> list[Effect]:
    found = known.pulled()
    if found is None:
        return [Look("pull", draft.id)]
    if found.pull is None or found.followed is None:
        return [Answer(known.words("pull.none"), private=True)]
    pull = found.pull
    match verb:
        case "tells" if rest in pulled.TELLS:
            return _tells(known, draft, pull, rest)
        case "answer" if remark := _remark(pull, rest):
            return [Ask(_answering(draft, remark, known.words))]
        case "withdraw" if pull.state == "open":
            return [Show(_sure(draft, known.words), f"withdraw.{draft.id}", draft.place)]
        case "really" if pull.state == "open":
            gone = Card(known.words("pull.withdrawing", number=pull.number))
            return [_start(event, known, draft, pull, act="withdraw"), Show(gone, f"withdraw.{draft.id}", draft.place)]
        case "keep":
            return [Show(Card(known.words("pull.kept", number=pull.number)), f"withdraw.{draft.id}", draft.place)]
        case "still" if pull.state == "open":
            return [_start(event, known, draft, pull, act="answer", text=known.words("pull.still")), _said(known, draft)]
        case _:
            return [Show(pulled.card(draft, pull, known), slot(draft), draft.place)]


def _tells(known: Known, draft: Draft, pull: Pull, rest: str) -> list[Effect]:
    person: Person = replace(known.person, tells=rest)  # type: ignore[arg-type]
    card = pulled.card(draft, pull, replace(known, person=person))
    return [Save(person), Show(card, slot(draft), draft.place)]


def _remark(pull: Pull, name: str) -> Remark | None:
    return next((one for one in pull.remarks if one.name == name), None)


def _answering(draft: Draft, remark: Remark, words: Words) -> Dialog:
    hint = cards.clip(words("hint.pull.answer", by=remark.by, text=" ".join(remark.text.split())), 100)
    field = Field("text", words("field.pull.answer"), hint=hint, lines=True)
    return Dialog(words("pull.answering"), f"pull.said|{draft.id}.{remark.name}", (field,), words("button.send"))


def _sure(draft: Draft, words: Words) -> Card:
    buttons = (
        cards.button(words, "pull.really", f"pull.really|{draft.id}", "danger"),
        cards.button(words, "pull.keep", f"pull.keep|{draft.id}"),
    )
    return Card(words("pull.sure", number=draft.pull.partition("#")[2]), (Text(words("pull.sure.text")),), buttons)


def said(event: Event, known: Known, draft: Draft, sent: Submit) -> list[Effect]:
    """Send an answer that was typed in the thread."""
    found, name = known.pulled(), sent.token.rpartition(".")[2]
    if found is None:
        return [Look("pull", draft.id)]
    remark = _remark(found.pull, name) if found.pull else None
    if found.pull is None or remark is None:
        return [Answer(known.words("pull.none"), private=True)]
    text = sent.values.get("text", "").strip()
    start = _start(event, known, draft, found.pull, act="answer", text=text, remark=remark.id, kind=remark.kind)
    return [start, _said(known, draft)]


def _said(known: Known, draft: Draft) -> Answer:
    return Answer(known.words("pull.said"), place=draft.place)


def _start(event: Event, known: Known, draft: Draft, pull: Pull, **inputs: str) -> Start:
    """The run that does it; the same press is the same run, and does it once."""
    key = f"{draft.id}.{WITHDRAWS if inputs['act'] == 'withdraw' else ACT}{short(event.id)}"
    name = known.person.full_name or known.person.name
    whole = {"repo": pull.repo, "number": str(pull.number), "event": f"{event.platform}:{event.id}", "name": name, **inputs}
    return Start(key, "pull", whole, until="act")


# --- /status


def status(event: Event, known: Known, text: str) -> list[Effect]:
    """`/status`, my contributions: pull requests with what each waits for, drafts with what they are."""
    found = known.found.get("pulls")
    if found is None:
        return [Look("pulls", event.person)]
    assert isinstance(found, tuple)
    return [Show(listing(found, known), private=True)]


def home(event: Event, known: Known) -> list[Effect]:
    """The first card, with my newest pull requests where there are any."""
    found = known.found.get("pulls") if known.hub.repo else ()
    if found is None:
        return [Look("pulls", event.person)]
    assert isinstance(found, tuple)
    card = setup.welcome(event, known)
    if not found:
        return [Show(card, slot="home")]
    names = {draft.id: cards.name_of(draft, known.words) for draft in known.drafts}
    newest = sorted(found, key=lambda one: -one[0].since)[:AT_HOME]
    lines = (_line(followed, pull, names.get(followed.draft, ""), known) for followed, pull in newest)
    mine = Text("\n".join((known.words("status.home"), *lines)))
    more = cards.button(known.words, "status", "status.show|")
    return [Show(replace(card, blocks=(*card.blocks, mine), buttons=(*card.buttons, more)), slot="home")]


def listing(found: "tuple[tuple[Followed, Pull | None], ...]", known: Known) -> Card:
    words = known.words
    names = {draft.id: cards.name_of(draft, words) for draft in known.drafts}
    newest = sorted(found, key=lambda one: -one[0].since)[:LISTED]
    lines = [_line(followed, pull, names.get(followed.draft, ""), known) for followed, pull in newest]
    waiting = [one for one in known.drafts if one.id not in {followed.draft for followed, _ in newest}][-cards.LISTED :]
    lines += [
        words("drafts.line", id=one.id, name=cards.quoted(names[one.id]), state=words(f"drafts.{one.state}")) for one in waiting
    ]
    buttons = tuple(cards.button(words, "open", f"draft.open|{one.id}", id=one.id) for one in waiting)
    return Card(words("status.title"), (Text("\n".join(lines) or words("status.none")),), buttons)


def _line(followed: Followed, pull: Pull | None, name: str, known: Known) -> str:
    if pull is None:
        return known.words("status.new", number=followed.pull, name=cards.quoted(name, 60))
    from_ = cards.quoted(name or pull.title, 60)
    stands = known.words(f"pull.{pull.state}") if pull.state != "open" else _waits(pull, known)
    return known.words("status.line", number=pull.number, url=pull.url, name=from_, stands=stands)


def _waits(pull: Pull, known: Known) -> str:
    return known.words(f"pull.waits.{pulls.waits(pull, known.hub.rules)}")
