"""What `labpipe serve` would run is decided from what was asked for and what is here, and says why."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import Invalid
from pipeline.models import catalog, launch
from pipeline.models.engine import CONTEXT, EngineSettings, Sampling
from pipeline.models.launch import Found, Plan, Served, Wanted, plan
from tests.conftest import HOME

GGUF, FOLDER, PYTHON = Path("/models/tiny/model.gguf"), Path("/models/tiny/hf"), Path("/vllm/bin/python")
BOTH = Served("tiny", GGUF, FOLDER, 4096)
CUDA = Found("NVIDIA H200", vllm=True)
NO_PYTHON = "Not vLLM: no --vllm-python names an environment that has it."
NO_CUDA = "Not vLLM: there is no CUDA device here."
NO_VLLM = "Not vLLM: /vllm/bin/python cannot import it."
NO_FOLDER = "Not vLLM: tiny is here as a GGUF file only, and vLLM wants safetensors (hf/)."


@pytest.mark.parametrize(
    ("model", "python", "engine", "found", "runs", "why"),
    [
        (BOTH, PYTHON, "auto", CUDA, "vllm", "vLLM, because NVIDIA H200 is here and /vllm/bin/python has it."),
        (BOTH, PYTHON, "vllm", CUDA, "vllm", "vLLM, because NVIDIA H200 is here and /vllm/bin/python has it."),
        (BOTH, PYTHON, "vllm", Found(vllm=True), "vllm", "vLLM, because --engine vllm says so."),
        (BOTH, PYTHON, "own", CUDA, "own", "Our own engine, because --engine own says so."),
        (BOTH, None, "auto", Found("NVIDIA H200"), "own", NO_PYTHON),
        (BOTH, PYTHON, "auto", Found("NVIDIA H200"), "own", NO_VLLM),
        (BOTH, PYTHON, "auto", Found(vllm=True), "own", NO_CUDA),
        (replace(BOTH, folder=None), PYTHON, "auto", CUDA, "own", NO_FOLDER),
    ],
)
def test_vllm_runs_where_there_is_cuda_and_a_vllm_and_else_our_engine(
    model: Served, python: Path | None, engine: Any, found: Found, runs: str, why: str
) -> None:
    made = plan(Wanted(model, vllm_python=python, engine=engine), found)

    assert (made.engine, made.why[0]) == (runs, why)


def test_every_reason_against_vllm_is_told() -> None:
    made = plan(Wanted(Served("tiny", GGUF)), Found())

    assert made.why == (NO_PYTHON, NO_CUDA, NO_FOLDER)


def values(argv: Sequence[str], *names: str) -> list[str]:
    return [argv[argv.index(name) + 1] for name in names]


def test_vllm_gets_the_same_settings() -> None:
    made = plan(Wanted(BOTH, port=8001, slots=8, vllm_python=PYTHON, keyed=True), CUDA)
    named = ("--served-model-name", "--host", "--port", "--max-model-len", "--max-num-seqs")

    assert made.argv[:5] == (str(PYTHON), "-m", "vllm.entrypoints.cli.main", "serve", str(FOLDER))
    assert values(made.argv, *named) == ["tiny", "127.0.0.1", "8001", "4096", "8"]
    assert "--enable-lora" in made.argv
    assert json.loads(values(made.argv, "--structured-outputs-config")[0]) == {
        "backend": "guidance",
        "disable_any_whitespace": True,
    }
    assert made.environment["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "True"


def test_what_vllm_is_told_of_sampling_and_context_is_what_our_engine_does() -> None:
    usual = Sampling()

    assert {name: getattr(usual, name) for name in launch.SAMPLING} == launch.SAMPLING
    assert (CONTEXT, EngineSettings(GGUF).slots) == (launch.CONTEXT, launch.SLOTS)


@pytest.mark.parametrize(
    ("asked", "trained", "context"), [(0, 4096, 4096), (0, 131_072, 8192), (0, 0, 8192), (2048, 4096, 2048)]
)
def test_the_context_is_the_models_own_but_not_more_than_usual(asked: int, trained: int, context: int) -> None:
    wanted = Wanted(replace(BOTH, trained=trained), context=asked, vllm_python=PYTHON)

    assert values(plan(wanted, CUDA).argv, "--max-model-len") == [str(context)]


def test_our_engine_is_told_every_setting_so_that_the_line_can_be_typed() -> None:
    adapters = (Path("/data/models"), Path("/data/runs"))
    wanted = Wanted(BOTH, "::1", 0, 2048, 9000, 4, 2, 5, "active", adapters, "own", with_parent=True)
    made = plan(wanted, Found())
    words = f"-m pipeline serve {GGUF} --engine own --host ::1 --port 0 --slots 4 --context 2048 --capacity 9000 --threads 2"
    more = "--gpu-layers 5 --wait active --adapters /data/models --adapters /data/runs --with-parent"

    assert made.argv == (sys.executable, *words.split(), *more.split())
    assert made.environment == {}


def test_a_plan_prints_as_a_line_for_a_shell_and_its_reasons() -> None:
    printed = str(Plan("own", ("python", "a b"), ("Because.", "And so."), {"NAME": "x y"}))

    assert printed == "NAME='x y' python 'a b'\n  Because.\n  And so."


@pytest.mark.parametrize(
    ("wanted", "found", "code", "said"),
    [
        (Wanted(BOTH, host="0.0.0.0"), Found(), "serve.open", "Set LABBOT_SERVE_KEY"),
        (Wanted(BOTH, host="::", vllm_python=PYTHON), CUDA, "serve.open", "Set LABBOT_SERVE_KEY"),
        (Wanted(BOTH, engine="vllm"), CUDA, "serve.vllm", "no --vllm-python"),
        (Wanted(BOTH, engine="vllm", vllm_python=PYTHON), Found("NVIDIA H200"), "serve.vllm", "cannot import it"),
        (Wanted(replace(BOTH, gguf=None)), Found(), "serve.gguf", "Name its .gguf"),
        (Wanted(BOTH), Found(missing=("llama_cpp", "uvicorn")), "serve.extra", "needs llama_cpp, uvicorn"),
        (Wanted(BOTH), Found(missing=("llama_cpp",)), "serve.extra", "-c constraints.txt -e '.[local]'"),
        (Wanted(BOTH, port=70_000), Found(), "serve.number", "--port: it is 0 to 65535."),
        (Wanted(BOTH, slots=0), Found(), "serve.number", "--slots: it is 1 to 224."),
    ],
)
def test_what_cannot_or_must_not_run_is_refused_with_the_way_out(wanted: Wanted, found: Found, code: str, said: str) -> None:
    with pytest.raises(Invalid) as caught:
        plan(wanted, found)

    assert caught.value.problems[0].code == code
    assert said in str(caught.value)


def test_beyond_this_machine_it_serves_with_a_key() -> None:
    assert plan(Wanted(BOTH, host="0.0.0.0", keyed=True), Found()).engine == "own"


# --- which model


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Two models, one of them with its safetensors; the other is chosen."""
    for name in ("tiny", "small"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "model.gguf").write_bytes(b"GGUF")
        catalog.keep(tmp_path, catalog.Card(name, "here", "Apache-2.0", 4, "0" * 64))
    (tmp_path / "tiny" / "hf").mkdir()
    (tmp_path / "tiny" / "hf" / "config.json").write_text('{"max_position_embeddings": 4096}', encoding="utf-8")
    catalog.choose(tmp_path, "small")
    return tmp_path


