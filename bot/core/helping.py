"""`/help`: every command that somebody may give, by topic and in one message; `/help NAME` explains one."""

from collections.abc import Collection

from bot.core import cards
from bot.core.known import Known
from bot.core.talk import Answer, Effect

# Each command stands under one topic; what each is for, `/help NAME` says.
TOPICS = {
    "ask": ("ask", "chat", "model", "compare", "forget"),
    "begin": ("skill", "grounded", "knowledge", "upload", "draft"),
    "write": ("edit", "delete", "move", "place", "find", "undo", "preview", "invite", "discard"),
    "try": ("precheck", "generate", "samples", "more", "train", "cancel"),
    "submit": ("submit", "status", "github", "triage"),
    "you": ("quota", "privacy", "link", "help"),
    "operate": ("setup", "admin"),
}


def told(known: Known, may: Collection[str], text: str) -> list[Effect]:
    """The commands of `may` by topic, or what the one that `text` names does."""
    if typed := text.strip().removeprefix("/").casefold():
        return [_one(known, may, typed)]
    lines = [_topic(known, topic, [name for name in names if name in may]) for topic, names in TOPICS.items()]
    tail = [known.words(name) for name in ("help.one", "help.tail", known.note) if name]
    return [Answer("\n".join((known.words("help.lead"), *filter(None, lines), *tail)), private=True, open=True)]


def _topic(known: Known, topic: str, names: list[str]) -> str:
    listed = " ".join(f"`/{name}`" for name in names)
    return f"- {known.words(f'help.topic.{topic}')}: {listed}" if names else ""


def _one(known: Known, may: Collection[str], typed: str) -> Answer:
    """What a command does; it may be called as the platform's menus call it in the person's language."""
    words = known.words
    called = {words(f"menu.{name}.name"): name for name in may if words.has(f"menu.{name}.name")}
    name = typed if typed in may else called.get(typed, "")
    if not name:
        return Answer(words("command.unknown", name=cards.quoted(typed)), private=True)
    return Answer(words(f"command.{name}"), private=True, open=True)
