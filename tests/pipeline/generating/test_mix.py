"""The stage `mix`: what is replayed, how much is drawn, what its card says, and that nothing held out is trained on."""

import html
import itertools
import json
import os
import subprocess
import tracemalloc
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import Failed, Invalid
from pipeline.files import file_digest
from pipeline.generating import rows
from pipeline.generating.rows import Kind
from pipeline.mixing import blend, card, forms, sizes, tongue
from pipeline.mixing.blend import Mixed, Source
from pipeline.mixing.nodes import Leaf, Nodes
from pipeline.recipe import MIX
from pipeline.report import page
from pipeline.stage import perform
from pipeline.stages.mix import mix
from pipeline.taxonomy import Work
from tests.conftest import HOME
from tests.pipeline.generating.mixing_folder import DOCUMENT, LEAVES, PLAN, contents, held, job, jsonl, many, mixed, read, row
from tests.pipeline.generating.mixing_folder import given as given_to

PEER = HOME / ".cache" / "bench" / "instructlab-sdg"


def base(count: int, **more: Any) -> list[dict[str, Any]]:
    """Rows of a base mix as upstream publishes them."""
    return [
        {
            "messages": [{"role": "user", "content": f"Old question {number}?"}, {"role": "assistant", "content": "Old."}],
            "metadata": json.dumps({"dataset": "old"}),
            "id": f"old{number}",
            **more,
        }
        for number in range(count)
    ]


def ids(path: Path) -> list[str]:
    return [one["id"] for one in read(path)]


# --- what is mixed


def test_a_skill_that_is_mixed_with_nothing_is_taken_whole(tmp_path: Path) -> None:
    folder = mixed(tmp_path, many(50))

    assert ids(folder / "skills_train_msgs.jsonl") == [f"{number:016x}" for number in range(1, 51)]


def test_only_kept_samples_that_train_are_mixed(tmp_path: Path) -> None:
    others = [row(2).dropped("judge", "near", "x", 1), replace(row(3), set="unseen"), replace(row(4), set="reworded")]

    folder = mixed(tmp_path, [row(1), *others, row(5)])

    for name in ("skills_train_msgs", "messages", "train"):
        assert len(read(folder / f"{name}.jsonl")) == 2
    assert ids(folder / "skills_train_msgs.jsonl") == [row(1).id, row(5).id]


def test_beside_a_base_mix_upstreams_thirty_are_drawn_as_upstream_draws_them(tmp_path: Path) -> None:
    old = jsonl(tmp_path / "old.jsonl", base(40))

    folder = mixed(tmp_path, many(50), skills=[{"path": str(old), "size": 1.0}])

    found = ids(folder / "skills_train_msgs.jsonl")
    wanted = numpy.random.RandomState(42).choice(50, 30, replace=True)
    assert found == [f"old{number}" for number in range(40)] + [f"{at + 1:016x}" for at in wanted]


def test_few_samples_are_drawn_several_times(tmp_path: Path) -> None:
    old = jsonl(tmp_path / "old.jsonl", base(1))

    folder = mixed(tmp_path, many(5), skills=[{"path": str(old)}])

    assert len(ids(folder / "skills_train_msgs.jsonl")) == 31
    told = (folder / "README.md").read_text(encoding="utf-8")
    assert "| 5 | 30 drawn, 6.0 times each | 30 |" in told
    assert "the very rows that upstream draws: 30 of each skill" in told


def test_several_skills_have_the_same_weight(tmp_path: Path) -> None:
    other = [replace(one, leaf="compositional_skills/arts/songs", id=f"s{one.id}") for one in many(100)]
    woven = [one for pair in itertools.zip_longest(many(10), other) for one in pair if one]

    folder = mixed(tmp_path, woven)

    found = Counter(name.startswith("s") for name in ids(folder / "skills_train_msgs.jsonl"))
    assert found == {True: 30, False: 30}
    assert ids(folder / "node_datasets" / "compositional_skills_arts_songs.jsonl") == [one.id for one in other]


