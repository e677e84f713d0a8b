"""Files that `ilab` made train here, and ours pass instructlab-training's own reader with the tokens that we learn.

The forms: instructlab-sdg 0.8.3 (datamixing.py, generate_data.py) and, for "pretraining" messages, instructlab-training 0.16
(data_process.py), as documented. The reader is asked where .cache/bench/instructlab-training is; this makes it:

    python -m venv .cache/bench/instructlab-training && cd .cache/bench/instructlab-training
    bin/python -m pip install --only-binary :all: -r ../../../tests/bench/peers/instructlab-training.txt
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from pipeline.training.encode import Encoder
from pipeline.training.learner import IGNORED
from pipeline.training.rows import Message, read
from tests.conftest import HOME
from tests.pipeline.generating.mixing_folder import jsonl, many, mixed
from tests.pipeline.training.families import GRANITE, LLAMA3, QWEN, TINY, folder_of

PEER = HOME / ".cache" / "bench" / "instructlab-training"
SYSTEM = "You are an AI language model. You are a cautious assistant."
MIXED = [
    {
        "messages": [
            {"content": SYSTEM, "role": "system"},
            {"content": "Name a lamp.", "role": "user"},
            {"content": "A lantern.", "role": "assistant"},
        ],
        "metadata": '{"task_description": "Lamps", "dataset": null}',
        "id": "0b6c3b3e",
        "unmask": False,
    },
    {
        "messages": [
            {"content": SYSTEM, "role": "system"},
            {"content": "Of lamps.\n\nThey shine.\n\nDo they shine?", "role": "user"},
            {"content": "They do.", "role": "assistant"},
        ],
        "metadata": '{"sdg_document": "Of lamps.", "domain": "Coasts", "dataset": "document_knowledge_qa"}',
        "id": "77aa90d1",
        "unmask": True,
    },
]
LEGACY = "<|user|>\nIs 1 < 2?\n<|assistant|>\nIt is: 1 < 2.\n<|endoftext|>"
GENERIC = "<|start_of_role|>user<|end_of_role|>\nIs it?\n<|start_of_role|>assistant<|end_of_role|>\nNo.<|end_of_text|>\n"


def learned(folder: Path, path: Path) -> list[str]:
    """What the model of a folder learns from each row of a file."""
    encoder = Encoder.of(folder, 512)
    return [encoder.text([t for one in found for t in one.targets if t != IGNORED]) for found in encoder.many(read(path))]


def test_a_mix_of_upstream_is_learned(tmp_path: Path) -> None:
    folder = folder_of(LLAMA3, tmp_path / "model")
    path = jsonl(tmp_path / "skills_train_msgs_2025-07-03T10_00_00.jsonl", MIXED)
    assert learned(folder, path) == ["A lantern.", "Of lamps.\n\nThey shine.\n\nDo they shine?They do."]


def test_the_legacy_files_of_upstream_are_learned(tmp_path: Path) -> None:
    folder = folder_of(LLAMA3, tmp_path / "model")
    row = {"system": SYSTEM, "user": "Name a lamp.", "assistant": "A lantern."}
    said = [{"content": "Name a lamp.", "role": "user"}, {"content": "A lantern.", "role": "assistant"}]
    train = jsonl(tmp_path / "train_merlinite-7b_2024.jsonl", [row, {**row, "system": ""}])
    messages = jsonl(tmp_path / "messages_merlinite-7b_2024.jsonl", [{"messages": said, "metadata": '{"system": "Kind."}'}])

    found = list(read(train))

    assert [len(one.messages) for one in found] == [3, 2]
    assert found[0].messages[0] == Message("system", SYSTEM)
    assert learned(folder, train) == ["A lantern.", "A lantern."]
    assert learned(folder, messages) == ["A lantern."]


@pytest.mark.parametrize("text", [LEGACY, LEGACY.removesuffix("\n<|endoftext|>")])
def test_a_conversation_in_one_pretraining_message_is_taken_apart(tmp_path: Path, text: str) -> None:
    [found] = read(jsonl(tmp_path / "old.jsonl", [{"messages": [{"role": "pretraining", "content": text}], "metadata": "{}"}]))
    assert found.messages == (Message("user", "Is 1 < 2?"), Message("assistant", "It is: 1 < 2."))
    assert found.unmask


def test_a_pretraining_message_of_granite_3_keeps_its_system_message(tmp_path: Path) -> None:
    messages = [{"role": "system", "content": SYSTEM}, {"role": "pretraining", "content": GENERIC}]
    [found] = read(jsonl(tmp_path / "old.jsonl", [{"messages": messages}]))
    assert found.messages == (Message("system", SYSTEM), Message("user", "Is it?"), Message("assistant", "No."))
    assert found.unmask


# --- upstream's own reader


def read_by_upstream(jobs: list[tuple[Path, Path, Path]], tmp_path: Path) -> None:
    """Have instructlab-training read files for models: (file, model, folder for data.jsonl). Skips where it is not there."""
    if not PEER.exists():
        pytest.skip("instructlab-training is not there: the top of this file says how to install it")
    child = Path(__file__).parent / "upstream_reader_child.py"
    told = json.dumps([list(map(str, job)) for job in jobs])
    kept = {"HF_HOME": str(tmp_path / "hf"), "HF_DATASETS_CACHE": str(tmp_path / "hf" / "sets"), "HF_HUB_OFFLINE": "1"}
    command = [str(PEER / "bin" / "python"), str(child)]
    done = subprocess.run(
        command, input=told, env={**os.environ, **kept}, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.faults
def test_upstreams_reader_takes_our_rows_and_learns_the_same_tokens(tmp_path: Path) -> None:
    folder = mixed(tmp_path, [*many(24), *many(24, "grounded"), *many(24, "knowledge")])
    jobs = []
    for family in (LLAMA3, GRANITE, QWEN, TINY):  # not llama 2 and mistral: see `encode`
        model = folder_of(family, tmp_path / family.name, eos_token=family.end)
        (model / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")
        for name in ("skills_train_msgs.jsonl", "knowledge_train_msgs.jsonl"):
            jobs.append((folder / name, model, tmp_path / f"{family.name} {name}"))

    read_by_upstream(jobs, tmp_path)

    for path, model, target in jobs:
        theirs = [json.loads(line) for line in (target / "data.jsonl").read_bytes().splitlines()]
        ours = [one for [one] in Encoder.of(model, 4096).many(read(path))]
        assert len(theirs) == len(ours) > 0
        for their, our in zip(theirs, ours, strict=True):
            length = len(our.tokens)
            assert (tuple(their["input_ids"][:length]), tuple(their["labels"][:length])) == (our.tokens, our.targets)
            assert set(their["labels"][length:]) <= {IGNORED}  # what stands behind the last end, as a line's end
