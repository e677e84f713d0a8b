"""The server knows an adapter whenever it is asked for, as its run made it last, and no adapter that was forgotten."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.adapters import Adapters
from bot.core.trained import name_of
from pipeline.errors import Invalid
from pipeline.models.client import Client, Endpoint
from tests.fakes.model import Model
from tests.fakes.openai_server import answer

RUN = "k7m2xyz.3"
NAME = name_of(RUN)


async def here(run: str, path: str) -> None:
    """All hosts share a disk."""


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    path = tmp_path / RUN / "export" / "adapter.gguf"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"GGUF one")
    return path


@pytest.fixture
async def client(model: Model) -> AsyncIterator[Client]:
    made = Client(Endpoint(model.url, tries=1))
    yield made
    await made.close()


def put(path: Path, content: bytes) -> None:
    """Write a file anew, at another time."""
    path.write_bytes(content)
    os.utime(path, (1, 1))


def take_away(path: Path) -> None:
    path.unlink()


def loads(model: Model) -> list[str]:
    """What the server was told to load and unload."""
    return [one.path.rpartition("/")[2].partition("_")[0] for one in model.asked if one.path.endswith("_lora_adapter")]


async def test_it_is_loaded_when_it_is_first_asked_for_and_then_it_is_there(
    model: Model, client: Client, gguf: Path, tmp_path: Path
) -> None:
    adapters = Adapters(tmp_path, here)
    for _ in range(2):
        await adapters.ready(client, NAME)

    assert (loads(model), model.names) == (["load"], {"small": "", NAME: "small"})
    assert model.to("/v1/load_lora_adapter")[0].body["lora_path"] == str(gguf)


async def test_a_server_that_was_started_anew_is_told_again(model: Model, client: Client, gguf: Path, tmp_path: Path) -> None:
    adapters = Adapters(tmp_path, here)
    await adapters.ready(client, NAME)
    model.names = {"small": ""}
    await adapters.ready(client, NAME)

    assert (loads(model), NAME in model.names) == (["load", "load"], True)


async def test_one_that_was_trained_again_takes_the_place_of_the_earlier_one(
    model: Model, client: Client, gguf: Path, tmp_path: Path
) -> None:
    adapters = Adapters(tmp_path, here)
    await adapters.ready(client, NAME)
    put(gguf, b"GGUF another")
    await adapters.ready(client, NAME)

    assert loads(model) == ["load", "unload", "load"]


async def test_one_that_another_process_has_loaded_is_loaded_anew_since_nobody_knows_which_it_is(
    model: Model, client: Client, gguf: Path, tmp_path: Path
) -> None:
    await Adapters(tmp_path, here).ready(client, NAME)
    await Adapters(tmp_path, here).ready(client, NAME)

    assert loads(model) == ["load", "unload", "load"]


async def test_while_answers_are_written_with_it_it_stays_as_it_is(
    model: Model, client: Client, gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await Adapters(tmp_path, here).ready(client, NAME)
    usual = model.answer
    busy = answer(400, {"error": {"message": "2 answers still use it"}})
    monkeypatch.setattr(model, "answer", lambda asked: (busy,) if "unload" in asked.path else usual(asked))
    await Adapters(tmp_path, here).ready(client, NAME)

    assert (loads(model), NAME in model.names) == (["load"], True)


async def test_several_who_ask_at_once_load_it_once(model: Model, client: Client, gguf: Path, tmp_path: Path) -> None:
    adapters = Adapters(tmp_path, here)
    await asyncio.gather(*(adapters.ready(client, NAME) for _ in range(4)))

    assert loads(model) == ["load"]


async def test_one_whose_run_is_gone_is_told_and_the_server_forgets_it(
    model: Model, client: Client, gguf: Path, tmp_path: Path
) -> None:
    adapters = Adapters(tmp_path, here)
    await adapters.ready(client, NAME)
    take_away(gguf)
    with pytest.raises(Invalid) as caught:
        await adapters.ready(client, NAME)

    assert (caught.value.problems[0].code, model.names) == ("adapter.gone", {"small": ""})


async def test_a_file_that_the_server_does_not_take_is_told(model: Model, client: Client, gguf: Path, tmp_path: Path) -> None:
    put(gguf, b"no adapter")
    with pytest.raises(Invalid) as caught:
        await Adapters(tmp_path, here).ready(client, NAME)

    assert caught.value.problems[0].code == "model.adapter"


async def test_a_server_that_is_vllm_is_given_the_folder(
    model: Model, client: Client, gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = gguf.with_name("adapter")
    folder.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (folder / name).write_bytes(b"{}")
    told: list[str] = []

    def answers(asked: object) -> tuple[bytes, ...]:
        path, body = asked.path, asked.body  # type: ignore[attr-defined]  # an Asked
        if path == "/v1/models":
            return (answer(200, {"object": "list", "data": [{"id": "granite", "owned_by": "vllm"}]}),)
        told.append(body["lora_path"])
        return (answer(200, "Success", {"content-type": "text/plain"}),)

    monkeypatch.setattr(model, "answer", answers)
    await Adapters(tmp_path, here).ready(client, NAME)

    assert told == [str(folder)]


async def test_a_file_that_another_host_made_is_brought(model: Model, client: Client, tmp_path: Path) -> None:
    async def bring(run: str, path: str) -> None:
        (tmp_path / run / path).parent.mkdir(parents=True)
        (tmp_path / run / path).write_bytes(b"GGUF")

    await Adapters(tmp_path, bring).ready(client, NAME)

    assert NAME in model.names


@pytest.mark.parametrize("name", ["small", "", "draft-", "draft-../x.1", "tickets"])
async def test_other_models_are_left_alone(model: Model, client: Client, tmp_path: Path, name: str) -> None:
    await Adapters(tmp_path, here).ready(client, name)

    assert model.asked == []
