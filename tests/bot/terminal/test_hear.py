"""What is typed at the terminal becomes acts, and none of it gets lost."""

import asyncio
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.talk import Answer, Button, Card, Choice, Command, Event, Said
from bot.pack import enclosed
from bot.platforms.terminal.hear import Ear, Filled, Journal, Pressed, Reworded, Uploaded, act_of, read, token_of, upload
from bot.platforms.terminal.plain import typed_lines
from bot.rows import Message
from pipeline.check import SIZE_BYTES
from pipeline.errors import Invalid, Temporary


@pytest.mark.parametrize(
    ("line", "typed"),
    [
        ("hello", Said("hello")),
        ("/edit 2 answer", Command("edit", "2 answer")),
        ("/", Said("/")),
        ("//not a command", Said("//not a command")),
        ("[press] Keep it", Pressed("Keep it")),
        ("[press]Keep it", Pressed("Keep it")),
        ("[file] a/b.yaml", Uploaded("a/b.yaml")),
        ("/file a/b.yaml", Uploaded("a/b.yaml")),
        ("[fill] name=A B | mail=a@b.c", Filled({"name": "A B", "mail": "a@b.c"})),
        (r"[fill] answer=one\ntwo \| three=3", Filled({"answer": "one\ntwo | three=3"})),
        ("[fill]", Filled({})),
        ("[edit] hello again", Reworded("hello again")),
        ("[unsay]", Reworded("")),
        ("[other] thing", Said("[other] thing")),
    ],
)
def test_a_line_is_read_as_it_is_meant(line: str, typed: object) -> None:
    assert read(line) == typed


@given(st.text())
def test_any_line_can_be_read(line: str) -> None:
    assert read(line) is not None


def test_a_file_is_sent_with_all_that_is_in_it_and_with_its_place_in_a_taxonomy(tmp_path: Path) -> None:
    folder = tmp_path / "compositional_skills" / "arts" / "x"
    folder.mkdir(parents=True)
    for path in (folder / "qna.yaml", tmp_path / "qna.yaml"):
        path.write_bytes(b"a: \xff")
    sent = [act_of(f"/file '{path}'") for path in (folder / "qna.yaml", tmp_path / "qna.yaml")]

    files = [act.files[0] for act in sent if isinstance(act, Said)]
    assert [file.name for file in files] == ["compositional_skills/arts/x/qna.yaml", "qna.yaml"]
    assert [(enclosed(file.token), file.size_bytes) for file in files] == [(b"a: \xff", 4)] * 2


def test_a_file_that_is_not_there_or_is_no_entry_is_not_sent_and_says_why(tmp_path: Path) -> None:
    large = tmp_path / "large.yaml"
    large.write_bytes(b"x" * (SIZE_BYTES + 1))
    codes = []
    for path in (tmp_path / "nothing", tmp_path, "a\0b", "~nobody-here/x", "", large):
        with pytest.raises(Invalid) as caught:
            upload(str(path))
        codes.append(caught.value.problems[0].code)

    assert codes == [*["file.unreadable"] * 5, "file.large"]


def test_in_a_screen_buttons_and_dialogs_are_not_typed() -> None:
    typed = [act_of(text) for text in ("[press] Keep it", "[fill] a=b", "/undo", "hello")]

    assert [act.text if isinstance(act, Said) else act for act in typed] == [
        "[press] Keep it",
        "[fill] a=b",
        Command("undo"),
        "hello",
    ]


def shown(number: int, *labels: str, slot: str = "") -> Message:
    buttons = tuple(Button(label, f"{label}|{number}") for label in labels)
    return Message(f"k{number}", "here", number, 0.0, "", Card("t", (), buttons), slot=slot)


def test_a_button_is_found_by_its_label_in_any_case_or_by_an_unambiguous_beginning() -> None:
    talk = [shown(1, "Keep it", "Replace it", "Preview")]

    assert [token_of(label, talk) for label in ("keep IT", "[Keep it]", "Pre", "e", "", "Kept")] == [
        "Keep it|1",
        "Keep it|1",
        "Preview|1",
        "",
        "",
        "",
    ]


def test_of_two_buttons_with_one_label_the_newest_message_is_meant_before_a_card_that_stays() -> None:
    talk = [shown(9, "Submit", slot="draft.k7"), shown(2, "Submit"), shown(3, "Submit")]

    assert token_of("Submit", talk) == "Submit|3"


