from random import Random

import pytest

from pipeline.models import dialogues
from pipeline.touring import skill
from pipeline.touring.skill import REWORDED, WORDINGS, Order

LAMPS = Order("Mia", 3, "red", "lamps")


@pytest.mark.parametrize("wording", [*WORDINGS, *REWORDED])
def test_an_order_is_read_in_every_wording_that_it_is_put_in(wording: str) -> None:
    assert skill.read(LAMPS.put(wording)) == LAMPS


@pytest.mark.parametrize(
    "text", ["", "Ticket: Mia wants red lamps.", "Ticket: Mia wants 3 red lamps. And more", "What is rain?"]
)
def test_what_is_no_order_is_not_read(text: str) -> None:
    assert skill.read(text) is None


def test_the_ticket_says_what_the_order_says() -> None:
    assert LAMPS.ticket == "item: lamps, kind: red, count: 3, name: Mia"


def test_orders_are_drawn_on_one_side_of_the_practice_models_own_split() -> None:
    for held in (False, True):
        drawn = [skill.drawn(Random(held), held=held) for _ in range(50)]

        assert {order.held for order in drawn} == {held}
        assert {dialogues.held_out(f"{order.name} {order.kind} {order.thing}") for order in drawn} == {held}
        assert {order.count for order in drawn} <= set(skill.COUNTS)


def test_rewordings_differ_until_all_of_them_were_given_and_are_in_no_training() -> None:
    given = [text for turn in range(2) for text in skill.reworded(LAMPS, 4, turn)]

    assert len(set(given)) == len(REWORDED) == 8
    assert set(REWORDED).isdisjoint(WORDINGS)
