"""The stage that makes samples, with the one that looks at them all: what a scripted teacher's script says is kept, and

nothing else; nothing is asked twice, whatever comes between; and who gets nothing is told why.
"""

import asyncio
import json
import signal
import sys
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import Failed, Invalid, Temporary
from pipeline.files import digest
from pipeline.generating import rows
from pipeline.generating.flow import WINDOW, Flow
from pipeline.generating.memo import Memo
from pipeline.generating.outcome import Aside, Made
from pipeline.generating.rows import Kind, Row
from pipeline.journal import Journal, read
from pipeline.judging import calibrating, reference
from pipeline.judging.agreement import Agreement, Counts
from pipeline.judging.asking import Model
from pipeline.judging.calibrating import Standing
from pipeline.models.client import Client, Endpoint
from pipeline.pool import layout
from pipeline.stage import Job
from pipeline.stages import generate as stage
from pipeline.stages.generate import generate
from pipeline.stages.judge import judge
from tests.conftest import HOME
from tests.fakes import teacher as fake
from tests.fakes.teacher import Teacher
from tests.pipeline.generating.generating_folder import SEEDS, entry, files, held, home, job, kept, made, samples

_load = reference.load
LISTS: Mapping[Kind, str] = {"freeform": "questions", "grounded": "grounded_questions", "knowledge": "pairs"}
KINDS: tuple[Kind, ...] = tuple(LISTS)
LASTING = [f"{name}{end}" for name in fake.LASTING for end in ("", "_judge")]
PASSING = [f"{name}{end}" for name in fake.PASSING for end in ("", "_judge")]
FATES = ("off", "unfaithful", "unverifiable", "same", "near", "seed", "unseen", "blank", *LASTING, *PASSING)
STOPS = {"stop.share": 0.25, "stop.after": 8}  # for a run of 24 samples
COPIES = ("seed", "unseen", "same", "near")  # fates of questions that repeat something


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes time and is of no interest here: pauses, further rounds of the unseen set, reading the reference samples."""
    monkeypatch.setitem(Flow.__init__.__kwdefaults__, "pause_s", 0.01)
    monkeypatch.setattr(stage, "ROUNDS", 1)
    monkeypatch.setattr(reference, "load", lambda home: _reference())


@cache
def _reference() -> reference.Reference:
    return _load(HOME)


def script(kind: Kind, items: Mapping[str, float] | None = None, language: str = "en", **more: Any) -> Teacher:
    """A teacher who knows which seed examples are held out."""
    return Teacher(items, held=held(kind, language), **more)


def asked(teacher: Teacher) -> int:
    return sum(teacher.steps.values())


def told(teacher: Teacher) -> list[dict[str, Any]]:
    """What the requests gave the model."""
    return [json.loads(one.body["messages"][1]["content"]) for one in teacher.to(fake.CHAT)]


def lines(given: Job, path: str = rows.GENERATED) -> list[bytes]:
    return (given.folder / path).read_bytes().splitlines(keepends=True)


# --- what is kept


@pytest.mark.parametrize("kind", KINDS)
async def test_exactly_what_is_to_be_kept_is_kept_whatever_becomes_of_the_rest(kind: Kind, tmp_path: Path) -> None:
    shares, broken = dict.fromkeys(FATES, 0.9 / len(FATES)), dict.fromkeys(("reset", "malformed1", "cut", "malformed"), 0.05)
    async with script(kind, shares, lists=broken, slow_s=0.01) as teacher:
        given = job(tmp_path, kind, teacher.url, samples=12)
        found = await made(given)

    every = samples(given)
    expected = teacher.expected()
    assert kept(given) == expected and 10 <= len(expected) < len(every)
    assert len([row for row in every if row.kept]) == len(expected)
    dropped = Counter((row.at, row.why) for row in every if not row.kept)
    wanted = Counter[tuple[str, str]]()
    for (at, why), count in teacher.dropped().items():
        wanted[("judge", "") if why in COPIES else (at or LISTS[kind], why)] += count
    assert {why for at, why in dropped if at == "judge"} <= {"seed", "same", "near"}
    assert _told_apart(dropped) == wanted
    for row in every:
        assert row.kept or (row.at and row.why), row
        assert not row.kept or (row.answer and row.scores and not (row.at or row.why)), row
    for which, path in (("unseen", rows.UNSEEN), ("reworded", rows.REWORDED)):
        assert {row.question for row in samples(given, path) if row.kept} == teacher.expected(which)
    assert (found["kept"], found["made"]) == (str(len(expected)), str(len(every)))
    assert found["yield"]["kept"] == len(expected)


def _told_apart(dropped: Mapping[tuple[str, str], int]) -> Counter[tuple[str, str]]:
    """Without what a copy was said to be: one that is like several things may be told as any of them."""
    found = Counter[tuple[str, str]]()
    for (at, why), count in dropped.items():
        found[at, "" if at == "judge" else why] += count
    return found


@pytest.mark.parametrize("kind", KINDS)
async def test_a_row_that_repeats_names_what_it_repeats(kind: Kind, tmp_path: Path) -> None:
    async with script(kind, {"same": 0.15, "near": 0.15, "seed": 0.4}) as teacher:
        given = job(tmp_path, kind, teacher.url, samples=12)
        await made(given)

    every = {row.number: row for row in samples(given)}
    seeds = dict(enumerate(entry(kind)["seed_examples"], 1))
    repeats = [row for row in every.values() if row.at == "judge"]
    whys = {row.why for row in repeats}
    assert "seed" in whys and whys & {"same", "near"}
    for row in repeats:
        if row.why == "seed":
            assert json.dumps(row.near.rpartition("\n")[2]) in json.dumps(seeds[row.of])
        else:
            assert row.of < row.number and row.near == every[row.of].question
        assert not row.scores


async def test_no_sample_that_comes_near_the_unseen_set_is_kept(tmp_path: Path) -> None:
    kind: Kind = "freeform"
    async with script(kind) as teacher:
        given = job(tmp_path, kind, teacher.url)
        await made(given)
        unseen = {row.question for row in samples(given, rows.UNSEEN) if row.kept}
        earlier = len(samples(given))
        teacher.items, before = {"unseen": 0.5}, set(teacher.held)
        teacher.held = dict.fromkeys([*held(kind), *unseen], "")
        found = await made(job(tmp_path, kind, teacher.url, inputs={"wanted": str(3 * earlier)}))

    every = samples(given)
    leaks = [row for row in every if row.why == "unseen"]
    assert before == set(held(kind)) and len(unseen) >= 6
    assert found["yield"]["unseen"]["too_near"] == len(leaks) >= 3
    assert {row.near for row in leaks} <= unseen and not {row.question for row in leaks} & unseen
    near = {one.question for one in teacher.given if one.fate == "unseen"}
    assert near and not near & kept(given)
    assert kept(given) == teacher.expected()


async def test_an_unseen_set_that_came_out_too_small_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "ROUNDS", 3)
    async with script("freeform", {"off": 0.3}) as teacher:
        given = job(tmp_path, "freeform", teacher.url)
        await made(given)

    unseen = samples(given, rows.UNSEEN)
    assert len(unseen) == 12 and {row.number for row in unseen} == set(range(1, 13))
    assert {row.question for row in unseen if row.kept} == teacher.expected("unseen")
    assert sum(row.kept for row in unseen[:6]) < 6 <= sum(row.kept for row in unseen)


async def test_a_further_round_of_the_unseen_set_that_was_cut_off_is_brought_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Enough of it may be there by then, and yet the set is to be that of a run that nobody cut off."""
    keep, later = stage._keep, 0

    async def cut_off(done: Memo, what: Made, row: Row, aside: Aside) -> None:
        nonlocal later
        later += row.set == "unseen" and row.number > 6
        if later > 4:
            raise RuntimeError("cut off")
        await keep(done, what, row, aside)

    monkeypatch.setattr(stage, "ROUNDS", 3)
    async with script("freeform", {"off": 0.3}) as teacher:
        whole, given = job(tmp_path / "whole", "freeform", teacher.url), job(tmp_path / "run", "freeform", teacher.url)
        await made(whole)
        with monkeypatch.context() as broken:
            broken.setattr(stage, "_keep", cut_off)
            with pytest.raises(RuntimeError):
                await made(given)
        await made(given)

    assert files(given.folder) == files(whole.folder)


