"""Real entries become files to train on with the real vLLM as the teacher: part of `make test-vllm`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from pipeline.generating.rows import Kind
from tests.pipeline.generating import whole
from tests.vllm import servers
from tests.vllm.contract import Place

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(not whole.TAXONOMY.is_dir(), reason="the reference taxonomy is not here"),
]


@pytest.fixture(scope="module")
def vllm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with servers.vllm(tmp_path_factory.mktemp("vllm")) as made:
        yield made


@pytest.mark.parametrize("kind", get_args(Kind))
async def test_a_real_entry_becomes_files_to_train_on(vllm: Place, kind: Kind, tmp_path: Path) -> None:
    made = await whole.carried(tmp_path, kind, vllm.url, vllm.key)

    kept = [row for row in made.samples if row.kept]
    name = "knowledge_train_msgs.jsonl" if kind == "knowledge" else "skills_train_msgs.jsonl"
    lines = (made.folder / "mix" / name).read_text(encoding="utf-8").splitlines()
    assert kept
    assert {row.kind for row in made.samples} == {kind}
    assert all({"id", "messages", "metadata", "unmask"} == set(json.loads(line)) for line in lines)
    assert len(lines) >= len(kept)
