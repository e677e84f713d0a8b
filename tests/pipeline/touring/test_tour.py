"""The whole tour with a practice model that is made in seconds and can learn nothing: every step, and what it says of it."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.touring import tour
from pipeline.touring.figures import misses
from pipeline.touring.page import WIDTH, Page
from pipeline.touring.tour import LEAF, Wanted
from tests.conftest import git


@pytest.mark.faults
def test_the_tour_goes_through_all_its_steps_and_says_what_was_missed(tmp_path: Path) -> None:
    page = Page(Console(file=io.StringIO(), width=WIDTH, highlight=False, emoji=False))
    wanted = Wanted(tmp_path / "tour-1", tmp_path / "models", seed=0, controls=True, small=True)
    found, run = tour.take(wanted, page)
    branches = git(wanted.folder / "upstream.git", "branch", "--list", "labbot/*", "--format=%(refname:short)")

    assert (found.controls.leaked, found.controls.crossed, found.tuned.before) == (0, 0, 0.0)
    assert found.tuned.asked == found.plain.asked == found.controls.asked >= 100
    assert found.shuffled is not None
    assert any(text.startswith("With the adapter") for text in misses(found))  # it is too small to copy what it never saw
    assert json.loads((wanted.folder / "tour.json").read_bytes())["tuned"]["asked"] == found.tuned.asked
    assert {"train/curves.png", "export/adapter.gguf", "report.html", "scores.md"} <= {
        path.relative_to(run).as_posix() for path in run.rglob("*")
    }
    assert len(page.spent) == 9
    assert f"{LEAF}/qna.yaml" in git(wanted.folder / "upstream.git", "show", "--stat=120", branches)
