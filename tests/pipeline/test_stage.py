"""A stage that is done is not done again, and whatever its receipt does not vouch for is."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline import recipe
from pipeline.errors import Failed, Invalid
from pipeline.pool import layout
from pipeline.pool.perform import by_hand
from pipeline.stage import Job, Stage, perform

SETTINGS = {"path": "t", "deep": {"b": 1, "a": 2}}
INPUTS = {"leaf": "a/b", "replaces": False}
RECIPES = ("contribution", "document", "pull", "publish", "triage", "model")
NAMES = "precheck document generate judge mix train evaluate export propose".split()


class Copier:
    """A real stage: copies `in.txt` to `out.txt`, and counts how often it did."""

    def __init__(self) -> None:
        self.times = 0

    def copy(self, job: Job) -> Mapping[str, str]:
        self.times += 1
        (job.folder / "out.txt").write_bytes((job.folder / "in.txt").read_bytes())
        return {"copied": str(self.times)}

    def stage(self, name: str = "copy") -> Stage:
        return Stage(name, ("in.txt", "absent.txt"), ("out.txt",), self.copy)


def job(folder: Path, settings: Mapping[str, Any] = SETTINGS, inputs: Mapping[str, Any] = INPUTS) -> Job:
    return Job(folder, inputs, settings, lambda fraction, facts: None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in.txt").write_text("one", encoding="utf-8")
    return tmp_path


def test_a_stage_with_a_receipt_is_free_and_says_the_same_facts(folder: Path) -> None:
    copier = Copier()
    said = [dict(perform(copier.stage(), job(folder))) for _ in range(3)]

    assert (said, copier.times) == ([{"copied": "1"}] * 3, 1)


def test_settings_in_another_order_are_the_same_settings(folder: Path) -> None:
    copier = Copier()
    perform(copier.stage(), job(folder))
    perform(copier.stage(), job(folder, {"deep": {"a": 2, "b": 1}, "path": "t"}, dict(reversed(INPUTS.items()))))

    assert copier.times == 1


def receipt(folder: Path) -> Path:
    return folder / "receipts" / "copy.json"


def changed_output(folder: Path) -> None:
    (folder / "out.txt").write_text("other", encoding="utf-8")


def new_input(folder: Path) -> None:
    (folder / "absent.txt").write_text("", encoding="utf-8")


def changed_input(folder: Path) -> None:
    (folder / "in.txt").write_text("two", encoding="utf-8")


def damage(content: bytes) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        receipt(folder).write_bytes(content)

    return act


def half(folder: Path) -> None:
    receipt(folder).write_bytes(receipt(folder).read_bytes()[:-20])


@pytest.mark.parametrize(
    "act",
    [
        changed_input,
        new_input,
        changed_output,
        lambda folder: (folder / "out.txt").unlink(),
        lambda folder: receipt(folder).unlink(),
        half,
        damage(b""),
        damage(b"null"),
        damage(b"[]"),
        damage(b"{}"),
        damage(b"\xff\xfe"),
        damage(json.dumps({"given": {}, "made": {}}).encode()),
    ],
    ids=lambda act: getattr(act, "__name__", "act"),
)
def test_what_the_receipt_does_not_vouch_for_is_done_again(folder: Path, act: Callable[[Path], None]) -> None:
    copier = Copier()
    perform(copier.stage(), job(folder))
    act(folder)
    again = perform(copier.stage(), job(folder))

    assert (again, copier.times) == ({"copied": "2"}, 2)
    assert (folder / "out.txt").read_bytes() == (folder / "in.txt").read_bytes()
    assert perform(copier.stage(), job(folder)) == {"copied": "2"}


@pytest.mark.parametrize(
    ("settings", "inputs"),
    [({**SETTINGS, "path": "u"}, INPUTS), (SETTINGS, {**INPUTS, "replaces": True}), ({}, INPUTS)],
)
def test_a_changed_setting_or_input_does_it_again(folder: Path, settings: dict[str, Any], inputs: dict[str, Any]) -> None:
    copier = Copier()
    perform(copier.stage(), job(folder))
    perform(copier.stage(), job(folder, settings, inputs))

    assert copier.times == 2


@pytest.fixture
def parts(tmp_path: Path) -> Stage:
    """A stage that writes a folder, in which there is one more file each time."""

    def write(job: Job) -> Mapping[str, str]:
        folder = job.folder / "made" / "deep"
        folder.mkdir(parents=True, exist_ok=True)
        count = len(list(folder.iterdir()))
        (folder / f"{count}.txt").write_text(str(count), encoding="utf-8")
        return {"times": str(count + 1)}

    return Stage("parts", (), ("made",), write)


def test_a_receipt_vouches_for_every_file_of_a_folder(tmp_path: Path, parts: Stage) -> None:
    said = [perform(parts, job(tmp_path))["times"] for _ in range(2)]
    (tmp_path / "made" / "deep" / ".0.txt.x1").write_text("left by a write that was killed", encoding="utf-8")
    said.append(perform(parts, job(tmp_path))["times"])
    (tmp_path / "made" / "deep" / ".0.txt.x1").unlink()
    made = json.loads((tmp_path / "receipts" / "parts.json").read_bytes())["made"]
    (tmp_path / "made" / "deep" / "0.txt").write_text("changed", encoding="utf-8")
    said.append(perform(parts, job(tmp_path))["times"])
    (tmp_path / "made" / "strange.txt").write_text("added", encoding="utf-8")
    said.append(perform(parts, job(tmp_path))["times"])

    assert (said, list(made)) == (["1", "1", "1", "2", "3"], ["made/deep/0.txt"])


def test_a_stage_that_failed_leaves_no_receipt(folder: Path) -> None:
    def fail(job: Job) -> Mapping[str, str]:
        raise Failed("no")

    with pytest.raises(Failed):
        perform(Stage("copy", ("in.txt",), ("out.txt",), fail), job(folder))

    assert not receipt(folder).exists()


def test_a_recipe_ends_where_it_is_told_to() -> None:
    model = recipe.RECIPES["model"]

    assert [recipe.stages("model", name) for name in ("engine", "model", None)] == [model[:1], model, model]


def test_a_stage_that_runs_alone_has_none_before_it() -> None:
    made = ["document", "generate", "judge", "mix"]
    named = {
        name: [one.name for one in recipe.stages("contribution", name)] for name in ("precheck", "propose", "judge", "mix")
    }

    assert named == {"precheck": ["precheck"], "propose": ["propose"], "judge": made[:3], "mix": made}
    every = [*made, "train", "evaluate", "export"]
    assert [stage.name for stage in recipe.stages("contribution")] == every
    assert [stage.name for stage in recipe.every("contribution")] == ["precheck", *every, "propose"]


def test_a_stage_that_is_to_generate_is_made_again_by_what_it_is_asked_for_and_not_by_who_signs() -> None:
    takes = {stage.name: stage.takes for stage in recipe.every("contribution")}
    signing = {"name", "mail", "signed_at", "dco", "replaces"}

    assert "wanted" in (takes["generate"] or ())
    assert [
        name for name in ("document", "generate", "judge", "mix") if takes[name] is None or signing & {*(takes[name] or ())}
    ] == []


def test_what_a_stage_reads_is_written_by_one_before_it() -> None:
    there = {*recipe.ENTRY}
    for stage in recipe.every("contribution"):
        assert set(stage.reads) <= there, stage.name
        there |= {*stage.writes}


@pytest.mark.parametrize(
    ("names", "code", "message"),
    [
        (("nonsense",), "recipe.unknown", f"no recipe 'nonsense' There is: {', '.join(RECIPES)}."),
        (("contribution", "fly"), "stage.unknown", "contribution has no stage 'fly' There is: " + ", ".join(NAMES) + "."),
    ],
)
def test_a_name_that_there_is_not_is_refused_with_those_there_are(names: tuple[str, ...], code: str, message: str) -> None:
    with pytest.raises(Invalid) as refused:
        recipe.stages(*names)

    assert [(problem.code, str(problem)) for problem in refused.value.problems] == [(code, message)]


def test_an_error_says_nothing_to_a_terminal_that_it_takes_for_a_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert by_hand(tmp_path / "gone\x1b[2J", None) == 1

    said = capsys.readouterr().err
    assert "gone?[2J is no run folder" in said


def test_what_was_asked_for_once_is_not_done_again_with_the_next_asking(tmp_path: Path) -> None:
    layout.write(tmp_path / "r", "contribution", {"wanted": "30", "upload": "lab/orders", "formats": "Q4_K_M"}, "p1", {})
    layout.write(tmp_path / "r", "contribution", {"wanted": "60"}, "p1", {})

    assert layout.read(tmp_path / "r").inputs == {"wanted": "60"}
