"""Questions: the FAQ's answer with its source, an honest no with what is near, and the way to the maintainers and back.

A question may come at any time, also in the middle of a draft, whose place it never loses. Where the draft waits for a
question that somebody would ask the model, what is typed is taken as that; one press makes it a question to labbot.
"""

from dataclasses import replace

from bot.core import cards, chatting, drafting, form, notices
from bot.core.contribute import FORMS
from bot.core.form import Item
from bot.core.gate import gate
from bot.core.known import Entry, Known, Reply
from bot.core.records import Asked, Conversation, Draft, Kept, Spent
from bot.core.talk import LABEL, Answer, Ask, Button, Effect, Event, Look, Refuse, Save, Show, Submit, short
from bot.core.words import Words

GROUNDED = "grounded"  # the stream that writes an answer from entries
REMEMBERED = 3  # earlier questions that a follow-up may lean on
FOLLOWS_S = 1800.0  # a question after that long follows nothing
LONG = 300  # characters; what is longer is no question
NEAR = 3  # entries that are offered


def is_question(known: Known, text: str) -> bool:
    """Whether a text is put like a question: one short line that ends in ? or begins like one."""
    bare = text.strip()
    if len(bare) > LONG or "\n" in bare:
        return False
    first = bare.casefold().partition(" ")[0].rstrip(",")
    return bare.endswith("?") or not {first, first.partition("'")[0]}.isdisjoint(known.words.spellings("label.asks"))


def wants_to_know(known: Known, text: str) -> bool:
    """Whether a text is put like a question, or asks to be told something; not whether it asks for a thing to be made."""
    bare = " ".join(text.casefold().split())
    return is_question(known, text) or any(f"{bare} ".startswith(f"{one} ") for one in known.words.spellings("label.tells"))


def ask(
    event: Event,
    known: Known,
    question: str,
    *,
    unsure: list[Effect] | None = None,
    sure: float = 0.0,
    offers: bool = True,
) -> list[Effect]:
    """Answer a question.

    `unsure` is what happens instead where the FAQ has no answer, or one below the score `sure`, nor anything near that
    it `offers`.
    """
    history = _history(event, known)
    reply = known.reply()
    if reply is None:
        return [Look("faq", (question, history))]
    if unsure is not None and not ((reply.answered and reply.score >= sure) or (offers and reply.offered)):
        return unsure
    asked = _asked(event, question, history, reply)
    return [
        Save(asked),
        Save(Spent(event.person, "ask", event.at, event.id)),
        Save(remembering(event, known, question)),
        *_said(asked, reply, known),
    ]


def _history(event: Event, known: Known) -> tuple[str, ...]:
    here = known.conversation
    return here.questions if event.at - here.questions_at < FOLLOWS_S else ()


def remembering(event: Event, known: Known, question: str) -> Conversation:
    """The conversation with that question as its newest."""
    questions = (*_history(event, known), question)[-REMEMBERED:]
    return replace(known.conversation, place=event.place, questions=questions, questions_at=event.at)


def _asked(event: Event, question: str, history: tuple[str, ...], reply: Reply) -> Asked:
    return Asked(
        id=short(f"ask:{event.id}"),
        person=event.person,
        place=event.place,
        question=question,
        at=event.at,
        history=history,
        hits=tuple(hit.title for hit in reply.hits),
        answered=reply.answered,
        score=reply.score,
        digest=reply.digest,
    )


def _said(asked: Asked, reply: Reply, known: Known) -> list[Effect]:
    if reply.answered:
        entries = reply.hits[: reply.count]
        return [_written(asked, entries, known) if known.chat.grounded else _answer(asked, entries, known)]
    near = [_near(asked, hit) for hit in reply.hits[:NEAR]]
    name = "faq.offer" if reply.offered else "faq.no" if near else "faq.nothing"
    return [Answer(known.words(name), buttons=(*near, *_model(asked, known), *_maintainers(asked, known)))]


