"""report.html as it is written; what a browser makes of it, tests/page has."""

import json
import re
import tomllib
import tracemalloc
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import Failed
from pipeline.generating import rows
from pipeline.report import page, parts
from tests.page import made

OURS = Path(page.__file__).parent
HOSTILE = "</script><script>alert(1)</script><!--<script>\u2028\ud800\x00\r\n</style>"


class Blocks(HTMLParser):
    """What a page has between its tags: {"funnel-data": "...", "style": "...", "script": "..."}; `tags` are all that begin."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.found: dict[str, str] = {}
        self.policy, self.name = "", ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.name = given.get("id") or tag if tag in ("script", "style") else ""
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"] or ""

    def handle_data(self, data: str) -> None:
        if self.name:
            self.found[self.name] = self.found.get(self.name, "") + data

    def handle_endtag(self, tag: str) -> None:
        self.name = ""


def blocks(folder: Path) -> Blocks:
    page.write(folder)
    return Blocks((folder / page.NAME).read_bytes().decode())


def samples(folder: Path) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(blocks(folder).found["samples-data"])
    return found


def test_a_report_has_what_the_stages_have_left(tmp_path: Path) -> None:
    trained = made.train(20)
    made.run(tmp_path, trained, made.held("unseen", 3), made.held("reworded", 2))

    found = blocks(tmp_path).found

    assert json.loads(found["funnel-data"])["made"] == 20
    assert json.loads(found["settings-data"]) == made.PLAN
    told = json.loads(found["samples-data"])
    assert (told["total"], told["shown"], told["file"]) == (25, 25, "samples/samples.jsonl")
    assert [row["set"] for row in told["rows"]] == ["train"] * 20 + ["unseen"] * 3 + ["reworded"] * 2
    assert [rows.parsed(row) for row in told["rows"][:20]] == trained


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    one, other = made.run(tmp_path / "a", made.train(50)), made.run(tmp_path / "b", made.train(50))
    page.write(one)
    page.write(other)

    assert (one / page.NAME).read_bytes() == (other / page.NAME).read_bytes()


def test_a_part_whose_files_are_not_there_is_left_out(tmp_path: Path) -> None:
    made.run(tmp_path, made.train(5))
    (tmp_path / "samples" / "plan.json").unlink()

    assert {name for name in blocks(tmp_path).found if name.endswith("-data")} == {"funnel-data", "samples-data"}


def test_a_run_that_has_made_nothing_yet_has_a_page_without_parts(tmp_path: Path) -> None:
    assert [name for name in blocks(tmp_path).found if name.endswith("-data")] == []


def test_before_the_judge_the_plan_says_which_lists_were_lost(tmp_path: Path) -> None:
    lost = [{"step": "questions", "why": "malformed", "count": 3, "wrong": "it is no list: '<b>Sure!'"}]
    rows.write(tmp_path / rows.GENERATED, made.train(18))
    (tmp_path / parts.PLAN).write_text(json.dumps({"lost": lost}), encoding="utf-8")

    assert json.loads(blocks(tmp_path).found["funnel-data"])["lost"] == lost


def test_before_the_judge_the_rows_are_counted_themselves(tmp_path: Path) -> None:
    rows.write(tmp_path / rows.GENERATED, made.train(18))
    rows.write(tmp_path / rows.UNSEEN, made.held("unseen", 3))

    found = blocks(tmp_path).found

    assert json.loads(found["funnel-data"]) == {
        "made": 18,
        "kept": 14,
        "reasons": {"judge_pairs:score": 2, "judge:seed": 1, "judge:near": 1},
        "lost": [],
        "unseen": {"kept": 3},
        "reworded": {"kept": 0},
    }
    assert json.loads(found["samples-data"])["file"] == "samples/generated.jsonl"


def test_a_document_of_many_samples_is_in_the_page_once(tmp_path: Path) -> None:
    texts = ["A long chunk of a document.", "Another one."]
    made.run(tmp_path, [replace(row, document=texts[row.number % 2]) for row in made.train(4)])

    assert [row["document"] for row in samples(tmp_path)["rows"]] == [texts[1], texts[0], 0, 1]


@pytest.mark.parametrize(("rows_at_most", "share_of_bytes"), [(30, 1.0), (10_000, 0.1)], ids=["rows", "bytes"])
def test_of_too_many_samples_some_are_shown_evenly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows_at_most: int, share_of_bytes: float
) -> None:
    made.run(tmp_path, made.train(300))
    size = (tmp_path / rows.SAMPLES).stat().st_size
    monkeypatch.setattr(parts, "MOST", rows_at_most)
    monkeypatch.setattr(parts, "MOST_BYTES", int(size * share_of_bytes) + 1)

    found = samples(tmp_path)

    numbers = [row["number"] for row in found["rows"]]
    assert (found["total"], found["shown"], len(numbers)) == (300, 30, 30)
    assert {after - before for before, after in pairwise(numbers)} == {10}
    assert json.loads(blocks(tmp_path).found["funnel-data"])["made"] == 300


def test_a_large_run_needs_little_memory(tmp_path: Path) -> None:
    made.run(tmp_path, made.train(1000))
    page.write(tmp_path)  # what is loaded once is loaded
    tracemalloc.start()
    page.write(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < (tmp_path / page.NAME).stat().st_size / 4


@pytest.mark.parametrize("path", [rows.SAMPLES, parts.YIELD, parts.PLAN, parts.SCORES, parts.METRICS, parts.CHECKPOINTS])
def test_a_damaged_file_is_named_and_the_page_that_was_there_stays(tmp_path: Path, path: str) -> None:
    made.run(tmp_path, made.train(3))
    made.trained(tmp_path)
    page.write(tmp_path)
    before = (tmp_path / page.NAME).read_bytes()
    with (tmp_path / path).open("a", encoding="utf-8") as file:
        file.write('{"broken"\n')

    with pytest.raises(Failed, match=Path(path).name):
        page.write(tmp_path)

    assert (tmp_path / page.NAME).read_bytes() == before
    assert [found.name for found in tmp_path.glob(".report*")] == []


def test_no_text_ends_the_block_that_it_stands_in(tmp_path: Path) -> None:
    hostile = replace(
        made.train(1)[0], question=HOSTILE, answer=HOSTILE, context=HOSTILE, near=HOSTILE, facet={HOSTILE: HOSTILE}
    )
    made.run(tmp_path, [hostile])
    made.trained(tmp_path, texts=[HOSTILE])
    (tmp_path / parts.PLAN).write_text(json.dumps({HOSTILE: HOSTILE}), encoding="utf-8")

    found = blocks(tmp_path)

    assert [rows.parsed(row) for row in json.loads(found.found["samples-data"])["rows"]] == [hostile]
    assert json.loads(found.found["settings-data"]) == {HOSTILE: HOSTILE}
    assert found.tags.count("script") == 1 + len(parts.PARTS)
    assert all("<" not in block for name, block in found.found.items() if name.endswith("-data"))


def test_the_curve_of_a_long_training_is_a_curve_of_means(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "STEPS", 100)
    made.trained(tmp_path, steps=250)

    found = json.loads(blocks(tmp_path).found["curves-data"])

    assert (found["steps"], len(found["points"])) == (250, 84)
    assert found["points"][0] == [3, round((3.2 + 1.7 + 1.2) / 3, 5), 3e-3, 3 * 640, 0.3]
    assert found["points"][2][1] == round((0.2 + 3 / 8 + 0.2 + 3 / 9) / 2, 5)  # the seventh had none
    assert found["points"][-1][0] == 250


def test_the_curve_of_a_training_under_way_ends_with_the_last_whole_line(tmp_path: Path) -> None:
    made.trained(tmp_path, steps=20)
    (tmp_path / parts.TRAINED).unlink()
    with (tmp_path / parts.METRICS).open("a", encoding="utf-8") as file:
        file.write('{"step": 21, "lo')

    found = json.loads(blocks(tmp_path).found["curves-data"])

    assert (found["steps"], found["points"][-1][0], found.keys()) == (20, 20, {"steps", "points", "held"})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(st.characters()),
        lambda one: st.lists(one) | st.dictionaries(st.text(), one),
    )
)
def test_whatever_is_said_comes_back(value: object) -> None:
    text = parts.said(value)

    assert json.loads(text.encode()) == value
    assert "<" not in text


def test_the_policy_lets_this_style_and_this_script_run_and_nothing_else(tmp_path: Path) -> None:
    found = blocks(tmp_path)

    assert found.policy == page.policy(found.found["style"], found.found["script"])
    assert found.policy.startswith("default-src 'none'; ")
    assert "unsafe" not in found.policy


def test_the_page_names_no_outside_resource_and_makes_no_markup_of_texts(tmp_path: Path) -> None:
    page.write(tmp_path)
    text = (tmp_path / page.NAME).read_text(encoding="utf-8")

    assert re.findall(r"https?:|//\w|\bsrc=|\bhref=|@import|url\(", text) == []
    assert re.findall(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|Function\(", text) == []


def test_what_the_page_is_put_together_from_is_installed_with_it() -> None:
    settings = tomllib.loads((OURS.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    parts_of_page = {path.name for path in OURS.iterdir() if path.is_file() and path.suffix != ".py"}

    assert "pipeline.report" in settings["packages"]
    assert set(settings["package-data"]["pipeline.report"]) == parts_of_page


def test_every_reason_has_words_and_every_part_a_place() -> None:
    script = "\n".join((OURS / name).read_text(encoding="utf-8") for name in page.SCRIPTS)
    markup = (OURS / "page.html").read_text(encoding="utf-8")
    reasons = script.partition("const WHY = {")[2].partition("};")[0]

    assert set(re.findall(r"(\w+): \"", reasons)) == set(get_args(rows.Why)) - {""}
    assert [name for name in parts.PARTS if f"\nfunction {name}(data) {{" not in script] == []
    assert [name for name in parts.PARTS if f'<section id="{name}"' not in markup] == []
