"""roles.yaml is taken whole, or every mistake in it is told with its place; its schema is generated."""

import json
from pathlib import Path

import pytest

from pipeline import config
from pipeline.config import ChatConfig, EndpointConfig, RolesConfig, SamplingConfig, roles, roles_schema
from pipeline.errors import Invalid
from pipeline.models.endpoint import Endpoint, Options
from tests.conftest import HOME

FILE = HOME / "configs" / "models" / "roles.yaml"


def written(folder: Path, text: str) -> Path:
    path = folder / "roles.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def told(folder: Path, text: str, environment: dict[str, str] | None = None) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as refused:
        roles(written(folder, text), environment or {})
    return [(problem.code, problem.where) for problem in refused.value.problems]


def test_the_shipped_file_leaves_every_role_to_the_server_on_this_machine() -> None:
    sampling = SamplingConfig(temperature=0.7, top_p=0.95, top_k=40, min_p=0.05, max_tokens=1024)
    many = EndpointConfig(concurrency=512)

    assert roles(FILE, {}) == RolesConfig(
        chat=ChatConfig(concurrency=256, system="You are labbot, a helpful assistant.", sampling=sampling),
        teacher=many,
        judge=many,
        embeddings=EndpointConfig(concurrency=4),
    )


@pytest.mark.parametrize("role", ["chat", "teacher", "judge", "embeddings"])
def test_the_environment_names_the_endpoint_of_a_role(role: str) -> None:
    made = roles(FILE, {f"LABBOT_{role.upper()}_URL": "https://models.example/v1"})

    named = {one: getattr(made, one).url for one in ("chat", "teacher", "judge", "embeddings") if getattr(made, one).url}
    assert named == {role: "https://models.example/v1"}


def test_an_endpoint_gets_its_key_from_the_environment_and_the_shared_server_its_own(tmp_path: Path) -> None:
    text = "plain_http: [gpu]\nchat: {url: 'http://gpu:8000/v1', model: granite, key_env: GPU_KEY, silence_s: 9, first_s: 8}"
    environment = {"GPU_KEY": "sk-gpu\n"}
    made = roles(written(tmp_path, text), environment)

    chat = made.endpoint("chat", environment, url="http://127.0.0.1:1/v1", key="shared", ca="ca.pem")
    judge = made.endpoint("judge", environment, url="http://127.0.0.1:1/v1", key="shared")

    assert chat == Endpoint("http://gpu:8000/v1", "granite", "sk-gpu", silence_s=9, first_s=8, plain_http=("gpu",), ca="ca.pem")
    assert judge == Endpoint("http://127.0.0.1:1/v1", key="shared", plain_http=("gpu",))
    assert made.endpoint("judge", environment) is None
    assert "sk-gpu" not in f"{made}{made!r}{chat!r}"


def test_a_key_that_was_written_into_the_file_is_not_told_again(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as refused:
        roles(written(tmp_path, "chat: {key: sk-one, key_env: sk-two}"), {})

    assert len(refused.value.problems) == 2 and "sk-" not in str(refused.value)


def test_sampling_becomes_the_options_of_a_request() -> None:
    assert roles(FILE, {}).chat.options == Options(0.7, 0.95, 40, 0.05, max_tokens=1024)


def test_every_mistake_is_told_with_its_place(tmp_path: Path) -> None:
    text = """
chat: {url: "http://gpu:8000/v1", sampling: {temperature: hot}, concurrency: 0}
teacher: {key_env: "sk-123", speed: 5}
critic: {}
"""

    assert sorted(told(tmp_path, text)) == [
        ("config.value", "roles.yaml: chat.concurrency"),
        ("config.value", "roles.yaml: chat.sampling.temperature"),
        ("config.value", "roles.yaml: critic"),
        ("config.value", "roles.yaml: teacher.key_env"),
        ("config.value", "roles.yaml: teacher.speed"),
    ]


def test_an_endpoint_that_may_not_be_used_and_a_key_that_is_not_there_are_told(tmp_path: Path) -> None:
    text = "judge: {url: 'http://gpu:8000/v1', key_env: GPU_KEY}"

    found = told(tmp_path, text, {"LABBOT_CHAT_URL": "gpu"})

    assert found == [
        ("config.value", "roles.yaml: chat.url"),
        ("config.value", "roles.yaml: judge.url"),
        ("config.key", "roles.yaml: judge.key_env"),
    ]


@pytest.mark.parametrize("text", ["- a", "chat: [", "chat: 5"])
def test_what_is_no_file_of_roles_is_told(tmp_path: Path, text: str) -> None:
    assert told(tmp_path, text, {"LABBOT_CHAT_URL": "https://models.example/v1"})


def test_no_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as refused:
        roles(tmp_path / "roles.yaml", {})

    assert refused.value.problems[0].code == "config.missing"


def test_a_long_system_prompt_is_taken(tmp_path: Path) -> None:
    long = "Be kind. " * 800

    assert roles(written(tmp_path, f"chat: {{system: {long!r}}}"), {}).chat.system == long


def test_the_schema_that_lies_in_configs_is_the_one_of_the_code() -> None:
    """To make it anew: python -c "from pipeline.config import roles_schema; print(roles_schema(), end='')", into that file"""
    assert (HOME / "configs" / "schema" / "roles.json").read_text(encoding="utf-8") == roles_schema()


def test_every_setting_says_what_it_means() -> None:
    made = json.loads(roles_schema())
    sections = [made, *made["$defs"].values()]

    assert [name for one in sections for name, what in one["properties"].items() if "description" not in what] == []


def test_the_file_of_the_bot_is_another(tmp_path: Path) -> None:
    with pytest.raises(Invalid):
        config.load(FILE)