def _answer(asked: Asked, entries: tuple[Entry, ...], known: Known) -> Answer:
    """The facts asked for, each with its source; the rest on demand."""
    return Answer(told(entries, known.words), buttons=_ways(asked, entries, known))


def _written(asked: Asked, entries: tuple[Entry, ...], known: Known) -> Answer:
    """The same, in the model's words where it keeps to the entries; the shell sees to that."""
    subject = " ".join((asked.id, *(entry.id for entry in entries)))
    return Answer(stream=GROUNDED, subject=subject, buttons=_ways(asked, entries, known))


def _ways(asked: Asked, entries: tuple[Entry, ...], known: Known) -> tuple[Button, ...]:
    words = known.words
    more = tuple(_more(asked, entry, len(entries), known) for entry in entries if entry.rest)
    thumbs = (Button(words("button.good"), f"faq.good|{asked.id}"), Button(words("button.bad"), f"faq.bad|{asked.id}"))
    return (*more, *thumbs, *_model(asked, known))


def told(entries: tuple[Entry, ...], words: Words) -> str:
    """What entries say themselves, each with its source."""
    return "\n\n".join(f"{entry.short}\n{words('faq.source', source=_source(entry))}" for entry in entries)


def numbered(number: int, entry: Entry, words: Words) -> str:
    """A source that an answer names by its number."""
    return words("faq.numbered", number=number, source=_source(entry))


def _source(entry: Entry) -> str:
    title = cards.quoted(entry.title)
    return f"[{title}]({entry.link})" if entry.link else title


def _more(asked: Asked, entry: Entry, count: int, known: Known) -> Button:
    label = known.words("button.more") if count == 1 else known.words("button.more_on", title=entry.title)
    return Button(cards.clip(label, LABEL), f"faq.more|{asked.id}.{entry.id}")


def _near(asked: Asked, entry: Entry) -> Button:
    return Button(cards.clip(entry.title, LABEL), f"faq.show|{asked.id}.{entry.id}")


def _model(asked: Asked, known: Known) -> tuple[Button, ...]:
    return (cards.button(known.words, "model", f"faq.model|{asked.id}"),) if chatting.offered(known) else ()


def _maintainers(asked: Asked, known: Known) -> tuple[Button, ...]:
    return (cards.button(known.words, "maintainers", f"faq.forward|{asked.id}"),) if known.maintainers else ()


# --- in the middle of a draft


def aside(event: Event, known: Known, draft: Draft, text: str) -> list[Effect] | None:
    """What to do about a question that is typed while a draft waits for an answer; None if it is that answer."""
    the_form = FORMS[draft.form]
    standing = form.stands(the_form, draft.answers, draft.asked)
    if not is_question(known, text) or (standing and standing.question.options and _chosen(standing, text)):
        return None
    reply = known.reply()
    if reply is None:
        return [Look("faq", (text, _history(event, known)))]
    if not reply.answered or (standing and standing.question.name.startswith("question")):
        return None
    told = ask(event, known, text)
    mine = cards.button(known.words, "mine", f"faq.mine|{short(f'ask:{event.id}')}.{draft.id}")
    here = replace(known, conversation=remembering(event, known, text))
    again = drafting.settle(event, here, draft, lead=known.words("faq.and_now"), offer=(mine,) if standing else ())
    return [*told, *again]


def _chosen(standing: Item, text: str) -> bool:
    return text.strip() in standing.question.options


def meant(known: Known, draft: Draft) -> tuple[Button, ...]:
    """The way out for who asked labbot, and was taken to write what somebody would ask the model."""
    standing = form.stands(FORMS[draft.form], draft.answers, draft.asked)
    reply = known.reply()
    if not standing or not reply or not reply.answered or not standing.question.name.startswith("question"):
        return ()
    return (cards.button(known.words, "meant", f"draft.meant|{draft.id}.{standing.key}"),)


