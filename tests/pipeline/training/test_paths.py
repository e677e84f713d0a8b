"""The ways to train, and what is said of them."""

from pipeline.training.paths import PATHS
from tests.conftest import HOME


def test_the_readme_s_table_says_of_each_way_where_it_last_ran() -> None:
    text = (HOME / "README.md").read_text(encoding="utf-8")
    for way in PATHS:
        assert f"| {way.name} | {way.what} | {way} |" in text


def test_a_way_that_never_ran_says_so() -> None:
    for way in PATHS:
        assert bool(way.ran) == bool(way.where) == bool(way.figure)
        assert way.ran or "never ran" in str(way)
