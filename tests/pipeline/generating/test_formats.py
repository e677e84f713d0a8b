"""The files of a mix are those of instructlab-sdg 0.8.3, column by column, and `datasets` loads each of them."""

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipeline.generating.rows import Row
from pipeline.mixing import forms
from pipeline.mixing.shelf import Shelf
from tests.pipeline.generating.mixing_folder import LEAVES, held, many, mixed, read, row

SYSTEM = "You are labbot, a helpful assistant."
SKILL = "node_datasets/compositional_skills_linguistics_orders.jsonl"
NODE = "node_datasets/knowledge_science_lighthouses"


def test_a_skill_is_a_system_prompt_a_question_and_an_answer(tmp_path: Path) -> None:
    folder = mixed(tmp_path, [row(7)])

    assert read(folder / "skills_train_msgs.jsonl") == [
        {
            "id": "0000000000000007",
            "messages": [
                {"content": SYSTEM, "role": "system"},
                {"content": "Who keeps lamp 007 alight?", "role": "user"},
                {"content": "Keeper 007 does.", "role": "assistant"},
            ],
            "metadata": json.dumps(
                {
                    "leaf_node_path": "compositional_skills_linguistics_orders",
                    "leaf_node_type": "freeform_skill",
                    "sample": 7,
                    "seed": 4,
                    "facet": {"topic": "the sea", "form": "a question"},
                    "scores": {"judge_pairs": 3},
                }
            ),
            "unmask": False,
        }
    ]
    assert read(folder / SKILL) == read(folder / "skills_train_msgs.jsonl")
    assert not (folder / "knowledge_train_msgs.jsonl").exists()


def test_a_grounded_question_stands_behind_its_context(tmp_path: Path) -> None:
    folder = mixed(tmp_path, [row(7, "grounded")])

    (found,) = read(folder / "skills_train_msgs.jsonl")
    assert found["messages"][1]["content"] == "Note 007: the lamp is kept.\n\nWho keeps lamp 007 alight?"
    assert json.loads(found["metadata"])["leaf_node_type"] == "grounded_skill"


def test_the_legacy_files_have_a_context_once_and_below(tmp_path: Path) -> None:
    folder = mixed(tmp_path, [row(7, "grounded")], held(1, "grounded"))

    user = "Who keeps lamp 007 alight?\nNote 007: the lamp is kept."
    assert read(folder / "train.jsonl") == [{"system": SYSTEM, "user": user, "assistant": "Keeper 007 does."}]
    messages = [{"content": user, "role": "user"}, {"content": "Keeper 007 does.", "role": "assistant"}]
    assert read(folder / "messages.jsonl") == [{"messages": messages, "metadata": json.dumps({"system": SYSTEM})}]
    asked = "When was tower 1 built?\nNote 001: the lamp is kept."
    assert read(folder / "test.jsonl") == [{"user": asked, "assistant": "Keeper 001 does.", "system": SYSTEM}]


def test_knowledge_is_learned_whole_behind_its_document_first(tmp_path: Path) -> None:
    folder = mixed(tmp_path, many(5, "knowledge"))

    found = read(folder / "knowledge_train_msgs.jsonl")
    assert [one["id"] for one in found] == [f"{number:016x}-document" for number in range(1, 6)]
    assert [one["role"] for one in found[2]["messages"]] == ["system", "user", "assistant"]
    assert found[2]["messages"][1]["content"] == "Of lamp 1.\n\nIt shines far.\n\nWho keeps lamp 003 alight?"
    assert {one["unmask"] for one in found} == {True}
    told = json.loads(found[2]["metadata"])
    assert told["sdg_document"] == "Of lamp 1.\n\nIt shines far."
    assert (told["domain"], told["dataset"]) == ("Coasts", "document_knowledge_qa")
    bare = [{**one, "messages": one["messages"][1:]} for one in found]
    assert read(folder / f"{NODE}_p07.jsonl") == bare


