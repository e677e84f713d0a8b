"""The flow is at its end when whoever listens has heard of every sample, and not before."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import Temporary
from pipeline.generating import plan, recipes
from pipeline.generating.asked import Out
from pipeline.generating.flow import Flow
from pipeline.generating.leaf import leaf
from pipeline.generating.memo import Memo
from pipeline.generating.plan import Start
from pipeline.generating.recipes import Step
from pipeline.generating.rows import Row
from pipeline.generating.underway import Sample
from pipeline.journal import Journal
from pipeline.models.endpoint import Piece
from tests.conftest import HOME
from tests.pipeline.generating.scripted import Scripted, Told, listed

SEEDS = [{"question": f"Why {at}?", "answer": "So."} for at in range(5)]
LEAF = leaf(json.dumps({"task_description": "Teach it.", "seed_examples": SEEDS}), "a/b")


class Slow:
    """Hears of a sample only some turns of the loop after it has come to its end, as a disk takes its time."""

    def __init__(self) -> None:
        self.heard: list[Row] = []
        self.through: Counter[str] = Counter()

    def began(self, start: Start) -> None:
        pass

    def passed(self, step: Step, row: Sample) -> None:
        self.through[step.name] += 1

    async def done(self, row: Row) -> None:
        for _ in range(20 * row.number):
            await asyncio.sleep(0)
        self.heard.append(row)

    def lost(self, start: Start, step: Step, out: Out) -> None:
        raise AssertionError(out)

    def repeats(self, row: Row) -> Row | None:
        return None


@pytest.fixture
def memo(tmp_path: Path) -> Iterator[Memo]:
    with Journal(tmp_path / "log", 1, sync=False) as journal:
        yield Memo(journal)


async def flowed(memo: Memo, kind: str, *told: Told) -> Slow:
    """The flow of one request that begins samples; each answer is the next one of those that are told."""
    recipe = recipes.load(HOME, kind, {"unseen": 0})  # type: ignore[arg-type]
    heard, model = Slow(), Scripted(*told).model()
    flow = Flow({"teacher": model, "judge": model}, memo, heard, most={"teacher": 6, "judge": 6})
    await flow.run(plan.starts(LEAF, recipe, "train", 1))
    await memo.close()
    return heard


async def test_the_flow_ends_when_all_samples_were_heard_of(memo: Memo) -> None:
    questions = listed(*(f"Question {at}?" for at in range(6)))

    heard = await flowed(memo, "freeform", questions, *(['{"reason": "Bad.", "score": 0}'] * 6))

    assert sorted(row.number for row in heard.heard) == [1, 2, 3, 4, 5, 6]


async def test_contexts_are_counted_as_what_they_are_asked_about(memo: Memo) -> None:
    bad = '{"reason": "Bad.", "score": 0}'

    heard = await flowed(memo, "grounded", listed("It rains.", of="contexts"), listed("Why?"), bad)

    assert heard.through == {"contexts": 1, "grounded_questions": 1}


async def test_an_endpoint_that_had_nothing_to_do_for_long_is_given_patience(memo: Memo) -> None:
    gone = [0.0]

    class Late(Scripted):
        """Its first answer takes longer than anybody's patience lasts."""

        async def stream(self, *given: Any, **more: Any) -> AsyncGenerator[Piece, None]:
            async for piece in super().stream(*given, **more):
                yield piece
            gone[0] += 1000

    teacher = Late(listed("Question?"), '{"answer": "So."}')
    judge = Scripted(Temporary("cut the connection"), '{"reason": "Good.", "score": 1}', '{"reason": "Good.", "score": 3}')
    heard, recipe = Slow(), recipes.load(HOME, "freeform", {"unseen": 0})
    models = {"teacher": teacher.model(), "judge": judge.model("judge")}
    most = {"teacher": 6, "judge": 6}
    flow = Flow(models, memo, heard, most=most, clock=lambda: gone[0] + time.monotonic(), pause_s=0.01)
    await flow.run(plan.starts(LEAF, recipe, "train", 1))
    await memo.close()

    assert [row.kept for row in heard.heard] == [True]


async def test_an_endpoint_that_answers_nobody_ends_the_flow_however_few_ask_it(memo: Memo) -> None:
    judge = Scripted(*[Temporary("cut the connection")] * 100)
    models = {"teacher": Scripted(listed("Question?")).model(), "judge": judge.model("judge")}
    most, ticks = {"teacher": 6, "judge": 6}, count()
    flow = Flow(models, memo, Slow(), most=most, clock=lambda: float(next(ticks)), patience_s=60, pause_s=0)
    with pytest.raises(Temporary, match="cut"):
        await flow.run(plan.starts(LEAF, recipes.load(HOME, "freeform", {"unseen": 0}), "train", 1))
    await memo.close()

    assert 1 < len(judge.asked) < 50