def was_meant(event: Event, known: Known, draft: Draft, key: str) -> list[Effect]:
    """Take an answer out that was a question to labbot, and answer it."""
    question = draft.answers[key]
    if known.reply() is None:
        return [Look("faq", (question, _history(event, known)))]
    page, part, _ = key.split(".")
    gone: dict[str, str | None] = {key: None}
    if not any(other.startswith(f"{page}.{part}.") and other != key for other in draft.answers):
        gone |= form.without_part(FORMS[draft.form].page(page), int(part), draft.answers)
    here = replace(known, conversation=remembering(event, known, question))
    again = drafting.settle(event, here, draft.with_answers(gone), lead=known.words("faq.and_now"))
    return again if isinstance(again[0], Look) else [*ask(event, known, question), *again]


# --- buttons


def press(event: Event, known: Known, verb: str, rest: str) -> list[Effect]:
    """Do what a button under an answer says."""
    asked = known.asked
    if asked is None:
        return [Answer(known.words("press.stale"), private=True)]
    match verb:
        case "more" | "show":
            return _entry(known, asked, verb, rest)
        case "good":
            return [Save(replace(asked, thumb="good")), Answer(known.words("faq.thanks"), private=True)]
        case "bad":
            told = Answer(known.words("faq.sorry"), buttons=_maintainers(asked, known), private=True)
            return [Save(replace(asked, thumb="bad")), told]
        case "model":
            return gate(event, known, "chat") or chatting.chat(event, known, asked.question)
        case "forward":
            return forward(event, known, asked)
        case "answer" if event.place == asked.handed:
            return [Ask(notices.answering(asked, known))]
        case "keep" if asked.reply:
            people = (asked.person, asked.by)
            kept = Kept(asked.id, asked.question, asked.reply, known.person.name, event.at, people)
            return [Save(kept), Answer(known.words("faq.kept"))]
        case "mine" if known.draft and event.person in known.draft.authors:
            return drafting.said(event, known, known.draft, asked.question, "")
        case _:
            return [Answer(known.words("press.stale"), private=True)]


def _entry(known: Known, asked: Asked, verb: str, name: str) -> list[Effect]:
    """An entry that was near, or the rest of one that was shown."""
    if "entry" not in known.found:
        return [Look("entry", name)]
    entry = known.entry()
    if entry is None:
        return [Answer(known.words("press.stale"), private=True)]
    return [Show(notices.rest(entry, known.words))] if verb == "more" else [_answer(asked, (entry,), known)]


# --- the maintainers


def forward(event: Event, known: Known, asked: Asked) -> list[Effect]:
    """Hand a question to the maintainers."""
    if not known.maintainers:
        return [Answer(known.words("faq.nobody"), private=True)]
    if asked.handed:
        return [Answer(known.words("faq.forwarded"), private=True)]
    ping = next(iter(known.maintainer_people), "")
    return [
        Save(replace(asked, handed=known.maintainers)),
        Show(notices.forwarded(asked, known), f"ask.{asked.id}", known.maintainers, ping),
        Answer(known.words("faq.forwarded")),
    ]


def reply(event: Event, known: Known, sent: Submit) -> list[Effect]:
    """Bring what a maintainer wrote back to the one who asked."""
    asked, text = known.asked, sent.values.get("text", "").strip()
    if asked is None or event.place != asked.handed:
        return [Answer(known.words("press.stale"), private=True)]
    if not text:
        return [Refuse(notices.answering(asked, known), {"text": known.words("problem.missing")})]
    answered = replace(asked, reply=text, by=event.person)
    keep = cards.button(known.words, "keep_entry", f"faq.keep|{asked.id}", "good")
    return [
        Save(answered),
        Show(notices.replied(answered, known), f"reply.{asked.id}", asked.place, ping=asked.person),
        Answer(known.words("faq.sent"), buttons=(keep,)),
    ]
