"""What repeats is found wherever it comes from and in whatever order samples come; what only looks alike is left alone."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.generating import index, near, shingles
from pipeline.generating.index import Index
from pipeline.generating.leaks import LEAK, Leaks
from pipeline.generating.near import Around, Found, Near, duplicates, texts
from pipeline.judging.measures import words

LONG = "How would you ask a stranger in the harbour for the shortest way to the old light at the end of the quay"
TABLE = "The ferry leaves at dawn, the mail boat at noon, and the fishers whenever the tide lets them out of the harbour."


def found(one: tuple[str, str] | str, other: tuple[str, str] | str) -> str:
    """What the second of two texts is to the first."""
    first, second = ((pair, "") if isinstance(pair, str) else pair for pair in (one, other))
    seen = Near()
    assert seen.add(1, *first) is None
    told = seen.add(2, *second)
    assert told is None or told.number == 1
    return told.kind if told else ""


# --- what is near


@pytest.mark.parametrize("other", [LONG.upper(), f"  {LONG.replace(' ', '  ')}?\n", f"“{LONG}…”", LONG])
def test_texts_that_differ_in_case_blanks_and_punctuation_at_their_ends_are_the_same(other: str) -> None:
    assert found(LONG, other) == "same"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (LONG, LONG.replace("stranger", "sailor")),
        (LONG, f"Please tell me: {LONG}"),
        (LONG, LONG.replace(" in the harbour", ", in the harbour,")),
        (
            "Wie frage ich am Hafen höflich nach dem kürzesten Weg zum alten Leuchtturm am Ende der Mole?",
            "Wie frage ich am Hafen freundlich nach dem kürzesten Weg zum alten Leuchtturm am Ende der Mole?",
        ),
        (
            "港で古い灯台への一番近い道を丁寧に尋ねるにはどう言えばよいですか。",
            "港で古い灯台への一番近い道を丁寧に聞くにはどう言えばよいですか。",
        ),
    ],
)
def test_texts_that_share_seven_tenths_of_their_word_pairs_are_near(one: str, other: str) -> None:
    assert found(one, other) == "near"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is 12 plus 35?", "What is 35 plus 12?"),
        ("What is 5 + 3, and how do you know that it is right?", "What is 5 - 3, and how do you know that it is right?"),
        ("Solve x + y = 10 for x, and show every step of the way.", "Solve x * y = 10 for x, and show every step of the way."),
        ("What is the square of -4 in the usual numbers of school?", "What is the square of 4 in the usual numbers of school?"),
        (f"{LONG} in 2 sentences", f"{LONG} in 5 sentences"),
        ("What is the capital of France?", "What is the capital of Spain?"),
        ("猫の絵を描いてください。", "犬の家を建てる方法を教えて。"),
        ("", "?"),
        ("🙂", "🙃"),
    ],
)
def test_texts_with_other_figures_or_other_words_are_not_near(one: str, other: str) -> None:
    assert found(one, other) == ""


def test_a_hyphen_or_a_bold_word_is_no_arithmetic() -> None:
    assert found(LONG, LONG.replace("old light", "old-light").replace("stranger", "**stranger**")) == "near"


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        (("Who leaves first?", TABLE), ("who leaves first", TABLE.upper()), "same"),
        (("Who leaves first?", TABLE), ("Who leaves first?", LONG), ""),
        (("Who leaves first?", TABLE), ("Who leaves last of all?", TABLE), ""),
        (("Who leaves first?", TABLE), ("Who leaves first?", TABLE.replace("fishers", "sailors")), "near"),
        (("Who leaves first?", TABLE), ("Who leaves first?", TABLE.replace("the tide", "high water at 7")), ""),
        ((LONG, TABLE), (LONG.replace("stranger", "sailor"), TABLE), "near"),
        ((LONG, TABLE), (LONG, ""), ""),
    ],
)
def test_with_a_context_both_count(one: tuple[str, str], other: tuple[str, str], kind: str) -> None:
    assert found(one, other) == kind


def test_a_long_text_is_compared_by_a_sample_of_its_shingles() -> None:
    many = [f"word{number}" for number in range(3000)]
    changed = [*many[:1500], "other", *many[1501:]]

    made = texts([(" ".join(many), "")])

    assert made.sets.sizes.tolist() == [shingles.LONGEST]
    assert found(" ".join(many), " ".join(changed)) == "near"
    assert found(" ".join(many), " ".join(many[::2])) == ""


def test_what_stands_for_a_text_is_the_same_in_every_process() -> None:
    made = texts([("Who keeps it?", "")])

    assert (made.keys.tolist(), made.sets.tokens.tolist()) == (
        [8631792678480315865],
        [1796830818457243893, 1836003525423688406],
    )


# --- in any order

BASES = ["ab bc cd de ef fg gh hi ij jk", "ab bc cd xy ef fg gh", "kl lm mn no 3 op pq", "ab bc"]
loose = st.lists(st.sampled_from("ab bc cd de ef fg gh hi ij jk kl 3 5".split()), min_size=1, max_size=9).map(" ".join)
edits = st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["zz", "yy", "ab", "5", ""])), max_size=2)
SOME = st.lists(
    st.builds(lambda base, changes: edited(base, changes), st.sampled_from(BASES), edits) | loose, min_size=1, max_size=40
)


def edited(base: str, changes: Sequence[tuple[int, str]]) -> str:
    """A text of which a few words are others: most of what there is of it is near something."""
    found = base.split()
    for at, word in changes:
        found[at % len(found)] = word
    return " ".join(found).strip() or "ab"


def repeats(asked: Sequence[str]) -> list[int]:
    """By comparing all with all: the first text before each that it repeats, -1 for none."""
    sets = [_pairs(text) for text in asked]
    figures = [[word for word in words(text) if word.isdecimal()] for text in asked]
    return [
        next(
            (
                before
                for before in range(at)
                if figures[at] == figures[before] and 10 * len(sets[at] & sets[before]) >= 7 * len(sets[at] | sets[before])
            ),
            -1,
        )
        for at in range(len(asked))
    ]


def _pairs(text: str) -> set[tuple[str, ...]]:
    all_words = words(text)
    return set(pairwise(all_words)) or {(word,) for word in all_words}


@given(SOME)
def test_all_repeats_are_found_as_by_comparing_all_with_all(asked: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index, "_FIRST", 1)
        patch.setattr(index, "_GROW", 1)
        told = duplicates(texts([(text, "") for text in asked]), np.arange(len(asked)))

    assert told.of.tolist() == repeats(asked)
    assert [asked[at] for at in np.flatnonzero(told.same)] == [asked[at] for at in told.of[told.same]]


@given(SOME, st.randoms(use_true_random=False))
def test_what_is_told_early_is_found_again_in_the_end_whatever_came_first(asked: list[str], chance: object) -> None:
    order = list(range(len(asked)))
    chance.shuffle(order)  # type: ignore[attr-defined]  # hypothesis' own kind of Random
    final = repeats(asked)
    early: dict[int, Found | None] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near, "_PENDING", 3)
        seen, inorder = Near(), Near()
        for at in order:
            early[at] = seen.add(at, asked[at])
        in_order = [told.number if (told := inorder.add(at, text)) else -1 for at, text in enumerate(asked)]

    assert in_order == final
    for at, told in early.items():
        before = [other for other in order[: order.index(at)] if other < at]
        assert (told.number if told else -1) == min((one for one in before if _repeat(asked[one], asked[at])), default=-1)
        assert told is None or final[at] >= 0


def _repeat(one: str, other: str) -> bool:
    return repeats([one, other]) == [-1, 0]


def test_numbers_decide_which_is_the_repeat_and_not_the_place() -> None:
    asked = texts([(LONG, ""), ("Who keeps the light?", ""), (LONG.upper(), ""), (f"{LONG} please", "")])

    told = duplicates(asked, np.array([7, 8, 3, 1]))

    assert (told.of.tolist(), told.same.tolist()) == ([3, -1, 3, -1], [False, False, False, False])


def test_of_the_same_texts_only_the_lowest_number_is_kept_in_mind() -> None:
    seen = Near()

    told = [seen.add(number, LONG) for number in (9, 4, 6, 2, 9)]

    assert told == [None, None, Found("same", 4), None, Found("same", 2)]
    assert len(seen) == 1


def test_nothing_repeats_nothing() -> None:
    told = duplicates(texts([]), np.zeros(0, np.int64))

    assert (told.of.tolist(), told.same.tolist()) == ([], [])


def test_of_many_that_are_all_near_the_first_no_two_others_are_compared() -> None:
    """Each of 20,000 is near all others: comparing all pairs would take 200 million looks."""
    form = "Tell me in your own words how {} came to the old harbour by night and what the keeper of the light said to that"
    asked = [form.format(f"guest{number}x") for number in range(20_000)]

    told = duplicates(texts([(text, "") for text in asked]), np.arange(len(asked)))

    assert told.of.tolist() == [-1] + [0] * 19_999


# --- against what is there

REFERENCE = ["How far does the light shine at night?", "Who sells fish on the quay each morning?", "What is 3 + 4?"]


def test_the_likest_question_is_told_with_its_number_and_likeness() -> None:
    around = Around(enumerate(REFERENCE, 10))

    assert around.nearest("how far does the light shine at night") == (10, 1.0)
    assert around.nearest("How far does the light shine at night, please?") == (10, 7 / 8)
    assert around.nearest("Who sells fish on the quay?", 0.5) == (11, 5 / 7)
    assert around.nearest("Who sells fish on the quay?", 0.72) is None
    assert around.nearest("What is 3 - 4?", 0.1) is None
    assert Around([]).nearest(REFERENCE[0], 0.1) is None


@given(SOME, SOME, st.sampled_from([0.1, 0.3, 0.5, 0.7, 1.0]))
def test_the_likest_is_found_as_by_comparing_with_all(known: list[str], asked: list[str], at_least: float) -> None:
    at, alike = Around(enumerate(known)).likest(asked, at_least)

    wanted = [_likest(known, text, at_least) for text in asked]
    assert [(int(one), float(like)) for one, like in zip(at, alike, strict=True)] == wanted


def _likest(known: Sequence[str], text: str, at_least: float) -> tuple[int, float]:
    best = (-1, 0.0)
    for at, other in enumerate(known):
        if [word for word in words(other) if word.isdecimal()] != [word for word in words(text) if word.isdecimal()]:
            continue
        shared, either = len(_pairs(text) & _pairs(other)), len(_pairs(text) | _pairs(other))
        if 100 * shared >= round(at_least * 100) * either and shared / either > best[1]:
            best = (at, shared / either)
    return best


@given(SOME, st.sampled_from([1, 30, 70, 100]))
def test_an_index_leaves_no_pair_out(asked: list[str], percent: int) -> None:
    made = texts([(text, "") for text in asked])

    of, rows, _ = Index(made.sets).near(made.sets, percent)

    tokens = [set(made.sets.tokens[begin:end].tolist()) for begin, end in pairwise(made.sets.starts)]
    wanted = {
        (one, other)
        for one in range(len(asked))
        for other in range(len(asked))
        if 100 * len(tokens[one] & tokens[other]) >= percent * len(tokens[one] | tokens[other])
    }
    assert set(zip(of.tolist(), rows.tolist(), strict=True)) == wanted


def test_a_near_one_is_found_behind_others_that_only_look_like_it() -> None:
    alike = [[*range(1, 10), *range(100 + 3 * at, 103 + 3 * at)] for at in range(4)]
    common = [[10, *range(200 + 11 * at, 211 + 11 * at)] for at in range(12)]
    made = Index(sets([*alike, [*range(1, 11), 300, 301], *common]))

    assert made.lowest(sets([[*range(1, 11), 302, 303]]), np.array([5]), 70).tolist() == [4]


def sets(found: Sequence[Sequence[int]]) -> shingles.Shingles:
    tokens = [np.sort(shingles.mixed(np.array(one, np.uint64))) for one in found]
    return shingles.Shingles(np.concatenate(tokens), shingles.ends(np.array([len(one) for one in found])))


# --- what is held out


def leaks(held: Sequence[str], asked: str) -> tuple[int, bool]:
    [at], [alike] = Leaks(held).nearest([asked])
    return int(at), bool(alike >= LEAK)


def test_a_sample_leaks_sooner_than_samples_repeat_each_other() -> None:
    held = ["Who keeps the light at the end of the quay?", "How far does it shine on a clear night?"]

    assert leaks(held, "Who keeps the light at the end of the pier?") == (0, True)
    assert leaks(held, "Tell me, as a child would: how far does it shine on a clear night, and why not further?") == (1, True)
    assert leaks(held, "Who keeps the light, and since when?") == (0, False)
    assert leaks(held, "What does the lamp cost?") == (-1, False)
    assert leaks(held, held[1].upper()) == (1, True)
    assert leaks(["🙂?"], "🙂") == (0, True)
    assert leaks([], held[0]) == (-1, False)


def test_the_form_of_a_task_is_not_what_its_questions_ask() -> None:
    held = [f"Tell me a pun about {one}." for one in "waves roofs kites wells mills carts ropes boats doors bells".split()]

    assert leaks(held, "Tell me a pun about lamps.") == (-1, False)
    assert leaks(held, "Tell me a pun about kites.") == (2, True)
    assert leaks(held[:9], "Tell me a pun about lamps.") == (0, True)


def test_questions_that_repeat_each_other_make_no_form() -> None:
    others = [f"Where does {one} go?" for one in "ann bob cid dan eve fay gus hal ida".split()]
    held = [*others, *[f"{LONG} {word}" for word in ("please", "now", "today", "again", "then", "soon")]]

    assert leaks(held, LONG.replace("stranger", "sailor").replace("old light", "tall house"))[1]


def test_other_figures_make_another_question_unless_all_of_it_stands_there() -> None:
    held = ["Convert 500 miles to feet for a child who asks."]

    assert leaks(held, "Convert 20 miles to feet for a child who asks.") == (-1, False)
    assert leaks(held, "Convert 500 miles to feet for a child who asks. Then add 7.") == (0, True)
