"""Thumbs steer the requests that are still to be made, and each is shown the same after a restart."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import Invalid, Problem, Temporary
from pipeline.generating import plan, recipes
from pipeline.generating.asked import Asking
from pipeline.generating.leaf import leaf
from pipeline.generating.memo import Memo
from pipeline.generating.plan import Start
from pipeline.generating.rows import Row, Set
from pipeline.generating.steering import CHARS, SHOWN, Steering
from pipeline.journal import Journal
from tests.conftest import HOME
from tests.pipeline.generating.scripted import Scripted, Told, listed

RECIPE = recipes.load(HOME, "freeform")
SEEDS = [{"question": f"Why {at}?", "answer": "So."} for at in range(5)]
LEAF = leaf(json.dumps({"task_description": "Teach it.", "seed_examples": SEEDS}), "a/b")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "log"


def row(id: str) -> Row | None:
    context = "It rains." if id.endswith("c") else ""
    return None if id == "gone" else Row(id, 1, "train", "freeform", "a/b", 1, f"Question {id}?", f"Answer {id}.", context)


class Attempt:
    """An attempt at a run. `thumbs` are what people have thumbed by now, and may change."""

    def __init__(self, folder: Path, fence: int, thumbs: Mapping[str, str]) -> None:
        self.journal = Journal(folder, fence, sync=False)
        self.memo, self.thumbs, self.scripted = Memo(self.journal), dict(thumbs), Scripted()
        models = {"teacher": self.scripted.model(), "judge": self.scripted.model()}
        self.steering = Steering(self.memo, models, lambda: self.thumbs, row)

    def starts(self, which: Set = "train", count: int = 4) -> list[Start]:
        return list(self.steering.steered(plan.starts(LEAF, RECIPE, which, 6 * count)))

    def shown(self, which: Set = "train", count: int = 4) -> list[tuple[Any, Any]]:
        return [(one.given.get("liked"), one.given.get("disliked")) for one in self.starts(which, count)]

    async def ask(self, start: Start, *told: Told) -> None:
        self.scripted.told = list(told)
        asking = Asking.of(start.steps[0], self.scripted.model(), start.given)

        async def heard(at: int, item: Any) -> None:
            pass

        await asking.ask(self.memo, heard)

    def close(self) -> None:
        self.journal.close()


LIKED = [{"question": "Question a?", "answer": "Answer a."}]
DISLIKED = [{"question": "Question b?", "answer": "Answer b."}]


def test_a_request_is_shown_what_was_liked_and_what_was_not(folder: Path) -> None:
    one = Attempt(folder, 1, {"a": "up", "b": "down"})

    assert one.shown() == [(LIKED, DISLIKED)] * 4
    told = json.loads(str(one.starts()[0].steps[0].messages(one.starts()[0].given)[1]["content"]))
    assert (told["liked"], told["disliked"]) == (LIKED, DISLIKED)
    one.close()


def test_without_thumbs_nothing_is_shown_and_nothing_is_written(folder: Path) -> None:
    one = Attempt(folder, 1, {})

    assert one.shown() == [(None, None)] * 4
    assert len(one.journal) == 0
    one.close()


def test_thumbs_that_come_meanwhile_steer_the_requests_after_them(folder: Path) -> None:
    one = Attempt(folder, 1, {})
    found = one.steering.steered(plan.starts(LEAF, RECIPE, "train", 100))

    first = next(found)
    one.thumbs["a"] = "up"
    second = next(found)

    assert (first.given.get("liked"), second.given.get("liked")) == (None, LIKED)
    one.close()


def test_a_request_is_shown_the_same_after_a_restart_whatever_was_thumbed_since(folder: Path) -> None:
    one = Attempt(folder, 1, {"a": "up", "b": "down"})
    shown = one.shown()
    one.close()

    two = Attempt(folder, 2, {"b": "up", "d": "up"})
    more = two.shown(count=6)

    assert more[:4] == shown
    assert more[4] == ([{"question": f"Question {id}?", "answer": f"Answer {id}."} for id in "bd"], None)
    two.close()


async def test_a_list_that_is_written_or_begun_is_not_asked_for_otherwise_by_thumbs(folder: Path) -> None:
    one = Attempt(folder, 1, {})
    done, torn, new = one.starts(count=3)
    await one.ask(done, listed("One?"))
    with pytest.raises(Temporary):
        await one.ask(torn, (listed("One?", "Two?")[:-5], Temporary("torn")))
    one.close()

    two = Attempt(folder, 2, {"a": "up"})

    assert [one.given.get("liked") for one in two.starts(count=3)] == [None, None, LIKED]
    assert "liked" not in new.given
    two.close()


@pytest.mark.parametrize("which", ["unseen", "reworded"])
def test_tests_are_not_steered(folder: Path, which: Set) -> None:
    one = Attempt(folder, 1, {"a": "up"})

    assert set(one.shown(which)) == {(None, None)}
    one.close()


def test_only_the_newest_of_each_kind_that_are_still_there_are_shown(folder: Path) -> None:
    one = Attempt(folder, 1, {**{f"x{at}": "up" for at in range(9)}, "gone": "up", "c": "down"})

    liked, disliked = one.shown()[0]

    assert [each["question"] for each in liked] == [f"Question x{at}?" for at in range(9 - SHOWN, 9)]
    assert disliked == [{"context": "It rains.", "question": "Question c?", "answer": "Answer c."}]
    one.close()


def test_of_long_samples_only_the_beginnings_are_shown(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = replace(row("c") or pytest.fail(), context="word " * 2000, answer="a" * (CHARS + 1))
    one = Attempt(folder, 1, {"c": "up"})
    monkeypatch.setattr(one.steering, "row", lambda id: long)

    [shown] = one.shown()[0][0]

    assert shown["question"] == "Question c?"
    assert shown["answer"] == "a" * (CHARS - 1) + "…"
    assert len(shown["context"]) <= CHARS and shown["context"].endswith("word…")
    one.close()


async def test_a_request_that_is_too_long_with_thumbs_is_made_without_them_and_known_after_a_restart(folder: Path) -> None:
    one = Attempt(folder, 1, {"a": "up"})
    start = one.starts(count=1)[0]
    assert start.given["liked"] == LIKED

    await one.ask(start, Invalid(Problem("model.overflow", "too long")), listed("One?"))

    told = [json.loads(str(messages[1]["content"])) for messages in one.scripted.asked]
    assert ["liked" in each for each in told] == [True, False]
    assert told[1] == {name: text for name, text in told[0].items() if name != "liked"}
    one.close()
    two = Attempt(folder, 2, {})
    again = two.starts(count=1)[0]
    asking = Asking.of(again.steps[0], two.scripted.model(), again.given)
    out = asking.known(two.memo)
    assert out and asking.entries(two.memo, out) == ["One?"]
    two.close()


@pytest.mark.parametrize(("thumbs", "code"), [({}, "model.overflow"), ({"a": "up"}, "model.refused")])
async def test_what_is_too_long_without_thumbs_or_refused_for_anything_else_is_not_made_again(
    folder: Path, thumbs: Mapping[str, str], code: str
) -> None:
    one = Attempt(folder, 1, thumbs)

    with pytest.raises(Invalid, match="no"):
        await one.ask(one.starts(count=1)[0], Invalid(Problem(code, "no")))

    assert len(one.scripted.asked) == 1
    one.close()
