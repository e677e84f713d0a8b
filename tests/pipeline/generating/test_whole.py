"""With a real model as the teacher, real entries become files that upstream's tools and `datasets` read."""

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from pipeline.generating.rows import Kind
from tests.conftest import HOME
from tests.pipeline.generating import whole
from tests.pipeline.models.tiny_model import small_model

pytestmark = [
    pytest.mark.skipif(not whole.TAXONOMY.is_dir(), reason="the reference taxonomy is not here"),
]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of our engine with the practice model."""
    pytest.importorskip("llama_cpp", reason="the extra local is not installed")
    import subprocess

    model = small_model() / "model.gguf"
    command = [sys.executable, "-m", "pipeline", "serve", str(model), "--engine", "own", "--port", "0", "--context", "8192"]
    with subprocess.Popen(command, cwd=HOME, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout
        yield str(json.loads(server.stdout.readline())["url"])
        server.terminate()


@pytest.mark.parametrize("kind", get_args(Kind))
async def test_a_real_entry_becomes_files_to_train_on(engine: str, kind: Kind, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="the extra dev is not installed")
    made = await whole.carried(tmp_path, kind, engine)
    mix = made.folder / "mix"
    trained = mix / ("knowledge_train_msgs.jsonl" if kind == "knowledge" else "skills_train_msgs.jsonl")
    loaded = await asyncio.to_thread(
        datasets.load_dataset, "json", data_files=str(trained), split="train", cache_dir=str(tmp_path / "hf")
    )

    kept = [row for row in made.samples if row.kept]
    assert kept
    assert {row.kind for row in made.samples} == {kind}
    assert loaded.num_rows >= 1
    assert {"id", "messages", "metadata", "unmask"} <= set(loaded.column_names)
    assert "report.html" in {path.name for path in made.folder.iterdir()}
    assert made.facts["kept"] == str(len(kept))
