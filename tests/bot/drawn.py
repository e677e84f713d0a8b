"""Whatever talk allows, drawn by chance: what the tests of a platform's messages and dialogs are given.

A platform brings the texts, in which its own markup stands. What is "plain" reads there as in the terminal.
"""

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from bot.core import talk
from bot.core.cards import prose as typed
from bot.core.talk import Attached, Bar, Button, Card, Choice, Code, Dialog, Field, Steps, Text

Drawn = SearchStrategy

LINE = st.text("abc äß 123 ?!", min_size=1, max_size=talk.LABEL).map(str.strip).filter(bool)
LABELS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=talk.LABEL)
TOKENS = st.text("abcdef.|0123456789", min_size=1, max_size=talk.TOKEN)
BUTTONS = st.builds(Button, LABELS, TOKENS, st.sampled_from(("plain", "good", "danger")))
STATES = st.sampled_from(("done", "now", "open", "wrong"))
PAIRS = st.lists(st.tuples(st.text("abc-", min_size=1, max_size=20), LINE), max_size=talk.OPTIONS, unique_by=lambda one: one[0])
NAMES = st.text("abcdef_", min_size=1, max_size=20)
HINTS = st.text(st.characters(codec="utf-8"), max_size=talk.FIELD_HINT)
PLAIN_BUTTONS = st.builds(Button, LINE, TOKENS)
PLAIN_ROWS = st.lists(PLAIN_BUTTONS, max_size=7, unique_by=lambda one: one.token).map(tuple)


def bounded(blocks: list[talk.Block]) -> tuple[talk.Block, ...]:
    """The blocks without the texts that a card cannot have any more."""
    left, kept = talk.CARD, []
    for block in blocks:
        left -= len(block.text) if isinstance(block, Text) else 0
        if left >= 0:
            kept.append(block)
    return tuple(kept)


def cards(short: Drawn[str], written: Drawn[str]) -> Drawn[Card]:
    """Cards of texts that are `written`, and of codes that repeat a `short` one."""
    steps = st.builds(Steps, st.lists(st.tuples(written, STATES), min_size=1, max_size=25).map(tuple))
    codes = st.builds(
        Code,
        written | st.builds(str.__mul__, short, st.integers(0, 40)),
        st.sampled_from(("", "yaml", "c d")),
        short.map(lambda name: name[:150]),
    )
    bars = st.builds(Bar, st.floats(0, 1), written) | st.builds(Attached, short.map(lambda name: name[:150]), written, written)
    texts = written.filter(bool).map(lambda text: Text(text[: talk.TEXT]))
    return st.builds(
        Card,
        written.map(lambda title: title[: talk.TITLE]),
        st.lists(texts | steps | codes | bars, max_size=talk.BLOCKS).map(bounded),
        st.lists(BUTTONS, max_size=talk.BUTTONS, unique_by=lambda one: one.token).map(tuple),
        st.none() | st.builds(Choice, LABELS, st.lists(BUTTONS, min_size=1, max_size=talk.OPTIONS).map(tuple)),
    )


def dialogs(written: Drawn[str]) -> Drawn[Dialog]:
    """Dialogs of every kind of field, some filled in with what is `written`."""
    fields = st.one_of(
        st.builds(
            Field,
            NAMES,
            st.text(st.characters(codec="utf-8"), min_size=1, max_size=talk.FIELD_LABEL),
            written.map(lambda value: value[: talk.FIELD_TEXT]),
            HINTS,
            lines=st.booleans(),
            required=st.booleans(),
            options=PAIRS.map(tuple),
        ),
        st.builds(Field, NAMES, st.just("File"), hint=HINTS, required=st.booleans(), kind=st.just("file")),
        st.builds(
            Field,
            NAMES,
            st.just("Box"),
            st.sampled_from(("yes", "no")),
            options=st.just((("yes", "Yes"), ("no", "No"))),
            kind=st.just("check"),
        ),
    )
    return st.builds(
        Dialog,
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=talk.DIALOG_TITLE),
        TOKENS,
        st.lists(fields, min_size=1, max_size=talk.DIALOG_FIELDS, unique_by=lambda one: one.name).map(tuple),
        st.just("Save"),
    )


def plain_texts(signs: str, address: str) -> Drawn[str]:
    """Texts that somebody typed with these signs, and texts of ours around them, with a link to the address."""
    said = st.text(signs, min_size=1, max_size=90).map(typed)
    marked = st.builds("{} **{}** {} `{}` [{}]({})\n- {}".format, said, LINE, said, LINE, LINE, st.just(address), said)
    return (said | marked).filter(lambda text: 0 < len(text) <= 600)


def plain_cards(texts: Drawn[str], signs: str) -> Drawn[Card]:
    """Cards of such texts, and of codes with these signs, some too long to be shown."""
    steps = st.builds(Steps, st.lists(st.tuples(LINE, STATES), min_size=1, max_size=9).map(tuple))
    codes = st.builds(
        Code,
        st.text(signs, max_size=60).flatmap(lambda text: st.sampled_from((text, text * 60))),
        st.just("yaml"),
        st.sampled_from(("qna.yaml", "a.txt")),
    )
    return st.builds(
        Card,
        LINE,
        st.lists(texts.map(Text) | steps | codes | st.builds(Bar, st.floats(0, 1), LINE), max_size=4).map(tuple),
        PLAIN_ROWS,
        st.none()
        | st.builds(Choice, LINE, st.lists(PLAIN_BUTTONS, min_size=1, max_size=5, unique_by=lambda one: one.token).map(tuple)),
    )


def plain_fields(labels: Drawn[str]) -> Drawn[tuple[Field, ...]]:
    """The fields of a dialog, to be typed into or to be chosen from."""
    fields = st.one_of(
        st.builds(Field, NAMES, labels, st.text("ab c\n*_", max_size=40), st.just("") | LINE, lines=st.booleans()),
        st.builds(
            lambda name, label, pairs: Field(name, label, pairs[0][0], options=tuple(pairs)), NAMES, labels, PAIRS.filter(bool)
        ),
    )
    return st.lists(fields, min_size=1, max_size=5, unique_by=lambda one: one.name).map(tuple)