@pytest.mark.parametrize(("old", "drawn"), [(1000, 30), (2000, 60), (200, 9), (300, 9)])
def test_knowledge_that_would_drown_in_the_base_mix_is_drawn_up_to_three_percent(tmp_path: Path, old: int, drawn: int) -> None:
    path = jsonl(tmp_path / "old.jsonl", base(old))

    folder = mixed(tmp_path, many(3, "knowledge"), skills=[{"path": str(path)}])  # nine rows in phase 10

    found = [one for one in read(folder / "skills_train_msgs.jsonl") if not one["id"].startswith("old")]
    assert len(found) == drawn
    assert all([said["role"] for said in one["messages"]] == ["system", "user", "assistant"] for one in found)
    size = yaml.safe_load((folder / "skills_recipe.yaml").read_text(encoding="utf-8"))["datasets"][1]["sampling_size"]
    assert size == (1.0 if drawn == 9 else drawn)
    assert len(read(folder / "knowledge_train_msgs.jsonl")) == 3


@pytest.mark.parametrize(("size", "taken"), [(1.0, 8), (0.5, 4), (0.3, 2), (20, 20), (2.0, 16)])
def test_a_base_mix_is_taken_in_the_size_that_is_set(tmp_path: Path, size: float, taken: int) -> None:
    path = jsonl(tmp_path / "old.jsonl", base(8))

    folder = mixed(tmp_path, many(2), skills=[{"path": str(path), "size": size}])

    assert sum(name.startswith("old") for name in ids(folder / "skills_train_msgs.jsonl")) == taken


def test_a_base_mix_for_knowledge_waits_for_knowledge(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "old.jsonl", base(8))
    sources = [{"path": str(path)}]

    skill, knowledge = (
        mixed(tmp_path / "a", many(2), knowledge=sources),
        mixed(tmp_path / "b", many(2, "knowledge"), knowledge=sources),
    )

    assert not (skill / "knowledge_train_msgs.jsonl").exists()
    assert len(read(knowledge / "knowledge_train_msgs.jsonl")) == 10
    assert len(read(knowledge / "skills_train_msgs.jsonl")) == 6


def test_rows_of_a_base_mix_become_rows_of_ours(tmp_path: Path) -> None:
    messages = [
        {"role": "system", "content": "Old prompt"},
        {"role": "user", "content": " Hi\u2028 "},
        {"role": "assistant", "content": "Ho", "name": "x"},
    ]
    path = jsonl(tmp_path / "old.jsonl", [{"messages": messages, "task": "greet", "metadata": {"a": 1}, "unmask": True}])

    folder = mixed(tmp_path, many(2), skills=[{"path": str(path)}])

    found = read(folder / "skills_train_msgs.jsonl")[0]
    system = {"content": "You are labbot, a helpful assistant.", "role": "system"}
    assert found["messages"] == [system, {"content": " Hi\u2028 ", "role": "user"}, {"content": "Ho", "role": "assistant"}]
    assert json.loads(found["metadata"]) == {"a": 1, "task": "greet"}
    assert found["unmask"] is True
    assert len(found["id"]) == 32