def test_the_skills_phase_has_knowledge_in_all_its_forms(tmp_path: Path) -> None:
    folder = mixed(tmp_path, many(5, "knowledge"))

    found = read(folder / "skills_train_msgs.jsonl")
    assert [one["id"][17:] for one in found] == ["raft", "document", "closed"] * 5
    assert Counter(one["unmask"] for one in found) == {False: 10, True: 5}
    names = [json.loads(one["metadata"])["dataset"] for one in found[:3]]
    assert names == ["document_knowledge_qa_raft_p0.4", "document_knowledge_qa", "document_knowledge_qa_closed"]
    assert found[2]["messages"][1]["content"] == "Who keeps lamp 001 alight?"
    shown = found[0]["messages"][1]["content"]
    assert shown == "Document:\nOf lamp 1.\n\nIt shines far.\n\n\n\nWho keeps lamp 001 alight?"  # of two, not its own
    replayed = [one for one in found if one["unmask"]]
    assert replayed == read(folder / "knowledge_train_msgs.jsonl")


def test_an_operator_may_leave_the_closed_book_out(tmp_path: Path) -> None:
    folder = mixed(tmp_path, many(2, "knowledge"), closed_book=False)

    assert [one["id"][17:] for one in read(folder / f"{NODE}_p10.jsonl")] == ["raft", "document"] * 2


def test_two_questions_in_five_have_their_own_document_among_four(tmp_path: Path) -> None:
    found = read(mixed(tmp_path, many(600, "knowledge")) / f"{NODE}_p10.jsonl")

    rafts = [one for one in found if one["id"].endswith("raft")]
    shown = [one["messages"][0]["content"].split("Document:\n")[1:] for one in rafts]
    assert {len(texts) for texts in shown} == {4}
    assert all(len(set(texts)) == 4 for texts in shown)
    own = [json.loads(one["metadata"])["sdg_document"] for one in rafts]
    places = [[text.startswith(f"{mine}\n\n") for text in texts] for mine, texts in zip(own, shown, strict=True)]
    assert 0.33 < sum(map(any, places)) / len(places) < 0.47  # 600 draws of 0.4: four standard deviations are 0.08
    assert {at.index(True) for at in places if any(at)} == {0, 1, 2, 3}


def test_a_single_document_stands_before_its_questions_always() -> None:
    shelf = Shelf()
    own = shelf.put("alone")

    assert shelf.put("alone") == own
    assert shelf.around(own, random.Random(1), 0.0, 4) == ["alone"]
    shelf.close()


@pytest.mark.parametrize(("golden", "wanted"), [(1.0, {0, 1, 2}), (0.0, {0, 2})])
def test_few_documents_are_all_shown(golden: float, wanted: set[int]) -> None:
    shelf = Shelf()
    for number in range(3):
        shelf.put(str(number))

    assert sorted(map(int, shelf.around(1, random.Random(1), golden, 4))) == sorted(wanted)
    shelf.close()


@pytest.mark.parametrize("kind", ["freeform", "grounded", "knowledge"])
def test_datasets_loads_every_file(tmp_path: Path, kind: Any) -> None:
    from datasets import Dataset, load_dataset

    folder = mixed(tmp_path, many(8, kind))

    def loaded(path: str) -> Dataset:
        return load_dataset("json", data_files=str(folder / path), split="train", cache_dir=str(tmp_path / "cache"))

    phases = ["skills_train_msgs.jsonl", "knowledge_train_msgs.jsonl"] if kind == "knowledge" else ["skills_train_msgs.jsonl"]
    nodes = [path.relative_to(folder).as_posix() for path in (folder / "node_datasets").iterdir()]
    assert len(nodes) == len(phases)
    for path in phases + nodes:
        found = loaded(path)
        assert found.column_names == ["id", "messages", "metadata", "unmask"]
        types = {name: str(kind) for name, kind in found.features.items()}
        assert types == {
            "id": "Value('string')",
            "messages": "List({'content': Value('string'), 'role': Value('string')})",
            "metadata": "Value('string')",
            "unmask": "Value('bool')",
        }
        assert list(found) == read(folder / path)
    legacy = {
        "train.jsonl": ["assistant", "system", "user"],
        "test.jsonl": ["assistant", "system", "user"],
        "messages.jsonl": ["messages", "metadata"],
    }
    for path, columns in legacy.items():
        assert sorted(loaded(path).column_names) == columns


