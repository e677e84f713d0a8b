"""Which held-out questions choose, and which test."""

from pathlib import Path

from pipeline.generating import rows
from pipeline.generating.rows import Row
from pipeline.training import held


def folder(tmp_path: Path, count: int) -> Path:
    rows.write(
        tmp_path / rows.UNSEEN, [Row(f"{n}", n, "unseen", "freeform", "leaf", 1, f"Question {n}?", "a") for n in range(count)]
    )
    rows.write(tmp_path / rows.REWORDED, [])
    return tmp_path


def test_a_quarter_chooses_and_nothing_of_it_tests(tmp_path: Path) -> None:
    found = held.split(folder(tmp_path, 42))
    assert (len(found.choosing), len(found.test), found.shared) == (10, 32, False)
    assert not {row.id for row in found.choosing} & {row.id for row in found.test}
    assert held.split(tmp_path) == found


def test_few_questions_do_both_and_it_is_said(tmp_path: Path) -> None:
    found = held.split(folder(tmp_path, held.APART_FROM - 1))
    assert found.shared and found.choosing == found.test