def test_rows_of_a_base_mix_without_a_text_are_left_out_and_counted(tmp_path: Path) -> None:
    silent = base(1, messages=[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": None}])
    path = jsonl(tmp_path / "old.jsonl", [*base(3), *silent])

    folder = mixed(tmp_path, many(2), skills=[{"path": str(path)}])

    assert ids(folder / "skills_train_msgs.jsonl")[:3] == ["old0", "old1", "old2"]
    assert "| 4 | all | 3 | 1 |" in (folder / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"messages": 1}', '{"messages": [{"content": "x"}]}', '{"messages": [], "metadata": "{"}']
)
def test_a_broken_row_of_a_base_mix_is_named(tmp_path: Path, text: str) -> None:
    path = jsonl(tmp_path / "old.jsonl", base(2))
    path.write_text(path.read_text(encoding="utf-8") + "\n" + text + "\n", encoding="utf-8")

    with pytest.raises(Invalid, match="row 3 is none of a base mix") as caught:
        mixed(tmp_path, many(2), skills=[{"path": str(path)}])

    assert caught.value.facts == {"path": str(path), "code": "mix.base"}
    assert [one.name for one in (tmp_path / "run").glob("*mix*")] == []


# --- what is held out


def texts(folder: Path) -> str:
    """Everything that somebody could train on."""
    return "".join(text.decode() for name, text in contents(folder).items() if name.endswith("l") and name != "test.jsonl")


@pytest.mark.parametrize("kind", ["freeform", "grounded", "knowledge"])
def test_no_question_of_the_unseen_set_stands_in_a_file_to_train_on(tmp_path: Path, kind: Any) -> None:
    folder = mixed(tmp_path, many(20, kind), held(5, kind))

    assert len(read(folder / "test.jsonl")) == 5
    assert "tower" not in texts(folder)
    assert "tower" in (folder / "test.jsonl").read_text(encoding="utf-8")


def test_a_sample_that_stands_in_the_unseen_set_too_is_no_mix(tmp_path: Path) -> None:
    leak = row(7, question="when was  TOWER 2 built?")

    with pytest.raises(Failed, match="sample 7 stands in the unseen set"):
        mixed(tmp_path, [row(1), leak])


def test_rows_of_a_base_mix_that_ask_what_the_test_asks_are_left_out(tmp_path: Path) -> None:
    leak = base(1, messages=[{"role": "user", "content": "When was tower 2 built? "}, {"role": "assistant", "content": "1788"}])
    path = jsonl(tmp_path / "old.jsonl", [*base(3), *leak])

    folder = mixed(tmp_path, many(2), skills=[{"path": str(path)}])

    assert "tower" not in texts(folder)
    assert "rows that ask a question of the unseen set" in (folder / "README.md").read_text(encoding="utf-8")


def test_without_an_unseen_set_there_is_no_empty_test(tmp_path: Path) -> None:
    folder = mixed(tmp_path, many(2), [])

    assert not (folder / "test.jsonl").exists()


# --- the stage


def test_it_says_what_came_of_it(tmp_path: Path) -> None:
    assert mix(job(tmp_path, many(4, "knowledge"))) == {
        "stage": "mix", "skills": "12", "knowledge": "4", "kept": "4", "held": "3", "replay": "none",
    }  # fmt: skip
    path = jsonl(tmp_path / "old.jsonl", base(2))
    assert mix(job(tmp_path, many(4), skills=[{"path": str(path)}]))["replay"] == "old.jsonl"


def test_the_same_samples_make_the_same_bytes(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "old.jsonl", base(100))
    made = [mixed(tmp_path / name, many(40, "knowledge"), skills=[{"path": str(path)}]) for name in "ab"]

    assert contents(made[0]) == contents(made[1])


def test_another_mix_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    mixed(tmp_path, many(4, "knowledge"))

    folder = mixed(tmp_path, many(4))

    assert sorted(contents(folder)) == [
        "README.md", "knowledge_recipe.yaml", "messages.jsonl", "node_datasets/compositional_skills_linguistics_orders.jsonl",
        "skills_recipe.yaml", "skills_train_msgs.jsonl", "test.jsonl", "train.jsonl",
    ]  # fmt: skip


def test_what_a_killed_attempt_left_is_thrown_away(tmp_path: Path) -> None:
    made = job(tmp_path, many(4))
    (made.folder / ".mix" / "node_datasets").mkdir(parents=True)
    (made.folder / ".mix" / "torn.jsonl").write_text("{", encoding="utf-8")

    mix(made)

    assert "torn.jsonl" not in contents(made.folder / "mix")
    assert not (made.folder / ".mix").exists()


def test_a_mix_that_fails_leaves_the_one_before(tmp_path: Path) -> None:
    before = contents(mixed(tmp_path, many(4)))

    with pytest.raises(Failed):
        mixed(tmp_path, [row(1, question="When was tower 1 built?")])

    assert contents(tmp_path / "run" / "mix") == before


def test_a_receipt_makes_the_second_time_free_until_the_base_mix_changes(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "old.jsonl", base(3))
    made = job(tmp_path, many(4), skills=[{"path": str(path)}])
    perform(MIX, made)
    stamp = (made.folder / "mix").stat().st_ino

    again = replace(made, settings=given_to(tmp_path / "home"))
    perform(MIX, again)
    assert (made.folder / "mix").stat().st_ino == stamp

    jsonl(path, base(4))
    perform(MIX, replace(made, settings=given_to(tmp_path / "home")))
    assert len(ids(made.folder / "mix" / "skills_train_msgs.jsonl")) == 34


def test_it_reports_while_it_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.stages.mix.LOOK", 10)
    monkeypatch.setattr("pipeline.stages.mix.BEAT_S", 0.0)
    told: list[Any] = []

    mix(job(tmp_path, many(100, "knowledge"), told=told))

    fractions = [fraction for fraction, _ in told]
    assert len(told) == 60  # 100 samples, 100 times phase 10, 400 rows of both phases
    assert all(0 < fraction <= 1 for fraction in fractions) and fractions[-1] == 1
    assert told[-1][1] == {"stage": "mix", "rows": "600"}


def test_no_kept_sample_is_no_mix(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as caught:
        mixed(tmp_path, [row(1).dropped("judge_pairs", "score")])

    assert caught.value.problems[0].code == "mix.none"


def test_samples_that_say_nothing_are_left_out_and_counted(tmp_path: Path) -> None:
    silent = [row(2, "knowledge", answer=" "), row(3, "knowledge", document="\n"), row(4, "knowledge", question="")]
    folder = mixed(tmp_path, [row(1, "knowledge"), *silent])

    assert len(read(folder / "train.jsonl")) == 1
    assert "Left out: 3 kept samples" in (folder / "README.md").read_text(encoding="utf-8")


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    made = job(tmp_path, many(2))
    with (made.folder / rows.SAMPLES).open("a", encoding="utf-8") as file:
        file.write('{"kept": true, "set": "train", "id"')

    with pytest.raises(Failed, match=r"samples\.jsonl, line 3, is no row"):
        mix(made)


def test_leaves_whose_files_would_have_one_name_are_no_mix(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="have the same name for their files"):
        mixed(tmp_path, [row(1, leaf="knowledge/a_b"), row(2, leaf="knowledge/a/b")])


def test_a_folder_that_cannot_be_replaced_is_told(tmp_path: Path) -> None:
    made = job(tmp_path, many(2))
    (tmp_path / "elsewhere").mkdir()
    (made.folder / "mix").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(Failed, match="mix cannot be read or written"):
        mix(made)

    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert not (made.folder / ".mix").exists()


def test_wherever_it_is_stopped_the_next_attempt_makes_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.stages.mix.LOOK", 1)
    monkeypatch.setattr("pipeline.stages.mix.BEAT_S", 0.0)
    wanted = contents(mixed(tmp_path / "whole", many(6, "knowledge")))
    made = job(tmp_path, many(6, "knowledge"))
    for at in range(36):  # every row of every file
        left = iter(range(at))

        def report(fraction: float, facts: Any, left: Any = left) -> None:
            next(left)

        with pytest.raises(StopIteration):
            mix(replace(made, report=report))
        assert not (made.folder / "mix").exists()

    mix(made)

    assert contents(made.folder / "mix") == wanted


def test_more_leaves_than_files_may_be_open_are_mixed_in_order(tmp_path: Path) -> None:
    woven = [row(number, leaf=f"compositional_skills/arts/n{number % 300}") for number in range(600)]

    folder = mixed(tmp_path, woven, leaf_samples=3)

    assert len(list((folder / "node_datasets").iterdir())) == 300
    assert len(ids(folder / "skills_train_msgs.jsonl")) == 900


def test_memory_does_not_grow_with_the_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "write", lambda folder: None)  # which may be as large as a page may be

    def peak(count: int) -> int:
        made = job(tmp_path / str(count), many(count))
        tracemalloc.start()
        mix(made)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(10)  # loads what is loaded once
    assert peak(1200) - peak(200) < 60_000  # 1,000 more samples, whose lines have 700 kB


# --- settings


def test_the_shipped_settings_are_upstreams(tmp_path: Path) -> None:
    found = sizes.load(HOME / sizes.FILE)

    assert (found.leaf_samples, found.knowledge_share, found.golden, found.documents, found.seed) == (30, 0.03, 0.4, 4, 42)
    assert (found.skills, found.knowledge) == ((), ())


def test_models_are_taught_with_the_prompt_that_they_are_asked_with() -> None:
    roles = yaml.safe_load((HOME / "configs" / "models" / "roles.yaml").read_text(encoding="utf-8"))

    assert sizes.load(HOME / sizes.FILE).system == roles["chat"]["system"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"skills": [{"path": "x", "size": 1}]}, "write 1.0 for all rows"),
        ({"skills": [{"path": "x", "size": 0}]}, "greater than 0"),
        ({"leaf_samples": 1}, "mix.yaml: leaf_samples"),
        ({"golden": 2}, "mix.yaml: golden"),
        ({"sistem": "x"}, "mix.yaml: sistem"),
    ],
)
def test_a_wrong_setting_is_told_with_its_place(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        mixed(tmp_path, many(2), **changes)


def test_a_base_mix_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="then no base mix is replayed") as caught:
        mixed(tmp_path, many(2), skills=[{"path": "away.jsonl"}])

    path = str(tmp_path / "home" / "configs" / "recipes" / "away.jsonl")  # from the folder of mix.yaml
    assert caught.value.facts == {"path": path, "code": "mix.base"}