def test_the_options_of_a_choice_can_be_pressed_too() -> None:
    card = Card("t", (), (), Choice("Change …", (Button("About", "draft.edit|k7.about"),)))

    assert token_of("About", [Message("k", "here", 1, 0.0, "", card)]) == "draft.edit|k7.about"


def event(number: int) -> Event:
    return Event(f"e{number}", 1.0, "p1", "here", Said(f"text {number} \ud800"))


def test_what_a_dead_process_had_not_handed_in_the_next_one_takes_over(tmp_path: Path) -> None:
    old = Journal(tmp_path, Event)
    for number in (1, 2):
        old.add(event(number))
    old.path.rename(tmp_path / "unheard-999999999.jsonl")
    new = Journal(tmp_path, Event)

    assert new.take_over() == [event(1), event(2)]
    assert [path.name for path in tmp_path.iterdir()] == [new.path.name]


def test_a_journal_is_gone_when_everything_in_it_was_heard(tmp_path: Path) -> None:
    journal = Journal(tmp_path, Event)
    journal.add(event(1))
    journal.add(event(2))
    journal.take_out(event(1))
    there = journal.path.exists()
    journal.take_out(event(2))

    assert (there, journal.path.exists()) == (True, False)


def test_a_torn_last_line_does_not_keep_the_others_back(tmp_path: Path) -> None:
    old = Journal(tmp_path, Event)
    old.add(event(1))
    with old.path.open("a", encoding="utf-8") as file:
        file.write('{"is":"Event","id":"e2","at":1.0,"per')
    old.path.rename(tmp_path / "unheard-999999999.jsonl")

    assert Journal(tmp_path, Event).take_over() == [event(1)]


class Shell:
    """The shell's ear, which can be away."""

    def __init__(self) -> None:
        self.heard: list[Event] = []
        self.away = 0

    async def hear(self, event: Event) -> bool:
        if self.away:
            self.away -= 1
            raise Temporary("Redis is away")
        self.heard.append(event)
        return True

    async def idle(self) -> None:
        return


async def test_what_is_typed_while_the_memory_is_away_is_on_disk_and_is_heard_in_order(tmp_path: Path) -> None:
    shell, told = Shell(), []
    shell.away = 2
    ear = Ear(shell, Journal(tmp_path, Event), person="p1", roles=("everyone",), locale="en", away=told.append)  # type: ignore[arg-type]
    await ear.send(Said("one"), "here")
    await ear.send(Said("two"), "here")
    on_disk = [json.loads(line)["act"]["text"] for line in ear.journal.path.read_text(encoding="utf-8").splitlines()]
    task = asyncio.create_task(ear.run())
    await ear.idle()
    task.cancel()

    assert on_disk == ["one", "two"]
    assert [one.act for one in shell.heard] == [Said("one"), Said("two")]
    assert (told, ear.journal.path.exists()) == (["redis", ""], False)


async def test_a_full_disk_is_told_and_the_text_is_heard_all_the_same(tmp_path: Path) -> None:
    shell, told = Shell(), []
    journal = Journal(tmp_path, Event)
    journal.path = Path("/dev/full")
    ear = Ear(shell, journal, person="p1", roles=("everyone",), locale="en", away=told.append)  # type: ignore[arg-type]
    await ear.send(Said("one"), "here")
    journal.path = tmp_path / "unheard.jsonl"
    task = asyncio.create_task(ear.run())
    await ear.idle()
    task.cancel()

    assert (told, [one.act for one in shell.heard]) == (["disk"], [Said("one")])


def test_of_a_transcript_only_what_people_do_is_typed() -> None:
    text = "# A remark\nalice> hello\n  and more\nbot: Hi > there\nalice[press] Keep it\nbot@alice: x\nalice> /submit\n"

    assert typed_lines(text.split("\n")) == ["hello\nand more", "[press] Keep it", "/submit"]


def test_lines_that_are_no_transcript_are_typed_as_they_stand() -> None:
    lines = ["I want to teach it to count", "# not a remark", "a> b", "  indented"]

    assert typed_lines(lines) == lines


def test_an_answer_has_its_buttons_below_it() -> None:
    from bot.platforms.terminal.plain import lines_of

    assert lines_of(Message("k", "here", 1, 0.0, "", Answer("a\nb", buttons=(Button("Go", "a|b"),)))) == ["a", "b", "[Go]"]
