"""The whole stage over a real tokeniser and real files: what it asks, what it writes, and what a kill costs."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import Failed, Invalid
from pipeline.evaluating.answers import TOGETHER, thinks
from pipeline.generating import rows
from pipeline.generating.leaf import leaf
from pipeline.report import page
from pipeline.stage import Job
from pipeline.stages.evaluate import evaluate
from pipeline.training import base, held, opening
from pipeline.training.devices import Place
from pipeline.training.settings import TrainConfig
from tests.conftest import HOME
from tests.pipeline.evaluating.evaluating_folder import (
    EACH,
    FAMILIES,
    Judge,
    Speaker,
    adapter,
    job,
    lamps,
    measured,
    row,
    scores,
    tales,
)
from tests.pipeline.generating.generating_folder import SEEDS
from tests.pipeline.models.tiny_model import small_model


@pytest.fixture(scope="module")
def model() -> Path:
    return small_model()


def learned(tuned: bool, prompt: str) -> str:
    """The skill, after the training; without it the question is said back."""
    number = re.search(r"Say lamp number (\d+)", prompt)
    if not number:
        return "Hello!"
    return f"lamp: {number[1]}" if tuned and int(number[1]) % 12 else prompt[-20:]


def done(given: Job, speaker: Speaker) -> Mapping[str, str]:
    return evaluate(given, lambda base, config, place: nullcontext(speaker))


def test_a_skill_that_was_learned_is_better_and_says_on_how_many_questions(tmp_path: Path, model: Path) -> None:
    given = job(tmp_path, model, lamps(60), lamps(20, "reworded"))
    tested = [one.number for one in held.split(given.folder).test]
    speaker = Speaker(tmp_path / "models", learned)

    facts = done(given, speaker)

    right = sum(1 for number in tested if number % 12)
    found = scores(given)
    assert {name: facts[name] for name in ("stage", "by", "asked", "before", "after", "verdict", "why", "same", "p")} == {
        "stage": "evaluate",
        "by": "exact",
        "asked": str(len(tested)),
        "before": "0",
        "after": str(right),
        "verdict": "better",
        "why": "",
        "same": "0",
        "p": "0.0000",
    }
    assert (found["unseen"]["asked"], found["unseen"]["after"]["right"]) == (len(tested), right)
    assert int(facts["low"]) <= int(facts["share"]) <= int(facts["high"])
    assert json.loads(facts["example"])["wanted"] == json.loads(facts["example"])["after"]
    assert found["unseen"]["sentence"].startswith(f"On {len(tested)} questions it never saw: before 0, after {right} (")
    assert found["unseen"]["sentence"].endswith("Better.")
    assert (found["reworded"]["verdict"], found["reworded"]["after"]["right"]) == ("few", 19)


def test_both_are_asked_the_same_prompts_in_the_same_batches(tmp_path: Path, model: Path) -> None:
    given = job(tmp_path, model, lamps(60), lamps(20, "reworded"))
    speaker = Speaker(tmp_path / "models", learned)

    done(given, speaker)

    assert speaker.of(tuned=False) == speaker.of(tuned=True)
    assert 16 < max(map(len, speaker.of(tuned=True))) <= TOGETHER
    assert max(Counter(prompt for batch in speaker.of(tuned=True) for prompt in batch).values()) <= 3  # small talk's wordings


def test_questions_are_put_as_the_rows_that_were_trained_on(tmp_path: Path, model: Path) -> None:
    unseen = [row(1, "What burns?", "A lamp.", "grounded", context="A lamp burns here.")]
    unseen += [row(2, "Who lit it?", "Mia.", "knowledge", document="Mia lit it.")]
    given = job(tmp_path, model, unseen, kind="knowledge")
    speaker = Speaker(tmp_path / "models", learned)

    done(given, speaker)

    asked = [speaker.words.decode(list(prompt)) for batch in speaker.of(tuned=False) for prompt in batch]
    assert any(
        one.endswith("A lamp burns here.\n\nWhat burns?") and "You are labbot, a helpful assistant." in one for one in asked
    )
    assert any(
        one.endswith("You are labbot, a helpful assistant. Who lit it?") or one.endswith("assistant.Who lit it?")
        for one in asked
    )
    assert not any("Mia lit it." in one for one in asked)


def test_a_killed_evaluation_asks_nothing_twice_and_ends_as_if_it_had_not_been(tmp_path: Path, model: Path) -> None:
    whole = job(tmp_path / "whole", model, lamps(20), lamps(9, "reworded"))
    at_once = Speaker(tmp_path / "whole" / "models", learned)
    facts = done(whole, at_once)
    given = job(tmp_path / "killed", model, lamps(20), lamps(9, "reworded"))
    asked: list[object] = []
    for dies in (*[2] * (len(at_once.asked) - 1), 0):
        speaker = Speaker(tmp_path / "killed" / "models", learned, dies)
        try:
            ended = done(given, speaker)
        except KeyboardInterrupt:
            assert not (given.folder / "scores.json").exists()
        asked += speaker.asked

    assert asked == at_once.asked
    assert (ended, scores(given)) == (facts, scores(whole))


def test_another_adapter_is_asked_anew_and_the_base_is_not(tmp_path: Path, model: Path) -> None:
    given = job(tmp_path, model, lamps(45))
    done(given, Speaker(tmp_path / "models", learned))
    first = scores(given)
    adapter(given.folder, b"another")
    speaker = Speaker(tmp_path / "models", lambda tuned, prompt: "no")

    done(given, speaker)

    assert (speaker.of(tuned=False), len(speaker.of(tuned=True)) > 0) == ([], True)
    assert scores(given)["adapter"] != first["adapter"]
    assert (scores(given)["unseen"]["before"], scores(given)["unseen"]["after"]["right"]) == (first["unseen"]["before"], 0)


def test_what_the_base_knew_is_asked_again_and_a_loss_is_told(tmp_path: Path, model: Path) -> None:
    """Half of what the practice model is asked is small talk: it says hello to all, the tuned one nothing of use."""

    def forgetful(tuned: bool, prompt: str) -> str:
        return "woof" if tuned else "Hello! How can I help?"

    given = job(tmp_path, model, lamps(3), home=HOME)
    facts = done(given, Speaker(tmp_path / "models", forgetful))

    found = scores(given)["forgetting"]
    assert (found["source"], found["asked"], set(found["families"])) == (
        "practice",
        100,
        {"talk", "self", "fact", "haiku", "unable"},
    )
    assert found["before"]["right"] == sum(one["before"] for one in found["families"].values())
    assert found["after"]["right"] == 0
    assert (facts["kept_after"], facts["kept"]) == ("0", found["verdict"])


def test_every_seed_question_is_answered_by_both_and_says_whether_it_was_held_out(tmp_path: Path, model: Path) -> None:
    given = job(tmp_path, model, lamps(3))
    done(given, Speaker(tmp_path / "models", lambda tuned, prompt: "tuned" if tuned else "base"))

    found = scores(given)["seeds"]
    text = (given.folder / "entry" / "qna.yaml").read_text(encoding="utf-8")
    assert [(one["number"], one["question"], one["wanted"], one["before"], one["after"]) for one in found] == [
        (number, question, wanted, "base", "tuned") for number, (_, question, wanted) in enumerate(SEEDS["en"], 1)
    ]
    assert [one["number"] for one in found if one["held"]] == [one.number for one in leaf(text, "").held]


def test_a_prompt_without_room_for_an_answer_is_not_asked_and_counts_as_none(tmp_path: Path, model: Path) -> None:
    given = job(tmp_path, model, [*lamps(3), row(4, "word " * 400, "four")])
    done(given, Speaker(tmp_path / "models", learned))

    found = scores(given)
    assert (found["unseen"]["asked"], found["unseen"]["before"]["long"], found["unseen"]["after"]["long"]) == (4, 1, 1)
    assert "Unseen: 1 of 4 questions left no room for an answer" in (given.folder / "scores.md").read_text(encoding="utf-8")
    assert [one["after"] for one in found["examples"]][3] == ""


def test_progress_goes_up_to_the_end_and_names_who_is_asked(tmp_path: Path, model: Path) -> None:
    told: list[tuple[float, Mapping[str, str]]] = []
    given = job(tmp_path, model, lamps(20), report=lambda fraction, facts: told.append((fraction, facts)))
    done(given, Speaker(tmp_path / "models", learned))

    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions) and fractions[0] == 0 and fractions[-1] <= 1
    assert {facts["of"] for _, facts in told} == {"base", "tuned"}
    assert told[-1][1]["done"] == told[-1][1]["total"] == str(2 * (20 + 5 + EACH * FAMILIES))


# --- who judges long answers


def worthy(given: Mapping[str, str]) -> str:
    """The answer that says nothing of a dog, whatever stands first."""
    return "same" if ("dog" in given["A"]) == ("dog" in given["B"]) else "B" if "dog" in given["A"] else "A"


def tale(tuned: bool, prompt: str) -> str:
    number = re.search(r"Tell tale (\d+)", prompt)
    if number is None:
        return "Hello!"
    if int(number[1]) % 8 == 0:
        return f"Mia sees {number[1]} {'lamps' if tuned else 'cups'}"
    return f"Mia has {number[1]} lamps" if tuned else f"my dog has {number[1]} lamps"


async def judged(tmp_path: Path, model: Path, judge: Judge, kappa: float | None = 0.7) -> tuple[Job, Mapping[str, str]]:
    async with judge:
        given = job(tmp_path, model, tales(36), url=judge.url)
        if kappa is not None:
            await measured(tmp_path / "models", judge.url, kappa)
        return given, await asyncio.to_thread(done, given, Speaker(tmp_path / "models", tale))


async def test_long_answers_are_compared_by_a_judge_in_both_orders(tmp_path: Path, model: Path) -> None:
    judge = Judge(worthy)
    given, facts = await judged(tmp_path, model, judge)

    found = scores(given)["unseen"]
    pairs = [json.loads(one.body["messages"][1]["content"]) for one in judge.to("/v1/chat/completions")]
    assert found["pairwise"] == {
        "judge": {"name": "small", "version": ""},
        "kappa": 0.7,
        "asked": 36,
        "before": 0,
        "after": 32,
        "same": 4,
        "order": 0,
        "silent": 0,
        "share": 0.8889,
        "low": found["pairwise"]["low"],
        "high": found["pairwise"]["high"],
    }
    assert {(one["A"], one["B"]) for one in pairs} == {(one["B"], one["A"]) for one in pairs}
    assert len(pairs) == 72 and all(one["wanted"].startswith("Lamp ") for one in pairs)
    assert (facts["by"], facts["before"], facts["after"], facts["same"], facts["share"]) == ("judge", "0", "32", "4", "89")
    assert facts["verdict"] == "better"
    assert found["sentence"].startswith(
        "On 36 questions it never saw, of the two answers the judge preferred 32 from after the training (89%, between "
    )


async def test_a_judge_that_takes_what_stands_first_says_nothing(tmp_path: Path, model: Path) -> None:
    given, facts = await judged(tmp_path, model, Judge(lambda given: "A"))

    found = scores(given)["unseen"]["pairwise"]
    assert (found["before"], found["after"], found["same"], found["order"]) == (0, 0, 36, 36)
    assert facts["verdict"] == "none"


async def test_a_judge_that_keeps_to_no_form_is_counted_and_prefers_nobody(tmp_path: Path, model: Path) -> None:
    given, facts = await judged(tmp_path, model, Judge(lambda given: "well, well" if "lamps" in given["A"] else "A"))

    found = scores(given)["unseen"]["pairwise"]
    assert (found["same"], found["silent"]) == (36, 36)
    assert facts["verdict"] == "none"


@pytest.mark.parametrize(
    ("kappa", "why", "says"), [(None, "uncalibrated", "has measured the judge"), (0.0, "refused", "no better than chance")]
)
async def test_a_judge_that_may_not_judge_is_not_asked_and_words_are_counted(
    tmp_path: Path, model: Path, kappa: float | None, why: str, says: str
) -> None:
    judge = Judge(worthy)
    given, facts = await judged(tmp_path, model, judge, kappa)

    found = scores(given)["unseen"]
    assert (found["pairwise"], found["by"], facts["why"], facts["by"]) == (None, "f1", why, "f1")
    assert says in found["why_no_pairwise"] and says in (given.folder / "scores.md").read_text(encoding="utf-8")
    assert judge.to("/v1/chat/completions") == []
    assert (facts["before"], facts["after"]) == tuple(str(round(100 * found[side]["f1"])) for side in ("before", "after"))


def test_without_a_judge_words_are_counted_and_it_is_said(tmp_path: Path, model: Path) -> None:
    given = job(tmp_path, model, tales(36))
    facts = done(given, Speaker(tmp_path / "models", tale))

    assert (facts["by"], facts["why"]) == ("f1", "absent")
    assert "no judge" in scores(given)["unseen"]["why_no_pairwise"]


# --- what is written


def test_the_page_and_the_markdown_have_what_was_found(tmp_path: Path, model: Path) -> None:
    hostile = "</script>|<b>@everyone https://example.org ![x](y)"
    given = job(tmp_path, model, [*lamps(39), row(40, hostile, hostile)])
    done(given, Speaker(tmp_path / "models", learned))

    text = (given.folder / "scores.md").read_text(encoding="utf-8")
    assert scores(given)["unseen"]["sentence"] in text and scores(given)["forgetting"]["sentence"] in text
    assert "<b>" not in text and "@everyone" not in text and "https://" not in text
    assert all(line.count("|") - line.count("\\|") == 5 for line in text.splitlines() if line.startswith("| Say lamp"))
    assert "scores-data" in (given.folder / page.NAME).read_text(encoding="utf-8")


def test_the_same_questions_chose_and_tested_and_it_is_said(tmp_path: Path, model: Path) -> None:
    given = job(tmp_path, model, lamps(5))
    adapter(given.folder, b"one", choosing={"questions": 5, "shared_with_test": True})
    done(given, Speaker(tmp_path / "models", learned))

    assert "chosen on these same questions" in (given.folder / "scores.md").read_text(encoding="utf-8")
    assert scores(given)["choosing"] == {"questions": 5, "shared_with_test": True}


def talkative(tuned: bool, prompt: str) -> str:
    return learned(tuned, prompt) if tuned else "Well, let me think of lamps. " * 40


@pytest.mark.parametrize("switch", [False, True])
def test_a_base_that_talks_on_is_cut_and_it_is_said_and_nothing_is_better_by_that(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch, switch: bool
) -> None:
    given = job(tmp_path, model, lamps(60))
    monkeypatch.setattr("pipeline.stages.evaluate.thinks", lambda folder: switch)

    facts = done(given, Speaker(tmp_path / "models", talkative))

    text = (given.folder / "scores.md").read_text(encoding="utf-8")
    asked = facts["asked"]
    assert (facts["verdict"], facts["withheld"], facts["before"]) == ("none", "cut", "0")
    assert (facts["cut_before"], facts["cut_after"], facts["cut_at"]) == (asked, "0", "64")
    assert f"No verdict: {asked} of {asked} answers before and 0 of {asked} after were cut at 64 tokens" in text
    assert ("enable_thinking" in text) is switch
    assert scores(given)["notes"][0] in text


def test_a_template_with_a_switch_to_think_is_known_by_it(tmp_path: Path, model: Path) -> None:
    assert not thinks(model / "hf")
    (tmp_path / "chat_template.jinja").write_text("{%- if enable_thinking is defined %}", encoding="utf-8")
    assert thinks(tmp_path)


def test_rewordings_of_a_few_seed_questions_are_as_many_as_there_are_seed_questions(tmp_path: Path, model: Path) -> None:
    reworded = [replace(one, seed=1 + at % 3, answer=f"lamp: {at % 9}") for at, one in enumerate(lamps(36, "reworded"))]
    given = job(tmp_path, model, lamps(3), reworded)

    done(given, Speaker(tmp_path / "models", lambda tuned, prompt: "no"))

    found = scores(given)["reworded"]
    assert (found["asked"], found["independent"], found["verdict"]) == (36, 9, "few")
    assert found["sentence"].startswith("On 36 seed questions in other words (9 of them independent): ")
    assert found["sentence"].endswith("Too few independent questions to tell: 30 are needed.")
    assert any("not independent" in one for one in scores(given)["notes"])


def test_unseen_questions_about_one_context_are_not_independent(tmp_path: Path, model: Path) -> None:
    about = [row(at, f"Who lit {at}?", "Mia.", "grounded", context=f"Text {at % 5}.") for at in range(1, 41)]
    given = job(tmp_path, model, about, kind="grounded")

    facts = done(given, Speaker(tmp_path / "models", lambda tuned, prompt: "Mia." if tuned else "no"))

    texts = {one.context for one in held.split(given.folder).test}
    assert (facts["verdict"], facts["independent"]) == ("few", str(len(texts)))


# --- what cannot be compared


class Closed(AbstractContextManager[Speaker]):
    """A base over several GPUs, which has to be closed."""

    def __init__(self, speaker: Speaker) -> None:
        self.speaker, self.closed = speaker, False

    def __enter__(self) -> Speaker:
        return self.speaker

    def __exit__(self, *_: object) -> None:
        self.closed = True


def test_what_was_opened_is_closed_before_anything_is_written(tmp_path: Path, model: Path) -> None:
    given = job(tmp_path, model, lamps(3))
    opened = Closed(Speaker(tmp_path / "models", learned, dies=2))

    with pytest.raises(KeyboardInterrupt):
        evaluate(given, lambda base, config, place: opened)

    assert opened.closed


def test_what_was_trained_on_all_gpus_answers_on_all_of_them(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a base that fits on all of them only would be trained, and could not be compared."""
    asked: list[tuple[str, bool]] = []

    class Together:
        closed = False

        def close(self) -> None:
            self.closed = True

    def together(folder: Path, config: TrainConfig, place: Place, *, base: str, checkpointing: bool) -> Together:
        asked.append((base, checkpointing))
        return made

    made = Together()
    monkeypatch.setattr("pipeline.training.sharded.opened", together)
    job(tmp_path, model, lamps(3))
    gpus = Place("cuda", "GPU", 2**34, 2**34, bf16=True, count=2)

    with opening.answering(base.find(tmp_path / "models", "tiny"), TrainConfig(), gpus) as learner:
        assert (learner, made.closed) == (made, False)

    assert (asked, made.closed) == ([("tiny", False)], True)