# --- the card


def head(text: str) -> Any:
    return yaml.safe_load(text.split("---\n")[1])


def test_the_card_says_what_a_reader_must_know(tmp_path: Path) -> None:
    folder = mixed(tmp_path, many(4, "knowledge"))
    told = (folder / "README.md").read_text(encoding="utf-8")

    found = head(told)
    assert found["license"] == ["cc-by-sa-4.0", "other"]
    assert found["license_name"] == "Public domain"
    assert found["language"] == ["en"]
    assert found["size_categories"] == ["n<1K"]
    assert {"config_name": "skills", "data_files": [{"split": "train", "path": "skills_train_msgs.jsonl"}]} in found["configs"]
    for said in (
        "* Teacher: `big-teacher`, weights `abc123`",
        "* Judge: `fair judge`",
        "| `questions` | `111111111111` |",
        "12 of 20 samples were kept (60%).",
        "| `judge_pairs` | 14 | 6 |",
        "| `judge` | nearly another sample | 2 |",
        r"| `questions` | the tokens were spent before the end | 5 | the list has no \| end |",
        "Held out before anything was made: seed example 3,",
        "3 questions of the unseen set",
        "came too near the unseen set: 1.",
        "likeness (Jaccard) of 0.43",
        "**No base mix is replayed**",
        f"at `{40 * 'a'}`",
        "| `skills_train_msgs.jsonl` | 12 |",
        "Every row is taken once",
    ):
        assert said in told


