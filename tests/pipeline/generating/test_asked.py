"""An answer is on disk before anything is made of it, whole and as it was asked for; a wrong one is asked for once more."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import Invalid, Problem, Temporary
from pipeline.generating import recipes
from pipeline.generating.asked import Asking, Out
from pipeline.generating.memo import Memo
from pipeline.generating.recipes import Recipe
from pipeline.journal import Journal
from tests.conftest import HOME
from tests.pipeline.generating.scripted import Scripted, Told, listed

RECIPES: dict[str, Recipe] = {"freeform": recipes.load(HOME, "freeform"), "knowledge": recipes.load(HOME, "knowledge")}
QUESTIONS, JUDGE, ANSWERS, _ = RECIPES["freeform"].steps
PAIRS = RECIPES["knowledge"].steps[0]
GIVEN = {"task": "Teach it.", "question": "Why?"}


@pytest.fixture
def memo(tmp_path: Path) -> Iterator[Memo]:
    with Journal(tmp_path / "log", 1, sync=False) as journal:
        yield Memo(journal)


class Heard:
    """Takes the entries of a list; each must be on disk by then."""

    def __init__(self, memo: Memo) -> None:
        self.memo = memo
        self.entries: list[tuple[int, Any]] = []

    async def __call__(self, at: int, item: Any) -> None:
        assert any(self.memo.get(id) == {"item": item} for id in self.memo.journal)
        self.entries.append((at, item))


async def text(memo: Memo, *told: Told, step: recipes.Step = ANSWERS) -> tuple[Out, Scripted]:
    model = Scripted(*told)
    asking = Asking.of(step, model.model(), GIVEN)
    out = await asking.ask(memo)
    known = asking.known(memo)
    assert known and (known.found, known.why, known.wrong) == (out.found, out.why, out.wrong)
    assert model.told == []
    return out, model


async def listing(memo: Memo, *told: Told, step: recipes.Step = QUESTIONS) -> tuple[Out, list[tuple[int, Any]], Scripted]:
    model, heard = Scripted(*told), Heard(memo)
    asking = Asking.of(step, model.model(), GIVEN)
    out = await asking.ask(memo, heard)
    known = asking.known(memo)
    assert known and (known.found, known.why) == (out.found, out.why)
    assert asking.entries(memo, known) == [item for _, item in heard.entries]
    assert model.told == []
    return out, heard.entries, model


async def test_a_text_is_taken_as_data_without_blanks_around_it(memo: Memo) -> None:
    told = json.dumps({"answer": "  So it is.\n"})

    out, model = await text(memo, told)

    assert out == Out({"answer": "So it is."}, chars=len(told))
    assert model.asked == [ANSWERS.messages(GIVEN)]


async def test_what_was_not_asked_for_is_not_kept(memo: Memo) -> None:
    deep = "[" * 300 + "]" * 300
    out, _ = await text(memo, f'{{"answer": "So.", "more": 1e999, "deep": {deep}}}')
    score, _ = await text(memo, '{"reason": "Good.", "score": 1.0, "more": 1e999}', step=JUDGE)
    pair, entries, _ = await listing(memo, '{"pairs": [{"question": "Q", "answer": "A", "more": 1e999}]}', step=PAIRS)

    assert (out.found, score.found, pair.found) == ({"answer": "So."}, {"reason": "Good.", "score": 1.0}, 1)
    assert entries == [(0, {"question": "Q", "answer": "A"})]


async def test_halves_of_surrogate_pairs_are_made_what_can_be_sent_on(memo: Memo) -> None:
    out, _ = await text(memo, '{"answer": "a\\ud800b"}')

    assert out.found == {"answer": "a?b"}


@pytest.mark.parametrize("wrong", ["So it is.", '{"answer": 7}', '{"answer": ""}', "{}", "[" * 5000, '{"answer": "So'])
async def test_an_answer_that_does_not_fit_is_asked_for_once_more_with_what_was_wrong(memo: Memo, wrong: str) -> None:
    good = '{"answer": "So."}'

    out, model = await text(memo, wrong, good)

    assert (out.found, out.why, out.chars) == ({"answer": "So."}, "", len(wrong + good))
    first, again = model.asked
    assert list(again[: len(first)]) == list(first)
    assert again[len(first)] == {"role": "assistant", "content": wrong[:1000]}
    assert "cannot be used" in str(again[-1]["content"])


@pytest.mark.parametrize(("end", "why"), [("stop", "malformed"), ("length", "cut")])
async def test_what_does_not_fit_twice_is_kept_with_why_and_not_asked_for_again(memo: Memo, end: str, why: str) -> None:
    out, _ = await text(memo, "no", ('{"answer": "So it', end))

    assert (out.found, out.why) == (None, why)
    assert out.wrong.startswith("it is no JSON")


async def test_a_wrong_answer_that_is_too_long_to_be_asked_about_is_malformed_and_no_failure(memo: Memo) -> None:
    out, _ = await text(memo, "no", Invalid(Problem("model.overflow", "it is too long")))

    assert (out.why, out.chars) == ("malformed", 2)
    assert "it could not be asked again: it is too long" in out.wrong


async def test_a_request_that_fails_leaves_nothing_behind(memo: Memo) -> None:
    for told in (Temporary("busy", kind="busy"), ('{"answer": "So', Temporary("torn"))):
        with pytest.raises(Temporary):
            await text(memo, told)

    assert len(memo.journal) == 0
    assert not Asking.of(ANSWERS, Scripted().model(), GIVEN).begun(memo)


async def test_entries_are_handed_on_one_by_one_once_the_disk_has_them(memo: Memo) -> None:
    out, entries, model = await listing(memo, listed(" One? ", "Two?"))

    assert (out.found, out.why, out.chars) == (2, "", len(listed(" One? ", "Two?")))
    assert entries == [(0, "One?"), (1, "Two?")]
    assert len(model.asked) == 1


async def test_more_entries_than_were_asked_for_are_not_taken(memo: Memo) -> None:
    out, entries, _ = await listing(memo, listed(*(f"Question {at}?" for at in range(9))))

    assert (out.found, len(entries)) == (QUESTIONS.config.each, 6)


async def test_a_list_that_was_cut_keeps_its_whole_entries(memo: Memo) -> None:
    out, entries, model = await listing(memo, (listed("One?", "Two?", "Three?")[:-10], "length"))

    assert (out.found, out.why, entries) == (2, "", [(0, "One?"), (1, "Two?")])
    assert len(model.asked) == 1


@pytest.mark.parametrize(
    ("second", "why"),
    [("no list", "malformed"), (('{"questions": ["On', "length"), "cut"), (listed(), "empty"), (listed(7), "malformed")],
)
async def test_a_list_without_an_entry_is_asked_for_once_more_and_then_says_why(memo: Memo, second: Told, why: str) -> None:
    out, entries, model = await listing(memo, "no list", second)

    assert (out.found, out.why, entries) == (0, why, [])
    assert len(model.asked) == 2


async def test_an_empty_list_is_what_it_is(memo: Memo) -> None:
    out, _, model = await listing(memo, listed())

    assert (out.found, out.why, len(model.asked)) == (0, "empty", 1)


async def test_of_a_list_that_was_torn_the_entries_that_are_on_disk_count_at_their_places(memo: Memo) -> None:
    with pytest.raises(Temporary):
        await listing(memo, (listed("One?", "Two?", "Three?", "Four?")[:-4], Temporary("torn")))
    assert Asking.of(QUESTIONS, Scripted().model(), GIVEN).begun(memo)
    assert Asking.of(QUESTIONS, Scripted().model(), GIVEN).known(memo) is None

    out, entries, _ = await listing(memo, listed("Another?", "List?"))

    assert (out.found, entries) == (3, [(0, "One?"), (1, "Two?"), (2, "Three?")])


async def test_what_was_asked_has_the_same_id_only_where_the_answer_would_be_the_same() -> None:
    model = Scripted().model()

    def id(step: recipes.Step = QUESTIONS, who: Any = model, **given: Any) -> str:
        return Asking.of(step, who, GIVEN | given).id

    others = [id(task="Other."), id(ANSWERS), id(who=Scripted().model("other")), id(turn=1), id(facet={"form": "a list"})]
    assert len({id(), *others}) == 6
    assert id(turn=0) == id() == id(question="Not given by this step.")
    assert id(JUDGE, turn=1) == id(JUDGE)