@pytest.mark.parametrize("when", ["opened", "given an adapter"])
def test_memory_that_is_too_small_for_the_model_is_told(tmp_path: Path, model: Path, when: str) -> None:
    given = job(tmp_path, model, lamps(3))

    class Full(Speaker):
        def use(self, adapter: Path | None) -> None:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    def opened(*_: object) -> AbstractContextManager[Speaker]:
        if when == "opened":
            raise MemoryError
        return nullcontext(Full(tmp_path / "models", learned))

    with pytest.raises(Invalid) as caught:
        evaluate(given, opened)

    assert caught.value.facts["code"] == "evaluate.memory" and "CPU" in caught.value.facts["device"]
    assert "`device: cpu`" in caught.value.problems[0].fix


class Small(Speaker):
    """Has memory for so many prompts at once."""

    room = 1

    def answers(self, prompts: Sequence[Sequence[int]], most: int, ends: frozenset[int]) -> list[list[int]]:
        if len(prompts) > self.room:
            raise MemoryError
        return super().answers(prompts, most, ends)


def test_where_memory_is_too_small_for_many_they_are_asked_one_by_one(tmp_path: Path, model: Path) -> None:
    one, other = job(tmp_path / "a", model, lamps(9)), job(tmp_path / "b", model, lamps(9))

    assert done(one, Small(tmp_path / "a" / "models", learned)) == done(other, Speaker(tmp_path / "b" / "models", learned))