def test_a_base_mix_is_named_in_the_card_by_its_digest_and_not_by_its_place(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "old.jsonl", base(2))

    told = (mixed(tmp_path, many(2), skills=[{"path": str(path)}]) / "README.md").read_text(encoding="utf-8")

    assert f"(base mix, `{file_digest(path)[7:19]}`)" in told
    assert str(tmp_path) not in told
    assert "No base mix" not in told


def test_what_people_wrote_is_no_markdown(tmp_path: Path) -> None:
    told = (mixed(tmp_path, many(2)) / "README.md").read_text(encoding="utf-8")

    assert r"Lights of the \<b\>coast\</b\> \| \[all\](https&#58;//example.org)" in told
    assert "<b>" not in told and "[all]" not in told
    assert "| <https://example.org/lights> |" in told  # what was given as an address is one


@pytest.mark.parametrize("address", ["https://h.example/a", "HTTP://h.example", "www.h.example", "(WWW.h.example)"])
def test_an_address_in_a_title_is_no_link(tmp_path: Path, address: str) -> None:
    made = job(tmp_path, many(2))
    work = f"Title of work: See {address}\nLink to work: -\nLicense of the work: MIT\nCreator names: ann\n"
    (made.folder / "entry" / "attribution.txt").write_text(work, encoding="utf-8")
    mix(made)
    told = (made.folder / "mix" / "README.md").read_text(encoding="utf-8")
    (shown,) = [line.split("|")[1].strip() for line in told.splitlines() if line.startswith("| See ")]

    assert html.unescape(shown) == f"See {address}"
    assert "://" not in shown and "www." not in shown.lower()


@pytest.mark.parametrize(("kappa", "said"), [("0.67", "kappa 0.67, on samples of this kind"), ("", "not measured")])
def test_the_card_says_how_far_the_judge_agrees_with_our_labels(tmp_path: Path, kappa: str, said: str) -> None:
    made = job(tmp_path, many(2))
    (made.folder / "samples" / "plan.json").write_text(json.dumps({**PLAN, "kappa": kappa}), encoding="utf-8")
    mix(made)
    told = (made.folder / "mix" / "README.md").read_text(encoding="utf-8")

    assert f"labelled samples (labpipe judge --calibrate): {said}\n" in told