async def test_questions_that_repeat_each_other_do_not_make_an_unseen_set_large_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "ROUNDS", 3)
    async with script("freeform", {"same": 0.9}) as teacher:
        given = job(tmp_path, "freeform", teacher.url, unseen=12)
        found = await made(given)

    unseen = samples(given, rows.UNSEEN)
    left = sum(row.kept for row in unseen)
    assert len(unseen) == 3 * 12 and left < 12
    assert (found["held"], found["held_least"]) == (str(left), "12")


@pytest.mark.parametrize(
    ("kind", "language"), [("freeform", "de"), ("freeform", "ja"), ("grounded", "ja"), ("knowledge", "de")]
)
async def test_seeds_of_other_languages_are_given_and_kept_as_they_are(kind: Kind, language: str, tmp_path: Path) -> None:
    async with script(kind, {"seed": 0.2, "off": 0.1}, language) as teacher:
        given = job(tmp_path, kind, teacher.url, language=language, unseen=4)
        await made(given)

    assert kept(given) == teacher.expected()
    assert Counter(row.why for row in samples(given))["seed"] == teacher.dropped()["", "seed"]
    sent = [one.body["messages"][1]["content"] for one in teacher.to(fake.CHAT)]
    for text in (text for seed in SEEDS[language] for text in seed[1:]):
        assert any(text in one for one in sent), text
    assert not any("\\u" in one for one in sent)
    for row in samples(given):
        if row.why == "seed":
            assert row.near.rpartition("\n")[2] == SEEDS[language][row.of - 1][1]


