"""A pull request's text: what was found out stands in it, what nobody did is said, GitHub's limits and signs are kept."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import Failed
from pipeline.proposing import body
from pipeline.proposing.muting import escaped, muted
from pipeline.stage import Job
from tests.conftest import HOME
from tests.pipeline.proposing.conftest import INPUTS, QNA
from tests.pipeline.test_propose import PRECHECKED

TEMPLATE = (HOME / "configs" / "pull.md").read_text(encoding="utf-8")
BOXES = 8
ROW = {"question": "Two lamps", "wanted": "item: lamps", "before": "Sure!", "after": "item: lamps | count: 2"}
SCORES = {
    "unseen": {"sentence": "After training 9 of 10 unseen questions were answered rightly, before 1."},
    "forgetting": {"sentence": "Nothing was forgotten."},
    "examples": [ROW],
    "seeds": [],
}
LOUD = st.sampled_from(["@octo", "fixes #1", "closes GH-7", "see o/r#12", "https://github.com/o/r/issues/3", "/pull/4"])


def work(folder: Path, qna: str = QNA, **changed: Any) -> Job:
    (folder / "entry").mkdir(parents=True, exist_ok=True)
    (folder / "entry" / "qna.yaml").write_text(qna, encoding="utf-8")
    return Job(folder, {**INPUTS, **changed}, {}, lambda fraction, facts: None)


def text(doing: Job, theirs: str = "") -> str:
    return body.text(doing, TEMPLATE, theirs)


def boxes(whole: str) -> list[str]:
    return re.findall(r"^- \[[ x]\] .*", whole.rpartition("checklist**")[2], re.MULTILINE)


def test_what_the_tuned_model_answers_stands_beside_what_the_base_did(tmp_path: Path) -> None:
    doing = work(tmp_path)
    assert "fine-tuned model**\n\nNot asked: no model was trained on it yet." in text(doing)

    (tmp_path / "scores.json").write_text(json.dumps(SCORES), encoding="utf-8")
    whole = text(doing)
    tuned = whole.partition("fine-tuned model**\n\n")[2].partition("\n\n**Contribution")[0]
    assert tuned.startswith("After training 9 of 10 unseen questions were answered rightly, before 1. Nothing was forgotten.")
    assert "Before:\n\n> Sure\\!\n\nAfter:\n\n> item: lamps \\| count: 2\n\nWanted:\n\n> item: lamps" in tuned
    assert "- After training 9 of 10 unseen" in whole.partition("**Input given")[0]


def test_scores_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    for found in ("{", json.dumps({"examples": [{}], "seeds": []})):
        doing = work(tmp_path)
        (tmp_path / "scores.json").write_text(found, encoding="utf-8")
        with pytest.raises(Failed, match=r"scores\.json cannot be read"):
            text(doing)


def test_a_box_is_ticked_with_its_evidence_or_left_open_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "yield.json").write_text('{"made": 60, "kept": 41}', encoding="utf-8")
    found = boxes(text(work(tmp_path, looked=True, hints={"private": 0, "topics": 2})))

    assert len(found) == BOXES
    assert found[0].startswith("- [ ]") and "made 60 samples from it, of which 41 passed" in found[0]
    assert found[2] == "- [x] All commits are signed off (DCO 1.1, agreed to at 2026-01-02 00:00 UTC)"
    assert found[3] == "- [x] The `qna.yaml` file contains at least 5 `seed_examples` (5)"
    assert found[6].startswith("- [x]") and "the contributor looked; labbot's screening found nothing" in found[6]
    assert found[7].startswith("- [ ]") and "labbot's screening found 2" in found[7]


def test_who_did_not_look_for_personal_data_has_that_box_open(tmp_path: Path) -> None:
    found = boxes(text(work(tmp_path, qna="- not a mapping\n", looked=False, hints={"private": 0, "topics": 0})))

    assert found[6].startswith("- [ ]") and found[7].startswith("- [x]") and found[3].startswith("- [ ]")


@pytest.mark.parametrize("sign", ["a", "<", "*", "\n", "`", "@a"])
@pytest.mark.parametrize("entry", [10, 70_000])
@pytest.mark.parametrize(("long", "rows"), [(30_000, 3), (900, 120), (100, 2000)])
def test_github_takes_the_text_however_long_its_parts_are(tmp_path: Path, sign: str, entry: int, long: int, rows: int) -> None:
    said = sign * long
    row = {"question": said, "wanted": said, "said": said, "state": "gap", "reason": said, "before": said, "after": said}
    (tmp_path / "precheck.json").write_text(json.dumps({**PRECHECKED, "questions": [row] * rows}), encoding="utf-8")
    (tmp_path / "scores.json").write_text(json.dumps({**SCORES, "examples": [row] * rows}), encoding="utf-8")
    whole = text(work(tmp_path, qna=sign * entry, description=said), theirs="- [ ] " + "unknown box " * 40)

    assert len(whole) <= body.MOST and len(boxes(whole)) == BOXES + 1
    assert whole.count("**1.") == 2


def test_a_short_text_is_whole(tmp_path: Path) -> None:
    whole = text(work(tmp_path, description="d" * 900))

    assert QNA in whole and "d" * 900 in whole


@given(st.lists(st.one_of(st.text(max_size=8), LOUD)))
def test_no_text_pings_anybody_closes_anything_or_is_html(parts: list[str]) -> None:
    whole = muted("".join(parts))

    assert not re.search(r"@[A-Za-z0-9]|#\d|\bGH-\d|/(?:issues|pull)/\d", whole, re.IGNORECASE)
    assert whole.replace("\u200b", "") == "".join(parts).replace("\u200b", "")
    assert not re.search(r"(?<!\\)<", escaped("".join(parts)).replace("\\\\", ""))


@given(st.text(alphabet="-*[] xabc\n<!@", max_size=400))
def test_a_template_of_any_kind_leaves_our_boxes_as_they_are(theirs: str) -> None:
    for box in body.strangers(theirs, TEMPLATE):
        assert not re.search(r"[\n\r]|@[a-z]|(?<!\\)<", box)
    assert body.strangers(TEMPLATE, TEMPLATE) == []