def test_the_card_says_which_file_was_not_read_to_its_end(tmp_path: Path) -> None:
    made = job(tmp_path, many(3, "knowledge"))
    files = [{"path": "a.md"}, {"path": "b.pdf", "pages": 2, "read": 2}, {"path": "c.pdf", "pages": 1200, "read": 500}]
    (made.folder / "document.json").write_text(json.dumps({**DOCUMENT, "files": files}), encoding="utf-8")
    mix(made)
    told = (made.folder / "mix" / "README.md").read_text(encoding="utf-8")

    assert "Of `c.pdf` the first 500 of its 1,200 pages were read." in told
    assert told.count("pages were read") == 1


def test_a_card_is_written_of_little(tmp_path: Path) -> None:
    made = job(tmp_path, many(2))
    for name in ("samples/plan.json", "samples/yield.json", "entry/attribution.txt", "entry/qna.yaml", rows.UNSEEN):
        (made.folder / name).unlink()

    mix(made)

    found = head((made.folder / "mix" / "README.md").read_text(encoding="utf-8"))
    assert (found["pretty_name"], found["license"]) == (LEAVES["freeform"], "unknown")


@given(st.text(), st.text(), st.text(), st.text())
def test_no_text_breaks_the_card(title: str, name: str, why: str, licence: str) -> None:
    facts = card.Facts(
        plan={"leaf": title, "kind": why, "models": {name: {"name": name, "version": why}}, "prompts": {name: title}},
        made={
            "steps": [[name, 1, 2]],
            "reasons": {f"{name}:{why}": 1},
            "lost": [{"step": name, "why": why, "count": 1, "wrong": title}],
        },
        works=(Work(title, name, licence, why),),
        document={"repo": title, "commit": why},
        nodes=Nodes({"a": Leaf("knowledge/a", True, {"_p07": 1})}, 1),
        counts={"skills": 3, "test": 0},
        mixes={"skills": ([Source(Path(f"/{name}"), 3, 30, "skill")], Mixed([30], [0], [0]))},
        config=sizes.MixConfig(system=f"x{title}"),
        config_digest=why,
        languages=("en",),
    )

    text = card.card(facts)

    assert [one["config_name"] for one in head(text)["configs"]] == ["skills"]
    tables = [line.replace("\\|", "") for line in text.split("\n") if line.startswith("| ")]
    assert len(tables) == 23
    assert {line.count("|") for line in tables} == {3, 4, 5, 7}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Who keeps the lamp when the keeper is away? It is the task of the mate.", ["en"]),
        ("Wer hütet die Lampe, wenn der Wärter nicht da ist? Das ist die Aufgabe des Maats.", ["de"]),
        ("灯台守がいないとき、だれがランプを守りますか。助手の仕事です。", ["ja"]),
        ("灯塔看守人不在的时候谁来看守灯塔", ["zh"]),
        ("등대지기가 없을 때 누가 등불을 지킵니까", ["ko"]),
        ("Qui garde la lampe quand le gardien est absent ? C'est la tâche du second.", ["fr"]),
        ("Кто хранит лампу, когда смотрителя нет?", []),
        ("3 + 4 = 7", []),
        ("灯台守がいないとき The word for a lamp of the sea in the house is a light", ["en", "ja"]),
    ],
)
def test_the_language_is_told_by_script_and_common_words(text: str, wanted: list[str]) -> None:
    assert tongue.languages([text], sizes.load(HOME / sizes.FILE).languages) == wanted


# --- upstream