# --- nothing twice


@pytest.mark.parametrize("kind", ["grounded", "knowledge"])
async def test_a_second_run_asks_nothing_and_writes_the_same(kind: Kind, tmp_path: Path) -> None:
    async with script(kind, {"off": 0.1, "near": 0.1, "malformed": 0.1, "slow": 0.2}, slow_s=0.01) as teacher:
        given = job(tmp_path, kind, teacher.url)
        await made(given)
        before, count = files(given.folder), asked(teacher)
        await made(job(tmp_path, kind, teacher.url, fence=1))

    assert asked(teacher) == count
    assert files(given.folder) == before
    assert len(before) == 6


@pytest.mark.parametrize(
    ("prompt", "again"),
    [
        ("judge_pairs", {"judge_pairs"}),
        ("answers", {"answers", "judge_pairs"}),
        ("judge_rewordings", {"judge_rewordings"}),
    ],
)
async def test_a_changed_prompt_asks_again_what_depends_on_it_and_nothing_else(
    prompt: str, again: set[str], tmp_path: Path
) -> None:
    async with script("freeform", {"off": 0.1}) as teacher:
        own = home(tmp_path)
        await made(job(tmp_path, "freeform", teacher.url, home=own))
        before = teacher.steps.copy()
        path = own / "configs" / "prompts" / "generate" / f"{prompt}.md"
        path.write_text(path.read_text(encoding="utf-8") + "\nBe brief.\n", encoding="utf-8")
        given = job(tmp_path, "freeform", teacher.url, home=own)
        await made(given)

    changed = teacher.steps - before
    assert set(changed) == again and changed[prompt] == before[prompt]
    plan = json.loads((given.folder / "samples" / "plan.json").read_bytes())
    assert plan["prompts"][prompt] == digest(path.read_text(encoding="utf-8").strip().encode())
    assert kept(given) <= teacher.expected() and kept(given)


