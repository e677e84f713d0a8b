"""bot.yaml is taken whole, or every mistake in it is told with its place."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import config
from pipeline.config import BotConfig, RetentionConfig, RoleConfig, RunsConfig, TaxonomyConfig, WordsConfig, WorkspaceConfig
from pipeline.errors import Invalid, Problem

HOME = Path(__file__).resolve().parents[2]


def told(folder: Path, text: str | bytes, overrides: dict[str, str] | None = None) -> list[tuple[str, str]]:
    """The code and place of every problem in a bot.yaml of that text."""
    path = folder / "bot.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(Invalid) as refused:
        config.load(path, overrides)
    return [(problem.code, problem.where) for problem in refused.value.problems]


def test_the_shipped_file_loads() -> None:
    submit = {"submit": 2.0, "train": 2.0}
    few = {"draft": "20/day", "precheck": "20/day", "generate": "10/day", "train": "5/day", "submit": "10/day"}
    many = {"draft": "50/day", "precheck": "50/day", "generate": "25/day", "train": "15/day", "submit": "20/day"}
    day = RoleConfig(quotas=few, cooldowns_s=submit, waiting=10, running=2)

    assert config.load(HOME / "configs" / "bot.yaml") == BotConfig(
        roles={
            "everyone": day,
            "contributor": RoleConfig(quotas=many, cooldowns_s=submit, waiting=20, running=4),
            "triager": RoleConfig(weight=2),
            "operator": RoleConfig(weight=4),
        },
        workspaces={"terminal": WorkspaceConfig(roles={"owner": "operator"})},
        taxonomy=TaxonomyConfig(),
        runs=RunsConfig(),
        retention=RetentionConfig(),
        words=WordsConfig(),
    )


def test_an_empty_file_is_every_default(tmp_path: Path) -> None:
    (tmp_path / "bot.yaml").write_text("# nothing yet\n", encoding="utf-8")

    assert config.load(tmp_path / "bot.yaml") == BotConfig()


def test_five_mistakes_are_five_problems_each_with_its_place(tmp_path: Path) -> None:
    text = """
roles:
  everyone: {weight: 0}
  triager: {quotas: {draft: 5/year}}
taxonomy: {branch: "-x"}
runs: {at_once: many}
words: {locale: english}
"""

    assert sorted(told(tmp_path, text)) == [
        ("config.value", "bot.yaml: roles.everyone.weight"),
        ("config.value", "bot.yaml: roles.triager.quotas.draft"),
        ("config.value", "bot.yaml: runs.at_once"),
        ("config.value", "bot.yaml: taxonomy.branch"),
        ("config.value", "bot.yaml: words.locale"),
    ]


def test_a_problem_says_what_is_there_and_what_should_be(tmp_path: Path) -> None:
    (tmp_path / "bot.yaml").write_text("roles: {everyone: {quotas: {draft: often}}}", encoding="utf-8")
    with pytest.raises(Invalid) as refused:
        config.load(tmp_path / "bot.yaml")

    message = "write a number a time, like 5/day or 2/min (it says 'often')"
    assert refused.value.problems == (Problem("config.value", message, "bot.yaml: roles.everyone.quotas.draft"),)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("colour: blue", "colour"),
        ("runs: {timeout: 3}", "runs.timeout"),
        ("roles: {everyone: {wieght: 3}}", "roles.everyone.wieght"),
        ("roles: {triager: {}}", "roles"),
        ("roles: [everyone]", "roles"),
        ("retention: {inbox_days: 0}", "retention.inbox_days"),
        ("runs: {at_once: 65}", "runs.at_once"),
        ("roles: {everyone: {weight: 101}}", "roles.everyone.weight"),
        ("roles: {everyone: {quotas: {draft: -5/day}}}", "roles.everyone.quotas.draft"),
    ],
)
def test_a_key_or_value_that_is_not_ours_is_told_by_its_place(tmp_path: Path, text: str, place: str) -> None:
    assert told(tmp_path, text) == [("config.value", f"bot.yaml: {place}")]


def test_a_line_that_is_no_yaml_is_told_with_its_number(tmp_path: Path) -> None:
    (tmp_path / "bot.yaml").write_text("roles:\n  everyone: {}\n  bad: [1, 2\nwords: {}\n", encoding="utf-8")
    with pytest.raises(Invalid) as refused:
        config.load(tmp_path / "bot.yaml")
    (problem,) = refused.value.problems

    assert (problem.code, problem.where, problem.fix) == ("config.yaml", "bot.yaml", "Mend the line named here.")
    assert "line 4" in problem.message


@pytest.mark.parametrize("text", ["- a\n- b", "just words", "3"])
def test_a_file_that_is_no_mapping_is_told(tmp_path: Path, text: str) -> None:
    assert told(tmp_path, text) == [("config.shape", "bot.yaml")]


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as refused:
        config.load(tmp_path / "bot.yaml")

    assert [(problem.code, problem.where) for problem in refused.value.problems] == [
        ("config.missing", str(tmp_path / "bot.yaml"))
    ]


def test_a_file_in_another_encoding_is_told(tmp_path: Path) -> None:
    assert told(tmp_path, "taxonomy: {path: /home/andré}".encode("latin-1")) == [("config.yaml", "bot.yaml")]


def test_overrides_set_single_values_by_their_path(tmp_path: Path) -> None:
    (tmp_path / "bot.yaml").write_text("runs: {at_once: 3, timeout_s: 9}", encoding="utf-8")
    loaded = config.load(tmp_path / "bot.yaml", {"runs.at_once": "5", "roles.everyone.quotas.draft": "1/s"})

    assert loaded == BotConfig(runs=RunsConfig(at_once=5, timeout_s=9), roles={"everyone": RoleConfig(quotas={"draft": "1/s"})})


def test_an_override_is_judged_like_the_file(tmp_path: Path) -> None:
    assert told(tmp_path, "", {"runs.at_once": "0", "runs.nonsense": "1"}) == [
        ("config.value", "bot.yaml: runs.at_once"),
        ("config.value", "bot.yaml: runs.nonsense"),
    ]


@pytest.mark.parametrize(
    ("text", "worth"),
    [("5/day", (5, 86400.0)), ("2/min", (2, 60.0)), ("1/h", (1, 3600.0)), ("10/s", (10, 1.0)), ("0/day", (0, 86400.0))],
)
def test_a_quota_is_a_number_a_time(text: str, worth: tuple[int, float]) -> None:
    assert config.quota(text) == worth


@given(st.one_of(st.text(), st.text(st.sampled_from("0159/ -daysminh."), max_size=8)))
@settings(max_examples=300, deadline=None)
def test_anything_else_is_no_quota(text: str) -> None:
    count, _, unit = text.partition("/")
    if count.strip().isdecimal() and unit.strip() in ("s", "min", "h", "day"):
        assert config.quota(text) == (int(count), {"s": 1.0, "min": 60.0, "h": 3600.0, "day": 86400.0}[unit.strip()])
        return
    try:
        worth = config.quota(text)
    except ValueError:
        return

    assert worth[0] >= 0
    assert unit.strip() in ("s", "min", "h", "day")


def test_a_value_that_is_no_yaml_is_told_with_its_path() -> None:
    with pytest.raises(Invalid, match=r"workspaces\.x: '@dora' is no YAML Put it into quotes\."):
        config.load(HOME / "configs" / "bot.yaml", {"workspaces.x": "@dora"})
