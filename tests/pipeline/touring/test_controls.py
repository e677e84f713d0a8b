import json
from pathlib import Path
from random import Random

from pipeline.files import write
from pipeline.generating import rows
from pipeline.generating.rows import Row
from pipeline.touring import controls, skill
from pipeline.touring.controls import Pairs
from pipeline.touring.skill import WORDINGS, Order
from pipeline.training import held


def orders(count: int, *, held: bool) -> list[tuple[str, str]]:
    drawn = Random(f"{held}")
    made = [skill.drawn(drawn, held=held) for _ in range(count)]
    return [(order.put(WORDINGS[at % len(WORDINGS)]), order.ticket) for at, order in enumerate(made)]


def folder_of(folder: Path, train: Pairs, test: Pairs) -> Path:
    """A run's folder with these samples and held-out questions."""

    def row(number: int, which: rows.Set, question: str, answer: str) -> Row:
        return Row(f"{which}{number}", number, which, "freeform", "a/b", 1, question, answer)

    rows.write(folder / rows.SAMPLES, [row(at, "train", *pair) for at, pair in enumerate(train, 1)])
    rows.write(folder / rows.UNSEEN, [row(at, "unseen", *pair) for at, pair in enumerate(test, 1)])
    write(folder / controls.MIXED, "".join(mixed(question, answer) for question, answer in train))
    return folder


def mixed(question: str, answer: str) -> str:
    said = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return json.dumps({"id": question[:12], "messages": said}) + "\n"


def test_a_clean_test_is_clean_and_neither_chance_nor_copying_passes_it(tmp_path: Path) -> None:
    train, test = orders(120, held=False), orders(60, held=True)
    folder = folder_of(tmp_path, train, test)
    found = controls.measure(folder, None)

    assert (found.trained, found.asked) == (120, len(held.split(folder).test))
    assert (found.leaked, found.crossed) == (0, 0)
    assert max(found.chance, found.other, found.copied) < 0.05


def test_an_answer_that_was_trained_on_or_replayed_is_found(tmp_path: Path) -> None:
    test = orders(60, held=True)
    train = orders(20, held=False)
    asked = [(row.question, row.answer) for row in held.split(folder_of(tmp_path, train, test)).test]
    write(tmp_path / "replay.jsonl", mixed("anything", f"It says {asked[0][1]}."))
    folder_of(tmp_path, [*train, asked[1]], test)
    found = controls.measure(tmp_path, tmp_path / "replay.jsonl")

    assert (found.leaked, found.crossed) == (2, 1)


def test_who_copies_is_right_where_the_nearest_sample_says_the_same() -> None:
    order = Order("Mia", 3, "red", "lamps")
    near = Order("Mia", 3, "red", "cups")
    train = [(order.put(WORDINGS[0]), order.ticket), (near.put(WORDINGS[0]), near.ticket)]
    test = [(order.put(WORDINGS[4]), order.ticket), (Order("Tom", 9, "old", "hats").put(WORDINGS[4]), "something else")]

    assert controls.copied(test, train) == 0.5
    assert controls.other(test, train) == 0.25


def test_shuffled_rows_have_the_same_answers_and_none_its_own(tmp_path: Path) -> None:
    train = orders(50, held=False)
    folder = folder_of(tmp_path, train, [])
    count = controls.shuffle(folder, 7)
    found = [json.loads(line)["messages"] for line in (folder / controls.MIXED).read_text("utf-8").splitlines()]
    said = [messages[-1]["content"] for messages in found]

    assert count == 50
    assert [messages[0]["content"] for messages in found] == [question for question, _ in train]
    assert sorted(said) == sorted(answer for _, answer in train)
    assert not any(after == before for after, (_, before) in zip(said, train, strict=True))
