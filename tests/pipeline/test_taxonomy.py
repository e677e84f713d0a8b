"""A path is written as upstream writes it or refused, and a tree is listed without leaving it."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import Invalid, Problem
from pipeline.taxonomy import KNOWLEDGE, SKILLS, Tree, normal_path, path_problems, read_tree, suggest, unwritable

PATH = re.compile(r"[a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9_-]*){2,}")
typed_paths = st.one_of(
    st.text(max_size=80),
    st.lists(
        st.one_of(
            st.sampled_from(["..", ".", "", "~", "compositional_skills", "knowledge", "grounded", "foundational_skills"]),
            st.sampled_from(
                ["Linguistics", "Order tickets", "qna.yaml", "\uff0e\uff0e", "a\uff0fb", "\u2025", "C:", "été", "日本", ".git"]
            ),
            st.text(st.sampled_from("aZ9_- .\u00a0\u0301\uff0f"), max_size=70),
        ),
        min_size=1,
        max_size=6,
    ).map("/".join),
)


@pytest.mark.parametrize(
    ("typed", "path"),
    [
        ("linguistics/synonyms", "compositional_skills/linguistics/synonyms"),
        ("Linguistics/Order tickets", "compositional_skills/linguistics/order_tickets"),
        ("compositional_skills/arts/music/jazz", "compositional_skills/arts/music/jazz"),
        ("Compositional Skills/arts/jazz", "compositional_skills/arts/jazz"),
        ("  ./arts/jazz/ ", "compositional_skills/arts/jazz"),
        ("arts/jazz/qna.yaml", "compositional_skills/arts/jazz"),
        ("arts/  two   spaces __ and_more", "compositional_skills/arts/two_spaces_and_more"),
        ("arts/Été français", "compositional_skills/arts/ete_francais"),
        ("arts/half-open", "compositional_skills/arts/half-open"),
        ("ａｒｔｓ/ｊａｚｚ", "compositional_skills/arts/jazz"),
    ],
)
def test_a_typed_path_is_written_as_upstream_writes_it(typed: str, path: str) -> None:
    assert normal_path(typed) == path


def test_a_path_of_knowledge_lies_below_its_own_root() -> None:
    assert normal_path("science/tides", KNOWLEDGE) == "knowledge/science/tides"


@given(typed_paths, st.sampled_from([SKILLS, KNOWLEDGE]))
@settings(max_examples=600, deadline=None)
def test_whatever_path_is_taken_stays_inside_and_stays_as_it_is(typed: str, root: str) -> None:
    try:
        path = normal_path(typed, root)
    except Invalid as refused:
        assert all(problem.code.startswith("path.") for problem in refused.problems)
        return

    assert PATH.fullmatch(path)
    assert len(path) <= 200
    assert path.startswith(f"{root}/")
    assert path_problems(path, root) == []
    assert normal_path(path, root) == path


@pytest.mark.parametrize(
    ("typed", "codes"),
    [
        ("../etc/passwd", ["path.outside"]),
        ("arts/../../x", ["path.outside"]),
        ("arts/./x", ["path.outside"]),
        ("/etc/passwd", ["path.outside"]),
        ("~/arts/x", ["path.outside"]),
        ("arts\\x", ["path.outside"]),
        ("C:/arts/x", ["path.outside"]),
        ("https://evil.example/x", ["path.outside"]),
        ("arts/.. /x", ["path.outside"]),
        ("arts/\uff0e\uff0e/x", ["path.outside"]),
        ("arts/a\0b", ["path.outside"]),
        ("", ["path.empty"]),
        ("arts//x", ["path.empty"]),
        ("arts/日本", ["path.empty"]),
        ("foundational_skills/reasoning/x", ["path.closed"]),
        ("grounded/arts/x", ["path.grounded"]),
        ("compositional_skills/grounded/arts/x", ["path.grounded"]),
        ("knowledge/arts/x", ["path.root"]),
        ("arts", ["path.short"]),
        ("compositional_skills/arts", ["path.short"]),
        ("arts/" + "x" * 61, ["path.part"]),
        ("arts/-x", ["path.part"]),
        ("arts/.git", ["path.part"]),
        ("arts/a;b", ["path.part"]),
        ("arts/" + "/".join(["abcdefghi"] * 20), ["path.long"]),
        ("knowledge/x!", ["path.part", "path.root", "path.short"]),
    ],
)
def test_a_path_that_has_no_place_is_refused_by_name(typed: str, codes: list[str]) -> None:
    with pytest.raises(Invalid) as refused:
        normal_path(typed)

    assert [problem.code for problem in refused.value.problems] == codes


@pytest.mark.parametrize(
    ("path", "fine"),
    [
        ("compositional_skills/" + "x" * 60 + "/y", True),
        ("compositional_skills/" + "x" * 61 + "/y", False),
        ("compositional_skills/" + "/".join(["x" * 59, "y" * 59, "z" * 59]), True),
        ("compositional_skills/" + "/".join(["x" * 60, "y" * 60, "z" * 58]), False),
    ],
)
def test_the_longest_path_that_is_taken_has_two_hundred_characters_and_sixty_a_part(path: str, fine: bool) -> None:
    assert (path_problems(path) == []) == fine


def test_a_problem_names_the_part_and_the_way_out() -> None:
    path = "compositional_skills/arts/a b"

    assert path_problems(path) == [
        Problem(
            "path.part",
            "'a b' is no folder name here",
            path,
            "Use a to z, 0 to 9 and underscores.",
            {"path": path, "part": "a b"},
        )
    ]


def leaf(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "qna.yaml").write_text("version: 3\n", encoding="utf-8")


def test_a_tree_lists_folders_and_leaves_of_both_open_roots(tmp_path: Path) -> None:
    leaf(tmp_path / "compositional_skills/arts/jazz")
    leaf(tmp_path / "knowledge/science/tides")
    leaf(tmp_path / "foundational_skills/reasoning")
    leaf(tmp_path / "docs/x")
    (tmp_path / "compositional_skills/README.md").write_text("x", encoding="utf-8")

    assert read_tree(tmp_path) == Tree(
        (
            "compositional_skills",
            "compositional_skills/arts",
            "compositional_skills/arts/jazz",
            "knowledge",
            "knowledge/science",
            "knowledge/science/tides",
        ),
        ("compositional_skills/arts/jazz", "knowledge/science/tides"),
    )


def test_a_tree_is_listed_without_following_links_or_loops(tmp_path: Path) -> None:
    leaf(tmp_path / "elsewhere/secret")
    leaf(tmp_path / "t/compositional_skills/arts/jazz")
    (tmp_path / "t/compositional_skills/out").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "t/compositional_skills/arts/loop").symlink_to(tmp_path / "t/compositional_skills")

    assert read_tree(tmp_path / "t") == Tree(
        ("compositional_skills", "compositional_skills/arts", "compositional_skills/arts/jazz"),
        ("compositional_skills/arts/jazz",),
    )


def test_a_root_that_is_itself_a_link_is_not_followed(tmp_path: Path) -> None:
    leaf(tmp_path / "elsewhere/secret")
    (tmp_path / "t").mkdir()
    (tmp_path / "t/compositional_skills").symlink_to(tmp_path / "elsewhere")

    assert read_tree(tmp_path / "t") == Tree()


def test_a_checkout_without_the_roots_is_an_empty_tree(tmp_path: Path) -> None:
    (tmp_path / "knowledge").write_text("a file", encoding="utf-8")

    assert (read_tree(tmp_path), read_tree(tmp_path / "missing")) == (Tree(), Tree())


words = st.sampled_from("order orders ticket haiku music jazz summary table 日本 été x".split() + ["a" * 80, "z9" * 40])
folders = st.lists(
    st.sampled_from(["arts", "music", "jazz", "Bad Name", "grounded", "order_forms", "x" * 61, "long" * 14]),
    min_size=1,
    max_size=4,
).map(lambda parts: "/".join((SKILLS, *parts)))


@given(
    st.one_of(st.text(max_size=200), st.lists(words, max_size=8).map(" ".join)),
    st.lists(folders, max_size=8).map(lambda found: Tree(tuple(sorted({SKILLS, *found})), tuple(found[:2]))),
)
@settings(max_examples=400, deadline=None)
def test_every_suggestion_is_a_place_that_would_be_taken(text: str, tree: Tree) -> None:
    suggested = suggest(text, tree)

    assert 1 <= len(suggested) <= 3
    assert [path_problems(path) for path in suggested] == [[]] * len(suggested)
    assert len(set(suggested)) == len(suggested)


@pytest.mark.parametrize(
    ("text", "places"),
    [
        (
            "Write a haiku as music",
            ["arts/music/haiku_music", "arts/haiku_music", "miscellaneous_unknown/haiku_music"],
        ),
        ("日本", ["miscellaneous_unknown/new_skill"]),
        ("Rewrite a letter", ["linguistics/rewrite_letter", "miscellaneous_unknown/rewrite_letter"]),
    ],
)
def test_known_folders_are_suggested_first_then_domains_then_the_unsure_one(text: str, places: list[str]) -> None:
    tree = Tree((SKILLS, f"{SKILLS}/arts", f"{SKILLS}/arts/music", f"{SKILLS}/arts/song"), (f"{SKILLS}/arts/song",))

    assert suggest(text, tree) == tuple(f"{SKILLS}/{place}" for place in places)


@given(st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0")))
@settings(deadline=None)
def test_text_that_yaml_can_hold_has_no_problem(text: str) -> None:
    assert unwritable(text, "answer") is None