def test_memory_that_is_too_small_for_one_is_told(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Small, "room", 0)
    given = job(tmp_path, model, lamps(3))

    with pytest.raises(Invalid) as caught:
        done(given, Small(tmp_path / "models", learned))

    assert (caught.value.facts["code"], caught.value.facts["device"]) == ("evaluate.memory", "cpu")


def test_without_held_out_questions_there_is_nothing_to_compare(tmp_path: Path, model: Path) -> None:
    given = job(tmp_path, model, [one.dropped("judge", "near") for one in lamps(3)])

    with pytest.raises(Invalid) as caught:
        done(given, Speaker(tmp_path / "models", learned))

    assert caught.value.facts["code"] == "evaluate.none"


def test_without_an_adapter_there_is_nothing_to_compare(tmp_path: Path, model: Path) -> None:
    given = job(tmp_path, model, lamps(3))
    (given.folder / "train" / "adapter" / "adapter_model.safetensors").unlink()

    with pytest.raises(Invalid) as caught:
        done(given, Speaker(tmp_path / "models", learned))

    assert caught.value.facts["code"] == "evaluate.untrained"


def test_a_base_that_was_changed_since_is_not_compared(tmp_path: Path, model: Path) -> None:
    given = job(tmp_path, model, lamps(3))
    adapter(given.folder, b"one", base={"name": "tiny", "version": "another"})

    with pytest.raises(Invalid) as caught:
        done(given, Speaker(tmp_path / "models", learned))

    assert caught.value.facts == {"code": "evaluate.base", "base": "tiny"}


@pytest.mark.parametrize("path", ["train/plan.json", rows.UNSEEN])
def test_a_damaged_file_is_named(tmp_path: Path, model: Path, path: str) -> None:
    given = job(tmp_path, model, lamps(3))
    with (given.folder / path).open("a", encoding="utf-8") as file:
        file.write("{broken\n")

    with pytest.raises(Failed, match=Path(path).name):
        done(given, Speaker(tmp_path / "models", learned))
