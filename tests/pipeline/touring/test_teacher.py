import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import Invalid
from pipeline.generating import recipes
from pipeline.generating.leaf import leaf
from pipeline.models.client import Client, Endpoint
from pipeline.touring import skill, teacher
from pipeline.touring.children import Children
from pipeline.touring.skill import WORDINGS, Order
from pipeline.touring.teacher import Template
from tests.conftest import HOME

SEEDS = [
    Order(*one).put(wording)
    for one, wording in zip(
        [("Mia", 3, "red", "lamps"), ("Tom", 12, "blue", "cups"), ("Eva", 7, "green", "chairs"), ("Sam", 2, "old", "hats")]
        + [("Ida", 5, "small", "books")],
        WORDINGS,
        strict=True,
    )
]
ENTRY = json.dumps(  # which is YAML too
    {
        "version": 3,
        "task_description": "Turn a short order into a ticket",
        "created_by": "mia-lab",
        "seed_examples": [{"question": text, "answer": teacher.ticket(text)} for text in SEEDS],
    }
)
LIST, ANSWER = {"questions": {}}, {"answer": {}}


def score(low: int, high: int) -> dict[str, Any]:
    return {"reason": {}, "score": {"enum": list(range(low, high + 1))}}


def asked(**told: Any) -> str:
    return json.dumps(told)


def shown(*, held: bool) -> list[dict[str, str]]:
    found = leaf(ENTRY, "tour")
    return [
        {"question": pair.question, "answer": pair.answer}
        for one in (found.held if held else found.train)
        for pair in one.pairs
    ]


def test_a_rule_that_does_not_say_what_the_examples_say_teaches_nothing() -> None:
    with pytest.raises(Invalid) as caught:
        Template(ENTRY.replace("count: 7", "count: 8"))

    assert caught.value.problems[0].code == "tour.rule"
    assert "1 of the 5 seed examples" in caught.value.problems[0].message


@pytest.mark.parametrize("held", [False, True])
def test_new_orders_are_of_the_side_that_the_examples_shown_are_on(held: bool) -> None:
    template = Template(ENTRY)
    told = asked(task="x", examples=shown(held=held), wanted=200)
    questions = template.answer(told, LIST)["questions"]
    orders = [order for question in questions if (order := skill.read(question))]

    assert {order.held for order in orders} == {held}
    assert 180 <= len(orders) < len(questions) == 200  # now and then the number is forgotten
    assert template.answer(told, LIST)["questions"] != questions  # asked for again they are others
    assert Template(ENTRY).answer(told, LIST)["questions"] == questions  # and in another process the same
    assert Template(ENTRY, seed=1).answer(told, LIST)["questions"] != questions


def test_answers_are_tickets_and_the_judge_finds_those_that_are_wrong() -> None:
    template = Template(ENTRY)
    questions = [skill.drawn(teacher.Random(at), held=False).put(WORDINGS[at % 5]) for at in range(200)]
    answers = [template.answer(asked(question=question), ANSWER)["answer"] for question in questions]
    right = [answer == teacher.ticket(question) for question, answer in zip(questions, answers, strict=True)]
    scores = [
        template.answer(asked(question=question, answer=answer), score(1, 3))["score"]
        for question, answer in zip(questions, answers, strict=True)
    ]

    assert scores == [3 if one else 1 for one in right]
    assert 180 <= sum(right) < 200


def test_the_judge_drops_questions_that_are_no_orders_and_rewordings_that_ask_for_something_else() -> None:
    template, order = Template(ENTRY), Order("Mia", 3, "red", "lamps")
    other = Order("Mia", 4, "red", "lamps")
    rewording = {"question": order.put(WORDINGS[0]), "answer": order.ticket}

    assert template.answer(asked(question=order.put(WORDINGS[1])), score(0, 1))["score"] == 1
    assert template.answer(asked(question="Ticket: Mia wants red lamps."), score(0, 1))["score"] == 0
    for text in template.answer(asked(question=rewording["question"], wanted=4), LIST)["questions"]:
        assert template.answer(asked(**rewording, reworded=text), score(0, 1))["score"] == 1
    assert template.answer(asked(**rewording, reworded=other.put(WORDINGS[2])), score(0, 1))["score"] == 0


def test_a_vote_is_for_the_ticket_wherever_it_stands() -> None:
    template, order = Template(ENTRY), Order("Mia", 3, "red", "lamps")
    question, better = order.put(WORDINGS[0]), {"reason": {}, "better": {}}

    def vote(first: str, second: str) -> str:
        return str(template.answer(asked(question=question, **{"answer 1": first, "answer 2": second}), better)["better"])

    assert [vote(order.ticket, "No."), vote("No.", order.ticket), vote("No.", "Yes.")] == ["1", "2", "same"]


async def test_the_process_serves_a_recipes_requests(tmp_path: Path) -> None:
    (tmp_path / "qna.yaml").write_text(ENTRY, encoding="utf-8")
    with Children({}, tmp_path / "log") as children:
        told = children.server("pipeline.touring.teacher", str(tmp_path / "qna.yaml"))
        client = Client(Endpoint(told["url"]))
        step = next(one for one in recipes.load(HOME, "freeform").steps if one.name == "answers")
        given = {"task": "x", "examples": shown(held=False), "question": SEEDS[1]}
        found = await client.structured(step.messages(given), step.schema)
        names = [one.id for one in await client.models()]
        await client.close()
        [child] = children.started
        assert child.stdin
        child.stdin.close()  # as when its parent is gone
        ended = child.wait(30)

    assert (told["seeds"], found, names, ended) == (5, {"answer": teacher.ticket(SEEDS[1])}, [teacher.NAME], 0)
