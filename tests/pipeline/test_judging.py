"""Measures and votes weighed: each clear case decides, each contradiction is uncertain, and who cannot judge has no say."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.judging.measures import Likeness, cosine, likeness, rouge_l, words
from pipeline.judging.weighing import (
    DECIDED,
    ODDS,
    PLAIN,
    TRUSTED,
    WEIGHT,
    Better,
    Judged,
    Kind,
    Vote,
    evidence,
    judged,
    trusted,
    verdict,
)


def votes(*better: Better) -> list[Vote]:
    """The first half in one order, the second in the other."""
    half = len(better) // 2
    return [Vote(at >= half, one, f"because {one}") for at, one in enumerate(better)]


KNOWS, LACKS = votes("same", "same", "said", "same"), votes("wanted", "wanted", "wanted", "wanted")
LEANS = votes("same", "same", "same", "wanted")
BIASED, SPLIT = votes("wanted", "wanted", "said", "said"), votes("wanted", "same", "same", "wanted")
BROKEN, HALF = votes("", "", "", ""), votes("same", "same", "", "")


# --- measures


@pytest.mark.parametrize(
    ("wanted", "said", "alike"),
    [
        ("12 coins", " 12  COINS. ", "same"),
        ("item: lamps | count: 3", "Item: lamps, count: 3", "near"),
        ("The ship left the old harbour at six in the morning", "the ship left the harbour at six in the morning", "near"),
        ("The ship did leave the old harbour at six", "The ship did not leave the old harbour at six", "between"),
        ("The lamp costs 12 coins.", "The lamp costs 13 coins.", "number"),
        ("1788", "It was built in 1789", "apart"),
        ("1788", "1789", "number"),
        ("1,000 coins", "1000 coins", "near"),
        ("It has 3 lamps", "It has three lamps", "between"),
        ("12 coins", "The lamp costs 12 coins.", "within"),
        ("positive", "This is not positive.", "between"),
        ("Fish is sold on the quay.", "I like trains very much", "apart"),
        ("The offer is two chairs", "Two chairs are on offer today", "between"),
        ("猫が好きです", "猫が好きでした", "between"),
        ("yes", "no", "apart"),
        ("…", "?", "apart"),
    ],
)
def test_words_say_what_two_answers_have_in_common(wanted: str, said: str, alike: Likeness) -> None:
    assert likeness(wanted, said) == alike


def test_rouge_l_is_the_longest_common_subsequence_over_both_lengths() -> None:
    assert (rouge_l("a b c d", "a x c d e"), rouge_l("a", ""), rouge_l("", "")) == (2 * 3 / 9, 0.0, 0.0)


def test_words_are_in_lower_case_without_marks_and_an_apostrophe_stays() -> None:
    assert words("Don't: 1,234.5 | Öl_2") == ["don't", "1234", "5", "öl_2"]


@given(st.text(), st.text())
def test_likeness_asks_no_order(one: str, other: str) -> None:
    assert rouge_l(one, other) == rouge_l(other, one)
    assert (likeness(one, other) == "same") == (likeness(other, one) == "same")


def test_a_cosine_is_one_for_the_same_direction_and_nothing_for_no_vector() -> None:
    assert (round(cosine([1, 2], [2, 4]), 9), cosine([1, 0], [0, 1]), cosine([0, 0], [1, 1])) == (1.0, 0.0, 0.0)


# --- one answer


@pytest.mark.parametrize(
    ("kind", "cast", "state", "why"),
    [
        ("same", [], "known", "same"),
        ("empty", [], "gap", "empty"),
        ("refused", [], "gap", "refused"),
        ("long", [], "uncertain", "long"),
        ("cut", [], "uncertain", "cut"),
        ("between", [], "uncertain", "unjudged"),
        # a judge that sees clearly decides what words do not
        ("between", KNOWS, "known", "judge"),
        ("between", LACKS, "gap", "judge"),
        ("between", LEANS, "known", "judge"),
        ("cut", LACKS, "gap", "judge"),
        # votes that say nothing
        ("between", BIASED, "uncertain", "biased"),
        ("between", SPLIT, "uncertain", "split"),
        ("between", BROKEN, "uncertain", "broken"),
        ("between", HALF, "uncertain", "broken"),
        ("cut", BIASED, "uncertain", "cut"),
        # clear words need no judge, and only one that is sure of the contrary stops them
        ("near", [], "known", "near"),
        ("near", BIASED, "known", "near"),
        ("near", BROKEN, "known", "near"),
        ("near", KNOWS, "known", "judge"),
        ("near", LACKS, "uncertain", "disagree"),
        ("number", [], "gap", "number"),
        ("number", LEANS, "gap", "number"),
        ("number", KNOWS, "uncertain", "disagree"),
        ("within", BROKEN, "known", "within"),
        ("within", LACKS, "gap", "judge"),
        ("apart", [], "gap", "apart"),
        ("apart", SPLIT, "gap", "apart"),
        ("apart", LACKS, "gap", "judge"),
        ("apart", LEANS, "uncertain", "disagree"),
        ("apart", KNOWS, "known", "judge"),
    ],
)
def test_words_and_votes_together_decide(kind: Kind, cast: list[Vote], state: str, why: str) -> None:
    found = judged(kind, cast)

    assert (found.state, found.why) == (state, why)
    assert found.confidence >= 0.8 if state != "uncertain" else found.confidence < 0.8


@pytest.mark.parametrize(
    ("kind", "state", "why"),
    [("between", "uncertain", "untrusted"), ("near", "known", "near"), ("apart", "gap", "apart"), ("cut", "uncertain", "cut")],
)
@pytest.mark.parametrize("cast", [KNOWS, LACKS, BIASED, SPLIT])
def test_a_judge_that_failed_its_trials_has_no_say(cast: list[Vote], kind: Kind, state: str, why: str) -> None:
    assert judged(kind, cast, trusted=False) == Judged(judged(kind, []).state, judged(kind, []).known, why)  # type: ignore[arg-type]
    assert judged(kind, cast, trusted=False).state == state


def test_the_judges_own_reason_is_one_that_speaks_for_what_was_decided() -> None:
    assert (judged("between", LEANS).quote, judged("apart", []).quote) == ("because same", "")
    assert judged("between", votes("same", "wanted", "wanted", "wanted")).quote == "because wanted"


@given(
    st.sampled_from(sorted(set(WEIGHT) - set(PLAIN))),
    st.lists(st.sampled_from(["wanted", "said", "same", ""]), min_size=4, max_size=4),
)
def test_swapping_the_orders_changes_nothing(kind: Kind, better: list[Better]) -> None:
    there, back = votes(*better), votes(*better[2:], *better[:2])

    assert evidence(there) == evidence(back)
    assert (judged(kind, there).state, judged(kind, there).known) == (judged(kind, back).state, judged(kind, back).known)


@given(st.sampled_from(sorted(WEIGHT)), st.integers(1, 4))
def test_a_judge_that_always_takes_the_same_place_changes_nothing(kind: Kind, count: int) -> None:
    first = [Vote(swapped, "said" if swapped else "wanted") for swapped in (False, True) for _ in range(count)]

    assert (judged(kind, first).state, judged(kind, first).known) == (judged(kind, []).state, judged(kind, []).known)


def test_an_answer_is_decided_where_one_order_of_a_judge_speaks_for_it() -> None:
    assert 1 / (1 + ODDS**-DECIDED) == judged("between", votes("same", "same", "same", "wanted")).known == 0.8


# --- trials


def guessed(least: int, count: int) -> float:
    """How likely somebody who guesses one of three is right at least that often."""
    return sum(math.comb(count, right) * (1 / 3) ** right * (2 / 3) ** (count - right) for right in range(least, count + 1))


def test_who_guesses_comes_through_the_trials_in_two_drafts_of_a_hundred() -> None:
    assert trusted(votes(*["wanted"] * 6, "same", "said")) and not trusted(votes(*["wanted"] * 5, *["same"] * 3))  # type: ignore[arg-type]
    assert round(guessed(math.ceil(TRUSTED * 8), 8), 4) == 0.0197


def test_who_always_takes_one_place_or_finds_all_the_same_fails_the_trials() -> None:
    assert not trusted(BIASED * 2) and not trusted(KNOWS) and not trusted(BROKEN) and trusted([])


# --- the draft

KNOWN, GAP = judged("near", []), judged("apart", LACKS)
UNCLEAR = judged("between", BIASED)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([GAP] * 5, "worth"),
        ([GAP] * 4 + [KNOWN], "worth"),
        ([GAP] * 3 + [KNOWN] * 2, "mixed"),
        ([GAP] + [KNOWN] * 4, "known"),
        ([KNOWN] * 5, "known"),
        ([GAP] * 3 + [UNCLEAR] * 2, "worth"),
        ([GAP] * 2 + [UNCLEAR] * 3, "uncertain"),
        ([UNCLEAR] * 5, "uncertain"),
        ([GAP] * 12 + [KNOWN] * 3, "worth"),
    ],
)
def test_a_draft_is_what_four_of_five_questions_are(found: list[Judged], said: str) -> None:
    assert verdict(found)[0] == said


def test_the_confidence_is_the_chance_of_so_many_gaps() -> None:
    half = Judged("gap", 0.5, "judge")
    chances = [verdict([GAP] * 5)[1], verdict([GAP] * 3 + [UNCLEAR] * 2)[1], verdict([UNCLEAR])[1]]

    assert math.isclose(verdict([half] * 5)[1], 6 / 32)  # at least four heads of five coins
    assert chances[0] > 0.99 > 0.8 > chances[1] > 0.7 and chances[2] == 0.0


@given(
    st.lists(st.tuples(st.sampled_from(sorted(WEIGHT)), st.sampled_from([KNOWS, LACKS, BIASED, []])), min_size=1, max_size=20)
)
def test_every_draft_has_a_verdict_and_a_chance(found: list[tuple[Kind, list[Vote]]]) -> None:
    named, chance = verdict([judged(kind, cast) for kind, cast in found])

    assert named in ("worth", "known", "mixed", "uncertain") and 0.0 <= chance <= 1.0 + 1e-9