def test_a_model_goes_by_its_name_or_its_path_or_is_the_chosen_one(models: Path) -> None:
    tiny, small = models / "tiny", models / "small"

    assert launch.served("tiny", models) == Served("tiny", tiny / "model.gguf", tiny / "hf", 4096)
    assert launch.served("", models) == Served("small", small / "model.gguf")
    assert launch.served(str(small / "model.gguf"), models) == Served("small", (small / "model.gguf").resolve())
    assert launch.served(str(tiny / "hf"), models) == Served("hf", None, (tiny / "hf").resolve(), 4096)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("large", "on this machine; here: small, tiny."),
        ("none.gguf", "there is no such file"),
        ("../tiny", "there is no such file"),
        ("..", "is no name of a model"),
    ],
)
def test_a_model_that_is_not_here_is_told_with_those_that_are(models: Path, word: str, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        launch.served(word, models)


def test_without_a_choice_the_way_to_make_one_is_told(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="labpipe model use NAME"):
        launch.served("", tmp_path)


def test_another_python_is_asked_whether_it_has_vllm(tmp_path: Path) -> None:
    (tmp_path / "vllm.py").touch()
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(tmp_path))} exec {sys.executable} "$@"\n', encoding="utf-8")
    python.chmod(0o755)

    assert launch.look(python).vllm
    assert not launch.look(Path(sys.executable)).vllm
    assert not launch.look(tmp_path / "none").vllm


# --- the key


def test_the_key_comes_from_the_environment_or_from_a_file_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("secret\n", encoding="utf-8")
    file.chmod(0o600)

    assert launch.key({"LABBOT_SERVE_KEY": "other"}, file) == "secret"
    assert launch.key({"LABBOT_SERVE_KEY": " other "}, None) == "other"
    assert launch.key({}, None) == ""


@pytest.mark.parametrize(
    ("content", "mode", "said"), [(b"a", 0o644, "chmod 600"), (b"\n", 0o600, "empty"), (b"\xff", 0o600, "read")]
)
def test_a_key_file_that_others_can_read_or_that_has_none_is_refused(
    tmp_path: Path, content: bytes, mode: int, said: str
) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)
    file.chmod(mode)

    with pytest.raises(Invalid, match=said):
        launch.key({}, file)


# --- the command


def labpipe(*words: str, **environment: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", *words],
        cwd=HOME,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_print_shows_the_plan_and_runs_nothing(models: Path) -> None:
    status, printed, said = labpipe("serve", "tiny", "--print", "--models", str(models))

    assert (status, said) == (0, "")
    assert printed.splitlines()[0].startswith(f"OMP_WAIT_POLICY=passive {shlex.quote(sys.executable)} -m pipeline serve ")
    assert printed.splitlines()[1] == f"  {NO_PYTHON}"


def test_a_command_that_cannot_begin_says_so_and_ends_with_two(tmp_path: Path) -> None:
    status, printed, said = labpipe("serve", LABBOT_DATA=str(tmp_path))

    assert (status, printed) == (2, "")
    assert said == (
        f"{tmp_path / 'models'}: no model is chosen yet. Choose one: `labpipe model list`, then `labpipe model use NAME`.\n"
    )