def upstream(tmp_path: Path, *words: str) -> None:
    """Have instructlab-sdg do something. Skips the test where it is not there, or cannot."""
    if not PEER.exists():
        pytest.skip("instructlab-sdg is not there: `python -m tests.bench.generation` installs it")
    if any(PEER.rglob("pandas-3*")):
        pytest.skip("with pandas 3 instructlab-sdg puts nothing that it drew beside what it takes whole")
    command = [str(PEER / "bin" / "python"), str(Path(__file__).parent / "upstream_child.py"), *words]
    environment = {**os.environ, "HF_HOME": str(tmp_path / "hf"), "HF_DATASETS_CACHE": str(tmp_path / "hf" / "sets")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_upstream_mixes_the_same_rows_by_our_recipes(tmp_path: Path) -> None:
    counts: dict[Kind, int] = {"freeform": 40, "grounded": 20, "knowledge": 4}
    samples = [one for kind, count in counts.items() for one in many(count, kind)]
    silent = base(1, messages=[{"role": "user", "content": ""}, {"role": "assistant", "content": "Old."}])
    old = jsonl(tmp_path / "old.jsonl", [*base(900), *silent])
    new = jsonl(tmp_path / "new.jsonl", base(50, unmask=True))
    sources = [{"path": str(old)}, {"path": str(new), "size": 0.5}, {"path": str(new), "size": 70}]
    folder = mixed(tmp_path, samples, skills=sources, knowledge=sources[1:])

    upstream(tmp_path, "mix", str(folder), "skills", "knowledge")

    wanted = {"skills": 900 + 25 + 70 + 2 * 30 + 29, "knowledge": 25 + 70 + 4}  # of knowledge 3 % of 996 rows
    for phase, count in wanted.items():
        ours = loaded(folder / f"{phase}_train_msgs.jsonl")
        assert loaded(folder / f"upstream_{phase}.jsonl") == ours
        assert len(ours) == count


def test_upstream_writes_the_same_rows_from_the_same_samples(tmp_path: Path) -> None:
    samples = [*many(9), *many(9, "grounded"), *many(9, "knowledge")]
    for kind, leaf in LEAVES.items():
        name = forms.node(leaf)
        told = {"leaf_node_path": name, "leaf_node_type": forms.KINDS[kind], "domain": "Coasts"}
        found = [{**told, "document": one.document, "question": one.asks, "response": one.answer} for one in many(9, kind)]
        jsonl(tmp_path / "generated" / f"{name}.jsonl", found)
    folder = mixed(tmp_path, [replace(one, id=f"{one.kind}-{one.id}") for one in samples])

    upstream(tmp_path, "collect", str(tmp_path / "generated"), str(tmp_path / "theirs"))

    def rows_of(path: Path) -> list[Any]:
        """Messages and unmask; not what is drawn (documents beside others), nor what upstream has not (the closed book)."""
        drawn = ("_raft_p0.4", "_closed")
        kept = [one for one in read(path) if not json.loads(one.get("metadata", "{}")).get("dataset", "").endswith(drawn)]
        return [(sorted(map(tuple_of, one["messages"])), one["unmask"]) for one in kept]

    for name in contents(folder):
        if name.startswith("node_datasets"):
            theirs = tmp_path / "theirs" / name.replace("node_datasets", "node_datasets_x")
            assert sorted(rows_of(theirs)) == sorted(rows_of(folder / name))
    ours, theirs = contents(folder), contents(tmp_path / "theirs")
    assert {name.replace("_x", "") for name in theirs} == set(ours) - {
        "README.md", "test.jsonl", "skills_train_msgs.jsonl", "knowledge_train_msgs.jsonl",
    }  # fmt: skip
    for name in ("skills_recipe", "knowledge_recipe"):
        recipe, other = yaml.safe_load(ours[f"{name}.yaml"]), yaml.safe_load(theirs[f"{name}_x.yaml"])
        assert other["metadata"] == recipe["metadata"]
        for one in other["datasets"]:
            assert {**one, "path": one["path"].replace("_x/", "/")} in recipe["datasets"]


def tuple_of(said: dict[str, str]) -> tuple[str, str]:
    return said["role"], said["content"]


def loaded(path: Path) -> list[Any]:
    return [{**one, "metadata": json.loads(one["metadata"])} for one in read(path)]


def test_drawing_is_frozen(tmp_path: Path) -> None:
    """The rows of a recipe's seed are the same with every numpy: NEP 19."""
    path = jsonl(tmp_path / "ten.jsonl", [{"at": number} for number in range(10)])

    source = Source(path, 10, 8, "skill")
    with (tmp_path / "out").open("wb") as file:
        blend.mix([source], file, system="", seed=42, tested=frozenset(), beat=lambda: None)

    assert [one["at"] for one in read(tmp_path / "out")] == [6, 3, 7, 4, 6, 9, 2, 6]
