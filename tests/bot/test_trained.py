"""What a training has left is read from its run's folder and from nowhere else, as the stages write it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bot import trained
from bot.contents import contents, held
from bot.core.talk import FILE_BYTES, Attached, Card, Look, Picture, Text
from bot.core.trained import Adapter, Curve, Exported, Scores, Seed
from bot.look import Looker
from pipeline.evaluating import outcome
from pipeline.evaluating.answers import Said
from pipeline.evaluating.outcome import Answered, Judged
from pipeline.evaluating.pairwise import Preference
from pipeline.evaluating.questions import Question
from pipeline.judging.asking import Model
from tests.bot.test_look import fetch

RUN = "k7m2xyz.3"
NOTHING = {"curve": Curve(), "scores": Scores(), "export": Exported(), "adapter": Adapter()}
UNJUDGED = Judged()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "runs" / RUN
    (made / "train").mkdir(parents=True)
    return made


@pytest.fixture
def looker(folder: Path) -> Looker:
    return Looker(folder.parents[1] / "taxonomy", folder.parent)


def put(folder: Path, path: str, content: object) -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())


# --- the curve


async def test_a_curve_is_its_picture_and_the_losses_of_steps_and_checkpoints(looker: Looker, folder: Path) -> None:
    put(folder, "train/curves.png", b"one")
    put(folder, "train/metrics.jsonl", b'{"step":1,"loss":3.0}\n{"step":2,"loss":null}\n{"step":3,"loss":NaN}\n{"step":4,"lo')
    put(folder, "train/held.jsonl", b'{"step":0,"loss":2.5}\n{"step":2,"loss":0.5}\n')
    found = await looker(Look("curve", RUN), fetch)

    assert isinstance(found, Curve)
    assert (found.path, found.losses, found.held) == ("train/curves.png", (3.0,), (2.5, 0.5))
    assert found.where == str(folder / "train/curves.png") and found.version


async def test_of_many_steps_some_are_read_evenly(looker: Looker, folder: Path) -> None:
    put(folder, "train/metrics.jsonl", "".join(f'{{"loss":{at}}}\n' for at in range(4 * trained.DRAWN)).encode())
    found = await looker(Look("curve", RUN), fetch)

    assert isinstance(found, Curve) and found.losses == tuple(float(at) for at in range(0, 4 * trained.DRAWN, 4))


@pytest.mark.parametrize("what", ["curve", "scores", "export", "adapter"])
@pytest.mark.parametrize("run", ["..", "../runs/..", "", "/", f"{RUN}/train", "k8.1", f"../runs/{RUN}/../.."])
async def test_a_run_that_is_not_there_or_leads_elsewhere_has_left_nothing(
    looker: Looker, folder: Path, what: Any, run: str
) -> None:
    for place in (folder.parent, folder.parents[1], folder / "train"):
        put(place, "train/curves.png", b"x")
        put(place, "scores.json", {})
        put(place, "export/adapter.gguf", b"x")
        put(place, "export/adapter/adapter_config.json", {})

    assert await looker(Look(what, run), fetch) == NOTHING[what]


# --- the scores


def answered(before: str, after: str, wanted: str = "item: hat | count: 6") -> Answered:
    said = [Said(text) for text in (before, after)]
    return Answered(Question("unseen", 1, (), "6 hats?", (wanted,)), *said)


def scores(answers: list[Answered], judged: Judged = UNJUDGED, **more: Any) -> dict[str, Any]:
    """scores.json as the stage makes it."""
    unseen = outcome.compared(answers, judged) if answers else None
    rows = outcome.examples({"unseen": answers}, {"unseen": judged})
    return {
        "unseen": unseen,
        "forgetting": None,
        "examples": rows,
        "seeds": [],
        "choosing": {"shared_with_test": False},
        **more,
    }


async def read(looker: Looker, folder: Path, found: Mapping[str, Any]) -> Scores:
    put(folder, "scores.json", found)
    made = await looker(Look("scores", RUN), fetch)
    assert isinstance(made, Scores)
    return made


async def test_scores_by_letters_are_counts_with_an_interval_and_the_example_that_shows_most(
    looker: Looker, folder: Path
) -> None:
    right = "item: hat | count: 6"
    found = await read(looker, folder, scores([*[answered("hats", "hats")] * 4, *[answered("hats", right)] * 36]))

    assert (found.asked, found.by, found.before, found.after, found.share, found.verdict) == (40, "exact", 0, 36, 0.9, "better")
    assert 0.7 < found.low < 0.9 < found.high <= 1
    assert found.example == Seed("6 hats?", "hats", right, right)


async def test_scores_by_words_and_by_a_judge_have_their_own_counts(looker: Looker, folder: Path) -> None:
    long = "a long answer that nobody would ever write twice in just these words, " * 3
    answers = [answered("nothing of it", "a long answer", long)] * 40
    by_words = await read(looker, folder, scores(answers))
    votes = [Preference(1)] * 30 + [Preference(-1)] * 6 + [Preference(0, "same")] * 4
    by_judge = await read(looker, folder, scores(answers, Judged(votes, Model("big", "1"), 0.5)))

    assert (by_words.by, by_words.before < by_words.after < 1) == ("f1", True)
    assert (by_judge.by, by_judge.before, by_judge.after, by_judge.same, by_judge.share) == ("judge", 6, 30, 4, 0.75)


async def test_what_was_kept_and_the_seeds_are_read_too(looker: Looker, folder: Path) -> None:
    seed = {"question": "q", "wanted": "w", "before": "b", "after": "w", "held": True}
    forgetting = {"before": {"share": 0.91}, "after": {"share": 0.5}, "verdict": "lost"}
    choosing = {"shared_with_test": True}
    found = await read(looker, folder, scores([], seeds=[seed], forgetting=forgetting, choosing=choosing))

    assert found == Scores(shared=True, kept=(0.91, 0.5), lost=True, seeds=(Seed("q", "b", "w", "w", True),))


@pytest.mark.parametrize("change", [{"unseen": {}}, {"seeds": [{}]}, {"unseen": {"by": "moon"}}, {"forgetting": 7}])
async def test_scores_of_another_version_are_none(looker: Looker, folder: Path, change: Mapping[str, Any]) -> None:
    assert await read(looker, folder, scores([], **change)) == Scores()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
async def test_a_damaged_file_is_as_good_as_none(looker: Looker, folder: Path, content: bytes) -> None:
    put(folder, "scores.json", content)
    put(folder, "train/plan.json", content)

    assert await looker(Look("scores", RUN), fetch) == Scores()
    assert await looker(Look("adapter", RUN), fetch) == Adapter()


# --- the files and the adapter


async def test_the_files_that_are_handed_out_begin_with_the_adapter(looker: Looker, folder: Path) -> None:
    for name in ("README.md", "adapter/adapter_config.json", "model-F16.gguf", "adapter.gguf", ".half"):
        put(folder, f"export/{name}", b"12345")
    found = await looker(Look("export", RUN), fetch)

    assert isinstance(found, Exported) and found.where == str(folder)
    assert [path for path, _ in found.files] == [
        "export/adapter.gguf",
        "export/model-F16.gguf",
        "export/README.md",
        "export/adapter/adapter_config.json",
    ]
    assert {size for _, size in found.files} == {5}


async def test_an_adapter_is_there_with_the_base_that_it_was_trained_on(looker: Looker, folder: Path) -> None:
    put(folder, "train/plan.json", {"base": {"name": "tiny", "version": "1"}})
    before = await looker(Look("adapter", RUN), fetch)
    put(folder, trained.THERE, {})

    assert [before, await looker(Look("adapter", RUN), fetch)] == [Adapter(False, "tiny"), Adapter(True, "tiny")]


# --- what is sent


async def test_a_file_of_a_run_is_read_when_it_is_sent_unless_it_is_too_large_or_elsewhere(
    looker: Looker, folder: Path
) -> None:
    put(folder, "export/adapter.gguf", b"GGUF")
    put(folder.parents[1], "secret", b"no")
    with (folder / "large").open("wb") as file:
        file.truncate(FILE_BYTES + 1)
    paths = ("export/adapter.gguf", "../../secret", "large", "export", "nothing")

    assert [await looker.content(RUN, path) for path in paths] == [b"GGUF", b"", b"", b"", b""]


async def test_a_card_brings_what_it_names_and_its_own_texts() -> None:
    async def one(run: str, path: str) -> bytes:
        return f"{run} {path}".encode() if path != "gone" else b""

    blocks = (
        Text("x"),
        Attached("report.html", "<p>", "/x"),
        Attached("a.gguf", "", "/x", "k", "a"),
        Picture("c.png", "k", "gone", "1", "alt", "", ""),
    )
    found = await contents(Card("t", blocks), one)

    assert found == {("k", "a"): b"k a"}
    assert [held(block, found) for block in blocks[1:]] == [b"<p>", b"k a", b""]  # type: ignore[arg-type]  # no Text among them
