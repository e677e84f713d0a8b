"""What the shell looks at stays where it may look, and a file that cannot be read is a sentence."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bot.core.known import Checked, CheckedRow, Report, Sampled
from bot.core.records import Draft
from bot.core.talk import File, Look
from bot.look import GENERATED, REPORT_BYTES, SAMPLES, SCANNED, Looker
from bot.pack import enclose, enclosed
from pipeline.check import SIZE_BYTES
from pipeline.errors import Invalid, Problem
from pipeline.generating import rows
from pipeline.generating.rows import Row, Score

ROWS = [
    {"id": "p1", "file": "a.md", "heading": "Light", "text": "The light shines.", "words": 3},
    {"id": "p2", "file": "a.md", "heading": "Fish", "text": "Fish is sold.", "words": 3},
]


@pytest.fixture
def looker(tmp_path: Path) -> Looker:
    read = tmp_path / "runs" / "k7.read1"
    read.mkdir(parents=True)
    (read / "passages.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    (tmp_path / "passages.jsonl").write_text(json.dumps(ROWS[0]) + "\n", encoding="utf-8")
    return Looker(tmp_path / "taxonomy", tmp_path / "runs")


async def fetch(file: File) -> bytes:
    return enclosed(file.token)


async def gone(file: File) -> bytes:
    raise Invalid(Problem("file.unreadable", "gone", file.name))


async def test_passages_are_found_by_what_they_say_and_by_their_name(looker: Looker) -> None:
    found = [await looker(Look("passages", ("k7.read1", query, 1)), fetch) for query in ("fish", "#p1", "#p9")]

    assert [[one.id for one in some] for some in found] == [["p2"], ["p1"], []]  # type: ignore[attr-defined]


@pytest.mark.parametrize("run", ["..", "../runs/..", "k8.read1", "/", ""])
async def test_a_run_that_is_not_there_or_leads_elsewhere_has_no_passages(looker: Looker, run: str) -> None:
    assert await looker(Look("passages", (run, "light", 5)), fetch) == ()


async def test_files_are_read_in_their_order(looker: Looker) -> None:
    entry = File("qna.yaml", 1, enclose(b"seed_examples:\n- question: a\n  answer: b\n"))
    works = File("attribution.txt", 1, enclose(b"Title of work: T\nLink to work: -\n"))
    (first, second) = await looker(Look("file", (entry, works)), fetch)  # type: ignore[misc]

    assert (bool(first.entry), second.works[0].title) == (True, "T")


@pytest.mark.parametrize(
    ("file", "how", "code"),
    [
        (File("qna.yaml", SIZE_BYTES + 1, ""), fetch, "file.large"),
        (File("qna.yaml", 3, enclose(b"\xff\xfe\x00")), fetch, "file.encoding"),
        (File("qna.yaml", 3, ""), gone, "file.unreadable"),
    ],
)
async def test_a_file_that_cannot_be_read_says_why(looker: Looker, file: File, how: object, code: str) -> None:
    (found,) = await looker(Look("file", (file,)), how)  # type: ignore[arg-type, misc]

    assert (found.entry, found.problem and found.problem.code) == (None, code)


async def test_places_lie_under_the_root_of_the_drafts_form(looker: Looker) -> None:
    places = {
        name: (await looker.draft(Draft("k", name, "p", "here", 0.0))).places[0] for name in ("skill", "grounded", "knowledge")
    }

    assert places == {
        "skill": "compositional_skills/miscellaneous_unknown/new_skill",
        "grounded": "compositional_skills/grounded/miscellaneous_unknown/new_skill",
        "knowledge": "knowledge/miscellaneous_unknown/new_knowledge",
    }


FOUND = {
    "version": 1,
    "model": {"name": "small", "version": "abc"},
    "judge": {"name": "big", "version": "", "trials": 8, "right": 3, "trusted": False},
    "verdict": "worth",
    "confidence": 0.9,
    "counts": {"known": 0, "gap": 1, "uncertain": 0},
    "questions": [
        {"question": "q", "wanted": "w", "said": "s", "state": "gap", "why": "judge", "quote": "It is not.", "votes": []}
    ],
}


async def test_a_precheck_is_read_from_its_run(looker: Looker) -> None:
    (looker.runs / "k7.1").mkdir()
    (looker.runs / "k7.1" / "precheck.json").write_text(json.dumps(FOUND), encoding="utf-8")
    row = CheckedRow("q", "w", "s", "gap", "judge", "It is not.")

    assert await looker(Look("precheck", "k7.1"), fetch) == Checked(
        (row,), "worth", 0.9, {"known": "0", "gap": "1", "uncertain": "0"}, "small", "big", False
    )


@pytest.mark.parametrize("run", ["..", "../runs/../..", "k8.1", "", "/"])
async def test_a_precheck_that_is_not_there_or_lies_elsewhere_has_no_rows(looker: Looker, run: str) -> None:
    (looker.runs.parent / "precheck.json").write_text(json.dumps(FOUND), encoding="utf-8")

    assert await looker(Look("precheck", run), fetch) == Checked()


@pytest.mark.parametrize("change", [{"verdict": "sunny"}, {"questions": [{}]}, {"counts": {"gap": "many"}}, {"judge": None}])
async def test_a_precheck_of_another_version_has_no_rows(looker: Looker, change: dict[str, object]) -> None:
    (looker.runs / "k7.1").mkdir()
    (looker.runs / "k7.1" / "precheck.json").write_text(json.dumps({**FOUND, **change}), encoding="utf-8")

    assert await looker(Look("precheck", "k7.1"), fetch) == Checked()


# --- samples


def row(number: int, *, kept: bool = True, which: rows.Set = "train") -> Row:
    made = Row(f"a{number}", number, which, "freeform", "x/y", 2, f"Question {number}?", "Answer", "A text")
    made = replace(made, scores=(Score("judge_pairs", 3, "Good."), Score("judge_pairs", 1, "It is *wrong*.")))
    return made if kept else made.dropped("judge_pairs", "score")


async def samples(looker: Looker, run: str, which: str, skip: int = 0, most: int = 10) -> Sampled:
    found = await looker(Look("samples", (run, which, skip, most)), fetch)
    assert isinstance(found, Sampled)
    return found


async def test_samples_are_read_page_by_page_the_kept_apart_from_the_dropped(looker: Looker) -> None:
    path = looker.runs / "k7.read1" / rows.SAMPLES
    rows.write(path, [row(at, kept=at % 3 != 0, which="unseen" if at == 1 else "train") for at in range(1, 31)])
    first, last = await samples(looker, "k7.read1", "kept"), await samples(looker, "k7.read1", "kept", 10)
    dropped = await samples(looker, "k7.read1", "dropped", 1, 1)

    assert ([one.number for one in first.rows], first.more) == ([2, 4, 5, 7, 8, 10, 11, 13, 14, 16], True)
    assert ([one.number for one in last.rows], last.more) == ([17, 19, 20, 22, 23, 25, 26, 28, 29], False)
    assert dropped.more and [(one.number, one.at, one.why, one.reason) for one in dropped.rows] == [
        (6, "judge_pairs", "score", "It is *wrong*.")
    ]
    assert first.rows[0].seed == 2 and first.rows[0].context == "A text"
    assert (SAMPLES, GENERATED) == (rows.SAMPLES, rows.GENERATED)


async def test_of_a_run_that_stopped_early_the_samples_are_those_that_it_had_made(looker: Looker) -> None:
    rows.write(looker.runs / "k7.read1" / rows.GENERATED, [row(1), row(2, kept=False)])
    early = [await samples(looker, "k7.read1", which) for which in ("kept", "dropped")]
    rows.write(looker.runs / "k7.read1" / rows.SAMPLES, [row(1, kept=False), row(2, kept=False)])
    late = [await samples(looker, "k7.read1", which) for which in ("kept", "dropped")]

    assert [([one.number for one in found.rows], found.judged) for found in (*early, *late)] == [
        ([1], False),
        ([2], False),
        ([], True),
        ([1, 2], True),
    ]


async def test_what_lies_with_another_host_is_brought_and_of_large_files_no_more_than_is_read(tmp_path: Path) -> None:
    asked: list[str] = []

    async def bring(run: str, path: str) -> None:
        asked.append(path)
        if (run, path) in (("k7.1", rows.SAMPLES), ("k8.1", rows.GENERATED)):
            rows.write(tmp_path / run / path, [row(1)])

    looker = Looker(tmp_path, tmp_path, bring=bring)
    found = [await samples(looker, run, "kept") for run in ("k7.1", "k8.1")]

    assert [[one.number for one in some.rows] for some in found] == [[1], [1]]
    assert asked == [SAMPLES, SAMPLES, GENERATED]


async def test_samples_that_are_not_there_or_lie_elsewhere_are_none(looker: Looker) -> None:
    rows.write(looker.runs.parent / rows.SAMPLES, [row(1)])

    assert [await samples(looker, run, "kept") for run in ("k7.read1", "..", "", "k9")] == [Sampled()] * 4


@pytest.mark.parametrize("damage", ["{no json", "7", "{}", '{"set": "train", "question": "a"}', "\x00", "[[]]"])
async def test_of_a_damaged_file_what_stands_before_the_damage_is_shown(
    looker: Looker, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    path = looker.runs / "k7.read1" / rows.SAMPLES
    rows.write(path, [row(1)])
    with path.open("a", encoding="utf-8") as file:
        file.write(damage + "\n")

    assert [one.number for one in (await samples(looker, "k7.read1", "kept")).rows] == [1]
    assert "line 2, cannot be read" in caplog.text


async def test_no_more_rows_are_looked_through_than_a_person_would_turn_pages_for(looker: Looker) -> None:
    path = looker.runs / "k7.read1" / rows.SAMPLES
    rows.write(path, (row(at, kept=at == SCANNED + 1) for at in range(1, SCANNED + 2)))

    assert await samples(looker, "k7.read1", "kept") == Sampled()


async def test_a_report_is_brought_as_a_whole_or_only_named(looker: Looker) -> None:
    path = looker.runs / "k7.read1" / "report.html"
    none = await looker(Look("report", "k7.read1"), fetch)
    path.write_text("<p>ä", encoding="utf-8")
    small = await looker(Look("report", "k7.read1"), fetch)
    path.write_text("x" * (REPORT_BYTES + 1), encoding="utf-8")
    large = await looker(Look("report", "k7.read1"), fetch)

    assert (none, small, large) == (Report(), Report("<p>ä", str(path)), Report("", str(path)))


async def test_thumbs_are_asked_for_where_they_are_kept(tmp_path: Path) -> None:
    async def thumbs(run: str) -> dict[str, str]:
        return {run: "up"}

    looker = Looker(tmp_path, tmp_path, thumbs=thumbs)

    assert await looker(Look("thumbs", "k7.1"), fetch) == {"k7.1": "up"}
