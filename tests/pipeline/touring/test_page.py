import fcntl
import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.touring import telling
from pipeline.touring.__main__ import main
from pipeline.touring.figures import misses
from pipeline.touring.page import WIDTH, Page
from tests.pipeline.touring.test_figures import GOOD


@pytest.fixture
def page() -> Page:
    return Page(Console(file=io.StringIO(), width=WIDTH, highlight=False, emoji=False))


def written(page: Page) -> list[str]:
    assert isinstance(page.console.file, io.StringIO)
    return page.console.file.getvalue().splitlines()


def test_a_page_has_80_columns_and_takes_nothing_for_a_command(page: Page) -> None:
    with page.step(1, "A step"):
        page.say("word " * 40)
        page.line("[bold]not bold[/bold] :smile:")
        page.table(("name", "right"), [("[red]repeat", "90%"), ("x" * 90, "5%")])
    lines = written(page)

    assert max(map(len, lines)) == WIDTH
    assert {"1. A step", "─" * WIDTH, "[bold]not bold[/bold] :smile:"} <= set(lines)
    assert any(line.startswith("[red]repeat") and line.endswith("90%") for line in map(str.rstrip, lines))
    assert lines[-1].strip() == "[0 s]"
    assert list(page.spent) == ["A step"]


def test_the_end_says_what_was_measured_and_whether_that_will_do(page: Page) -> None:
    telling.ended(page, GOOD, misses(GOOD), Path("tour-1"), Path("tour-1/run"))
    telling.ended(page, GOOD, ["The base gets 20% right."], Path("tour-1"), Path("tour-1/run"))
    text = "\n".join(map(str.rstrip, written(page)))

    assert re.search(r"^  with the adapter +98% \(95% to 100%\)$", text, re.M)
    assert text.count("All goals are met.") == text.count("This tour missed its goals:\n  The base gets 20% right.") == 1
    assert "tour-1/run/train/curves.png" in text


def test_a_stage_that_is_under_way_is_told_in_a_few_words() -> None:
    train = {"stage": "train", "step": "5", "steps": "9", "loss": "0.4", "speed": "5900", "fraction": "0.5"}

    assert telling.under_way(train) == "train: step 5 of 9, loss 0.4, 5900 tokens/s"
    assert telling.under_way({"wanted": "9", "kept": "5", "fraction": "0.5"}) == "samples: 5 of 9 kept, 0 held out"
    assert telling.under_way({"stage": "mix", "fraction": "0.5"}) == "mix 50%"


def test_two_tours_in_one_folder_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (tmp_path / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        assert main(["--data", str(tmp_path)], {}) == 2
    assert "another tour is under way" in capsys.readouterr().err