@pytest.mark.parametrize("kind", ["freeform", "knowledge"])
async def test_more_samples_are_added_and_those_that_are_there_stay_as_they_are(kind: Kind, tmp_path: Path) -> None:
    shares = {"off": 0.1, "near": 0.1, "cut": 0.1}
    async with script(kind, shares) as teacher:
        given = job(tmp_path / "one", kind, teacher.url)
        await made(given)
        first, count = lines(given), asked(teacher)
        await made(job(tmp_path / "one", kind, teacher.url, inputs={"wanted": str(2 * len(first))}))
        rest = asked(teacher) - count
    async with script(kind, shares) as teacher:
        whole = job(tmp_path / "whole", kind, teacher.url, inputs={"wanted": str(2 * len(first))})
        await made(whole)

    assert lines(given)[: len(first)] == first and len(lines(given)) > 1.5 * len(first)
    assert count + rest == asked(teacher)
    assert files(given.folder) == files(whole.folder)


async def test_a_run_that_is_cancelled_goes_on_where_it_was(tmp_path: Path) -> None:
    async with script("freeform", {"off": 0.1}) as teacher:
        whole = job(tmp_path / "whole", "freeform", teacher.url)
        await made(whole)
        count = asked(teacher)
        given = job(tmp_path / "run", "freeform", teacher.url, home=home(tmp_path, 4))
        ended = await _told_to_end(given, teacher, after=count + count // 2)
        half = asked(teacher) - count
        assert ended == 128 + signal.SIGTERM
        assert not (given.folder / rows.GENERATED).exists()
        there = len(read(given.folder / "log" / "generate"))
        await made(given)

    assert there and half >= count // 2
    assert asked(teacher) - count <= count + 4  # what was on its way was asked for again, and nothing else
    assert files(given.folder) == files(whole.folder)


async def _told_to_end(given: Job, teacher: Teacher, *, after: int) -> int:
    """Begin the stage in a process of its own, tell it to end after so many requests; how it ended."""
    layout.write(given.folder, "contribution", given.inputs, "", {"generate": given.settings})
    words = ("-m", "pipeline", "stage", str(given.folder), "generate")
    child = await asyncio.create_subprocess_exec(
        sys.executable, *words, cwd=HOME, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        while asked(teacher) < after and child.returncode is None:
            await asyncio.sleep(0.001)
        teacher.gate.clear()
        if child.returncode is None:
            child.terminate()
        _, said = await child.communicate()
    teacher.gate.set()
    assert child.returncode is not None
    assert child.returncode == 128 + signal.SIGTERM, said.decode()
    return child.returncode


# --- what people are shown, and what they think of it


async def test_the_first_samples_that_people_are_shown_stay_the_same_after_a_restart_and_with_more(tmp_path: Path) -> None:
    first = list[list[dict[str, Any]]]()
    async with script("freeform", {"slow": 0.5}, slow_s=0.1) as teacher:
        for wanted in ("24", "24", "48"):
            said = list[Mapping[str, str]]()
            inputs, report = {"wanted": wanted}, lambda fraction, facts, said=said: said.append(facts)
            given = job(tmp_path, "freeform", teacher.url, fence=len(first) + 1, inputs=inputs, report=report)
            told = await asyncio.to_thread(generate, given)
            first.append(json.loads(told["first"]))
            begun = [json.loads(one["first"]) for one in said if "first" in one]

    assert len(first[0]) == 5 and first[1] == first[2] == first[0]
    assert all(one == first[0] for one in begun)  # from the first time that it is said


async def test_what_people_think_of_samples_is_told_with_the_requests_that_follow(tmp_path: Path) -> None:
    async with script("freeform") as teacher:
        found = await made(given := job(tmp_path, "freeform", teacher.url))
        before, count = lines(given), asked(teacher)
        first = [one["id"] for one in json.loads(found["first"])]
        thumbs = dict(zip(first[:3], ("up", "down", "up"), strict=True))
        more: dict[str, Any] = {"inputs": {"wanted": "48"}, "thumbs": lambda: thumbs}
        await made(job(tmp_path, "freeform", teacher.url, **more))
        again = asked(teacher)
        await made(job(tmp_path, "freeform", teacher.url, **more))

    shown = {one.id: {"question": one.question, "answer": one.answer} for one in samples(given) if one.id in thumbs}
    liked, disliked = ([shown[id] for id, one in thumbs.items() if one == way] for way in ("up", "down"))
    lists = [one for one in told(teacher)[count:] if "facet" in one]
    assert len(lists) == 4
    assert all((one["liked"], one["disliked"]) == (liked, disliked) for one in lists)
    assert lines(given)[: len(before)] == before
    assert asked(teacher) == again


async def test_what_people_think_while_samples_are_made_is_told_from_then_on(tmp_path: Path) -> None:
    def thumbs() -> Mapping[str, str]:
        """Whoever looks at the log likes the first sample that is kept."""
        there = [row for _, row in read(given.folder / "log" / "samples").records()]
        return {row["id"]: "up" for row in [one for one in there if one["kept"] and one["set"] == "train"][:1]}

    own = home(tmp_path, 4)
    async with script("freeform") as teacher:
        given = job(tmp_path, "freeform", teacher.url, home=own, samples=24, thumbs=thumbs)
        await made(given)

    lists = [one for one in told(teacher) if "facet" in one]
    about = [one for one in lists if any(seed["question"] in held("freeform") for seed in one["examples"])]
    assert about and not any("liked" in one for one in about)
    steered = [one["liked"] for one in lists if "liked" in one]
    assert steered and all(one == steered[0] for one in steered) and "liked" not in lists[0]
    assert steered[0][0]["question"] in kept(given)


# --- the judge


async def test_an_operators_own_names_of_steps_end_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The samples that judges are measured on name steps of ours; another kind's may have none of them."""
    monkeypatch.setattr(reference, "load", _load)
    configs = home(tmp_path) / "configs"
    recipe, prompts = configs / "recipes" / "grounded.yaml", configs / "prompts" / "generate"
    text = recipe.read_text(encoding="utf-8")
    for name in ("judge_grounded_pairs", "judge_grounded_questions"):
        text = text.replace(name, f"my_{name}")
        (prompts / f"{name}.md").rename(prompts / f"my_{name}.md")
    recipe.write_text(text, encoding="utf-8")
    with pytest.raises(Invalid, match="fit no step"):
        reference.load(tmp_path / "home")
    async with script("freeform") as teacher:
        given = job(tmp_path, "freeform", teacher.url, home=tmp_path / "home")
        await made(given)

    assert kept(given) == teacher.expected()
    assert json.loads((given.folder / "samples" / "plan.json").read_bytes())["kappa"] == ""


@pytest.mark.parametrize(("kappa", "refused"), [(0.67, False), (0.0, True)])
async def test_a_judge_that_was_measured_is_refused_at_chance_and_told_in_the_plan(
    kappa: float, refused: bool, tmp_path: Path
) -> None:
    found = Agreement(Counts(40, 20, 0, 60), kappa, kappa, kappa)
    async with script("freeform") as teacher:
        client = Client(Endpoint(teacher.url))
        judge_of = Model(client, next(one.id for one in await client.models()))
        of = (judge_of.name, "", calibrating.place_of(judge_of), _reference().digest, "2026-11-23")
        kinds = dict.fromkeys(KINDS, found)
        calibrating.keep(tmp_path / "models", Standing(*of, found, kinds, {}, 261, 0, "", ()))
        await client.close()
        given = job(tmp_path, "freeform", teacher.url)
        if refused:
            with pytest.raises(Invalid, match=r"no better than chance.* --calibrate again") as caught:
                await asyncio.to_thread(generate, given)
            assert (caught.value.facts["code"], asked(teacher)) == ("generate.judge", 0)
        else:
            await asyncio.to_thread(generate, given)
            assert json.loads((given.folder / "samples" / "plan.json").read_bytes())["kappa"] == "0.67"


# --- too few


def _advice(error: Invalid) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(error.problems[0].facts["advice"])
    return found


async def _few(tmp_path: Path, kind: Kind = "freeform", samples: int = 6, **told: Any) -> Invalid:
    """What the stage says where most goes wrong, with its rules for stopping."""
    async with script(kind, **told) as teacher:
        given = job(tmp_path, kind, teacher.url, samples=samples, **STOPS)
        with pytest.raises(Invalid) as caught:
            await asyncio.to_thread(generate, given)
    assert not (given.folder / rows.SAMPLES).exists()
    every = [row for row in rows.read(given.folder / rows.GENERATED) if not row.kept]  # they show why
    assert all(row.at and row.why for row in every) and (len(every) >= 6 or "lists" in told)
    return caught.value


@pytest.mark.parametrize("kind", ["freeform", "knowledge"])
async def test_a_run_whose_samples_all_miss_the_task_stops_and_quotes_one_with_the_judges_reason(
    kind: Kind, tmp_path: Path
) -> None:
    error = await _few(tmp_path, kind, items={"off": 1.0})

    advice = _advice(error)
    assert error.facts["code"] == "generate.few"
    assert advice[0]["code"] == "off_topic"
    assert advice[0]["reason"] == "It does not do." and "fate-off" in advice[0]["question"]
    assert advice[0]["seed"] in range(1, 6) and f"sample {advice[0]['sample']} " in error.problems[0].fix


@pytest.mark.parametrize("kind", ["freeform", "grounded"])
async def test_a_run_whose_samples_all_repeat_a_seed_example_stops_and_names_both(kind: Kind, tmp_path: Path) -> None:
    error = await _few(tmp_path, kind, items={"seed": 1.0})

    advice = _advice(error)
    assert error.facts["code"] == "generate.few"
    assert {one["code"] for one in advice} == {"repeats_seed"}
    for one in advice:
        assert one["other"].rpartition("\n")[2] == SEEDS["en"][one["seed"] - 1][1]
        assert one["question"].split()[:4] == one["other"].rpartition("\n")[2].split()[:4]
    assert f"repeats seed {advice[0]['seed']}" in error.problems[0].fix


async def test_a_run_whose_samples_all_repeat_each_other_stops_and_names_a_pair(tmp_path: Path) -> None:
    async with Parrot() as teacher:
        given = job(tmp_path, "freeform", teacher.url, samples=6, **STOPS)
        with pytest.raises(Invalid) as caught:
            await asyncio.to_thread(generate, given)

    advice = _advice(caught.value)
    assert caught.value.facts["code"] == "generate.few"
    assert advice[0]["code"] == "repeats_sample"
    assert 0 < advice[0]["of"] < advice[0]["sample"] and advice[0]["question"] == advice[0]["other"] == Parrot.said
    assert f"sample {advice[0]['sample']} ({Parrot.said!r}) repeats sample {advice[0]['of']}" in caught.value.problems[0].fix


class Parrot(Teacher):
    """Whose lists say one thing for ever."""

    said = "Which lighthouse would you rather keep, and for how long?"

    def _list(self, ask: fake.Ask, trouble: str) -> dict[str, Any]:
        found = super()._list(ask, trouble)
        return {kind: [self.said for _ in entries] for kind, entries in found.items()}


@pytest.mark.parametrize(
    ("broken", "step"),
    [
        ({"lists": {"malformed": 1.0}, "samples": 72}, "questions"),
        ({"items": {"malformed": 1.0}}, "answers"),
        ({"items": {"cut": 1.0}}, "answers"),
    ],
)
async def test_a_run_whose_answers_cannot_be_read_stops_and_says_at_which_step(
    broken: Mapping[str, Any], step: str, tmp_path: Path
) -> None:
    error = await _few(tmp_path, **broken)

    advice = _advice(error)
    assert error.facts["code"] == "generate.few"
    assert {one["code"] for one in advice} == {"malformed"} and advice[0]["step"] == step and advice[0]["reason"]


async def test_a_run_whose_answers_are_all_poor_stops_and_quotes_the_answer(tmp_path: Path) -> None:
    error = await _few(tmp_path, items={"unfaithful": 1.0})

    advice = _advice(error)
    assert advice[0]["code"] == "low_score" and advice[0]["step"] == "judge_pairs" and advice[0]["other"].startswith("It is ")


@pytest.mark.parametrize("kind", ["freeform", "grounded"])
async def test_where_nothing_is_kept_no_stage_ends_well(kind: Kind, tmp_path: Path) -> None:
    async with script(kind, {"off": 1.0}) as teacher:
        given = job(tmp_path, kind, teacher.url)  # which stops for nothing
        await asyncio.to_thread(generate, given)
        with pytest.raises(Invalid) as caught:
            await asyncio.to_thread(judge, given)

    assert caught.value.facts["code"] == "generate.none"
    assert _advice(caught.value)
    assert samples(given) and not kept(given)


async def test_where_no_list_leads_to_anything_no_stage_ends_well(tmp_path: Path) -> None:
    async with script("freeform", lists={"malformed": 1.0}) as teacher:
        given = job(tmp_path, "freeform", teacher.url)
        await asyncio.to_thread(generate, given)
        with pytest.raises(Invalid) as caught:
            await asyncio.to_thread(judge, given)

    assert caught.value.facts["code"] == "generate.none" and not samples(given)


@pytest.mark.parametrize("share", [0.0, 0.5])
async def test_lists_that_were_lost_are_told_in_all_that_people_read(share: float, tmp_path: Path) -> None:
    async with script("freeform", lists={"malformed": share}) as teacher:
        given = job(tmp_path, "freeform", teacher.url, samples=24)
        found = await made(given)
        before, count = files(given.folder), asked(teacher)
        await made(job(tmp_path, "freeform", teacher.url, samples=24, fence=1))

    lost = json.loads((given.folder / "samples" / "plan.json").read_bytes())["lost"]
    assert asked(teacher) == count and files(given.folder) == before
    assert found["yield"]["lost"] == lost
    if share:
        told = {"step": "questions", "why": "malformed", "wrong": "it is no list: 'Here you are. I hope it helps!'"}
        assert [{name: one[name] for name in told} for one in lost] == [told]
        missing = 4 * 24 - len(samples(given))
        assert lost[0]["count"] * 6 == missing and json.loads(found["reasons"])["questions:malformed"] == lost[0]["count"]
    else:
        assert lost == [] and found["reasons"] == "{}"


async def test_what_is_answered_already_is_not_counted_among_what_is_to_ask(tmp_path: Path) -> None:
    said: list[dict[str, str]] = []
    async with script("freeform") as teacher:
        found = await made(job(tmp_path, "freeform", teacher.url, samples=24))
        count = asked(teacher)
        thumbs = {json.loads(found["first"])[0]["id"]: "up"}
        more: dict[str, Any] = {"inputs": {"wanted": "102"}, "thumbs": lambda: thumbs}
        for _ in range(2):  # the second finds the lists that were asked for with thumbs
            note = lambda fraction, facts: said.append(dict(facts))  # noqa: E731
            await made(job(tmp_path, "freeform", teacher.url, samples=24, report=note, **more))

    announced = [int(one["requests"]) for one in said if one.get("done") is None and "requests" in one]
    one_list = 1 + 6 + 6 + 6
    assert announced == [one_list, 0] and asked(teacher) - count == one_list


# --- what the endpoint does


async def test_an_endpoint_that_goes_away_for_good_ends_the_attempt_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(Flow.__init__.__kwdefaults__, "patience_s", 0.1)
    async with script("freeform", {"off": 0.1}) as teacher:
        whole = job(tmp_path / "whole", "freeform", teacher.url)
        await made(whole)
        count = asked(teacher)
        given = job(tmp_path / "run", "freeform", teacher.url, home=home(tmp_path, 4))
        work = asyncio.create_task(asyncio.to_thread(generate, given))
        while asked(teacher) < count + count // 2:
            await asyncio.sleep(0.001)
        await teacher.down()
        with pytest.raises(Temporary):
            await work
        flown, there = asked(teacher) - count, len(read(given.folder / "log" / "generate"))
        await teacher.up()
        await made(given)

    assert there >= count // 4
    assert not flown < count // 2 and asked(teacher) - count <= count + 2 * 4
    assert files(given.folder) == files(whole.folder)


@pytest.mark.parametrize("kind", ["freeform", "knowledge"])
async def test_a_sample_whose_requests_always_fail_is_set_aside_and_the_others_go_on(kind: Kind, tmp_path: Path) -> None:
    async with script(kind, {"down": 0.3}) as teacher:
        given = job(tmp_path, kind, teacher.url)
        await made(given)
        failed = [row for row in samples(given) if row.why == "failed"]
        count, before = asked(teacher), kept(given)
        expected = teacher.expected()
        teacher.items = {}
        mended = job(tmp_path, kind, teacher.url)
        await made(mended)

    assert failed and all(row.near and row.at for row in failed)
    assert before == expected
    assert asked(teacher) > count  # another attempt tries them again
    assert kept(mended) >= before


@pytest.mark.parametrize("kind", ["freeform", "grounded"])
async def test_an_endpoint_that_takes_few_requests_at_once_gets_them_all_in_the_end(kind: Kind, tmp_path: Path) -> None:
    async with script(kind, {"off": 0.1, "429": 0.1}, limit=8, each_s=0.02) as teacher:
        given = job(tmp_path, kind, teacher.url)
        await made(given)

    assert teacher.turned and teacher.peak <= 8
    assert kept(given) == teacher.expected() and len(kept(given)) >= 15
    assert not [row for row in samples(given) if row.why == "failed"]


async def test_no_more_samples_are_under_way_than_the_window_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    most = 0
    real = Flow._send

    def watched(self: Flow) -> None:
        nonlocal most
        most = max(most, self._open)
        real(self)

    monkeypatch.setattr(Flow, "_send", watched)
    async with script("freeform") as teacher:
        given = job(tmp_path, "freeform", teacher.url, home=home(tmp_path, 2), samples=18)
        await made(given)

    assert teacher.peak <= 2
    assert most <= WINDOW * 2 * 6  # a list counts as one as long as it is not written
    assert len(kept(given)) == 72


async def test_a_list_that_is_torn_in_its_middle_begins_no_sample_twice(tmp_path: Path) -> None:
    async with script("freeform", lists={"reset": 1.0}, each_s=0.005) as teacher:
        given = job(tmp_path, "freeform", teacher.url)
        found = await made(given)

    every = samples(given)
    assert len({row.number for row in every}) == len(every) == int(found["made"])
    asks = Counter(one["question"] for one in told(teacher) if one.keys() & {"answer", "question", "wanted"} == {"question"})
    assert max(asks.values()) == 2  # once judged, and once answered


async def test_a_disk_that_is_full_ends_the_attempt_with_the_first_write_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, left, at = Journal._put, [12], list[int]()

    def put(self: Journal, content: bytes) -> None:
        left[0] -= 1
        if left[0] < 0:
            at.append(asked(teacher))
            self._broken = True
            raise Failed("the disk is full")
        real(self, content)

    monkeypatch.setattr(Journal, "_put", put)
    async with script("freeform", each_s=0.001) as teacher:
        given = job(tmp_path, "freeform", teacher.url, home=home(tmp_path, 4))
        with pytest.raises(Failed, match=r"full|over"):
            await asyncio.to_thread(generate, given)
        count = asked(teacher)
        left[0] = 10**9
        await made(given)

    assert count <= at[0] + 4 < asked(teacher)
    assert kept(given) == teacher.expected()