def test_the_card_names_the_files_to_datasets(tmp_path: Path) -> None:
    from datasets import get_dataset_config_names, load_dataset

    folder = mixed(tmp_path, many(8, "knowledge"))

    names = ["knowledge", "skills", "messages", "train", "test"]
    assert get_dataset_config_names(str(folder)) == names
    found = load_dataset(str(folder), "test", split="test", cache_dir=str(tmp_path / "cache"))
    assert list(found) == read(folder / "test.jsonl")


def test_recipes_are_upstreams(tmp_path: Path) -> None:
    folder = mixed(tmp_path, many(3, "knowledge"))

    def recipe(phase: str) -> Any:
        return yaml.safe_load((folder / f"{phase}_recipe.yaml").read_text(encoding="utf-8"))

    told = {"sys_prompt": SYSTEM}
    assert recipe("knowledge") == {"datasets": [{"path": f"{NODE}_p07.jsonl", "sampling_size": 1.0}], "metadata": told}
    assert recipe("skills") == {"datasets": [{"path": f"{NODE}_p10.jsonl", "sampling_size": 1.0}], "metadata": told}


def test_a_skill_leaves_the_knowledge_recipe_empty(tmp_path: Path) -> None:
    folder = mixed(tmp_path, many(3))

    assert yaml.safe_load((folder / "knowledge_recipe.yaml").read_text(encoding="utf-8"))["datasets"] == []


HOSTILE = st.text(st.one_of(st.characters(), st.sampled_from('\u2028\u2029\x85\x0b\x1c\0\ud800\udfff"\\/😀')), min_size=1)


@given(HOSTILE, HOSTILE)
def test_any_text_is_one_line_that_reads_back(question: str, answer: str) -> None:
    made = row(1, question=question, answer=answer)

    found = forms.skill(made, SYSTEM)
    assert len(found.decode("ascii").splitlines()) == 1
    messages = json.loads(found)["messages"]
    assert [one["content"] for one in messages[1:]] == [forms.clean(question), forms.clean(answer)]
    json.dumps(messages, ensure_ascii=False).encode()  # no half of a character is left


def test_texts_that_look_like_our_own_columns_get_the_system_prompt_in_the_right_place() -> None:
    sly = row(1, "knowledge", question='"messages":[', document='{"messages":[{"role":"system"}]}')

    found = json.loads(forms.with_system(forms.knowledge(sly, "", "document", []), SYSTEM))
    assert found["messages"][0] == {"content": SYSTEM, "role": "system"}
    assert found["messages"][1]["content"] == '{"messages":[{"role":"system"}]}\n\n"messages":['


def test_answers_that_are_dates_stay_texts(tmp_path: Path) -> None:
    """Arrow reads a column in which every text is a date as dates."""
    from datasets import load_dataset

    dated: list[Row] = [row(number, answer=f"2024-01-{number:02d}") for number in range(1, 9)]
    folder = mixed(tmp_path, dated)

    path = str(folder / SKILL)
    found = load_dataset("json", data_files=path, split="train", cache_dir=str(tmp_path / "cache"))
    assert [one["messages"][2]["content"] for one in found] == [one.answer for one in dated]


def test_leaves_are_named_as_upstream_names_them() -> None:
    assert [forms.node(leaf) for leaf in LEAVES.values()] == [
        "compositional_skills_linguistics_orders",
        "compositional_skills_grounded_linguistics_notes",
        "knowledge_science_lighthouses",
    ]
