"""A GGUF file is read from its header; whatever is wrong with it is told in a sentence."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import gguf
import numpy as np
import pytest

from pipeline.errors import Invalid
from pipeline.models import shape
from tests.pipeline.models import random_gguf


def written(path: Path, fill: Callable[[gguf.GGUFWriter], None], architecture: str = "llama") -> Path:
    writer = gguf.GGUFWriter(path, architecture)
    fill(writer)
    writer.add_tensor("token_embd.weight", np.zeros((4, 32), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_model_says_what_it_is(gguf_file: Path) -> None:
    seen = shape.read(gguf_file)
    weights = sum(int(one.n_elements) for one in gguf.GGUFReader(gguf_file).tensors)

    assert seen == shape.Shape("llama", "random", weights, "unknown", 1024, 256, True, gguf_file.stat().st_size)


def test_memory_for_a_token_counts_the_key_heads_of_each_layer(tmp_path: Path) -> None:
    def fill(writer: gguf.GGUFWriter) -> None:  # as Granite 4.1 3B says it
        writer.add_block_count(40)
        writer.add_embedding_length(2560)
        writer.add_head_count(40)
        writer.add_head_count_kv(8)
        writer.add_context_length(131_072)
        writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_K_M)

    seen = shape.read(written(tmp_path / "granite.gguf", fill, "granite"))

    assert (seen.architecture, seen.kv_bytes, seen.context, seen.quantisation) == ("granite", 81_920, 131_072, "Q4_K_M")
    assert (seen.template, seen.name) == (False, "granite")


def test_layers_may_differ_in_their_key_heads_and_heads_in_their_width(tmp_path: Path) -> None:
    def fill(writer: gguf.GGUFWriter) -> None:
        writer.add_block_count(4)
        writer.add_embedding_length(64)
        writer.add_head_count(4)
        writer.add_head_count_kv([0, 2, 0, 2])  # two of the layers are recurrent
        writer.add_key_length(32)
        writer.add_value_length(16)

    assert shape.read(written(tmp_path / "hybrid.gguf", fill)).kv_bytes == 2 * (32 + 16) * 4


def test_a_model_that_shares_no_heads_takes_all_of_them(tmp_path: Path) -> None:
    def fill(writer: gguf.GGUFWriter) -> None:
        writer.add_block_count(32)
        writer.add_embedding_length(4096)
        writer.add_head_count(32)

    assert shape.read(written(tmp_path / "llama.gguf", fill)).kv_bytes == 524_288


def test_a_file_whose_facts_make_no_sense_is_told(tmp_path: Path) -> None:
    def fill(writer: gguf.GGUFWriter) -> None:
        writer.add_string("llama.block_count", "many")

    with pytest.raises(Invalid, match="it is damaged or cut off"):
        shape.read(written(tmp_path / "odd.gguf", fill))


def test_a_large_vocabulary_is_passed_over(tmp_path: Path) -> None:
    def fill(writer: gguf.GGUFWriter) -> None:
        writer.add_block_count(1)
        writer.add_token_list([f"word {n}" for n in range(2 * shape.LISTED)])
        writer.add_token_scores([0.0] * 2 * shape.LISTED)
        writer.add_chat_template("{{ messages }}")

    assert shape.read(written(tmp_path / "wide.gguf", fill)).template


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is no GGUF file"),
        (b"<html>Not found</html>", "it is no GGUF file"),
        (b"GGUF", "it is damaged or cut off"),
        (b"GGUF" + bytes(100), "it is damaged or cut off"),
        (b"GGUF\x03\x00\x00\x00" + b"\xff" * 100, "it is damaged or cut off"),
        (b"GGUF\x00\x00\x00\x03" + bytes(100), "it is damaged or cut off"),
    ],
)
def test_a_file_of_another_kind_is_told(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "x.gguf").write_bytes(content)
    with pytest.raises(Invalid, match=why):
        shape.read(tmp_path / "x.gguf")


def test_a_model_that_is_cut_off_anywhere_is_told(gguf_file: Path, tmp_path: Path) -> None:
    whole, cut = gguf_file.read_bytes(), tmp_path / "cut.gguf"
    for end in (*range(4, 20_000, 97), *range(20_000, len(whole), 50_021), len(whole) - 33):
        cut.write_bytes(whole[:end])
        with pytest.raises(Invalid, match="cut off"):
            shape.read(cut)


def test_bytes_that_were_changed_never_break_the_reading(gguf_file: Path, tmp_path: Path) -> None:
    whole, changed = bytearray(gguf_file.read_bytes()), tmp_path / "changed.gguf"
    for at in range(4, 2000, 7):
        before, whole[at] = whole[at], 255 - whole[at]
        changed.write_bytes(whole)
        with suppress(Invalid):
            shape.read(changed)
        whole[at] = before


def test_a_file_that_holds_no_model_is_told_by_what_it_holds(gguf_file: Path, tmp_path: Path) -> None:
    adapter = random_gguf.adapter(tmp_path / "adapter.gguf", gguf_file)
    with pytest.raises(Invalid, match="it holds no language model, but adapter"):
        shape.read(adapter)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="it cannot be read: No such file or directory"):
        shape.read(tmp_path / "none.gguf")
    with pytest.raises(Invalid, match="it cannot be read: Is a directory"):
        shape.read(tmp_path)
