"""docker-compose.yml: by its specification, by what a service must not have, and by its commands, which run here."""

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis
import yaml
from jsonschema import Draft202012Validator

from bot import streaming
from bot.platforms.discord import front as discord_front
from bot.platforms.discord import run as discord_run
from bot.platforms.slack import front as slack_front
from bot.platforms.slack import run as slack_run
from pipeline import config, embedded, http
from pipeline.errors import Invalid
from pipeline.models import catalog, machine

HOME = Path(__file__).resolve().parents[2]
FILE = yaml.safe_load((HOME / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = FILE["services"]
OURS = [name for name in SERVICES if name != "redis"]
WORKERS = [name for name in OURS if name.startswith("worker")]
SERVERS = [name for name in OURS if name.startswith("serve")]
BOTS = ("bot-discord", "bot-slack")
BEGIN = {"slack_bot_token": "xoxb-", "slack_app_token": "xapp-"}  # by which one in another's place is told
PASSWORD = "a-password-of-this-test"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def argv(words: list[str]) -> list[str]:
    """A command of the file as it runs here."""
    here = {"python": sys.executable, "/etc/labbot/redis.sh": str(HOME / FILE["configs"]["redis.sh"]["file"])}
    return [here.get(word, word) for word in words if word != "CMD"]


def environment(name: str, secrets: Path, redis_url: str = "") -> dict[str, str]:
    """A service's environment as it is here, with its defaults; nothing of this process's own labbot."""
    told = {key: re.sub(r"\$\{\w+:-(.*)\}", r"\1", text) for key, text in SERVICES[name].get("environment", {}).items()}
    told = {key: text.replace("/run/secrets", str(secrets)) for key, text in told.items()}
    if "LABBOT_REDIS_URL" in told:
        assert told["LABBOT_REDIS_URL"] == "redis://redis:6379/0"
        told["LABBOT_REDIS_URL"] = redis_url
    kept = {key: text for key, text in os.environ.items() if not key.startswith("LABBOT_")}
    return {**kept, **told, "LABBOT_HOME": str(HOME), "LABBOT_DATA": str(secrets.parent / "data")}


def run(words: list[str], told: dict[str, str]) -> tuple[int, str]:
    done = subprocess.run(
        words, cwd=HOME, env=told, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What .data/secrets has: a file for each secret that the file names."""
    folder = tmp_path_factory.mktemp("compose") / "secrets"
    folder.mkdir()
    for name in FILE["secrets"]:
        word = PASSWORD if name == "redis_password" else f"{BEGIN.get(name, '')}another-word"
        (folder / name).write_text(f"{word}\n", encoding="utf-8")
        (folder / name).chmod(0o600)
    return folder


@pytest.fixture(scope="module")
def redis_here(secrets: Path) -> Iterator[int]:
    """The service `redis` by its own command: the port at which it listens."""
    port = free_port()
    folder = secrets.parent / "redis"
    folder.mkdir()
    told = {**redis_words(secrets, port), "PATH": f"{embedded.binary().parent}:{os.environ['PATH']}"}
    words = [*argv(SERVICES["redis"]["command"]), "--port", str(port), "--dir", str(folder), "--bind", "127.0.0.1"]
    process = subprocess.Popen(words, env=told, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while run(argv(SERVICES["redis"]["healthcheck"]["test"]), told)[0]:
            assert process.poll() is None and time.monotonic() < deadline
        assert PASSWORD not in " ".join(psutil.Process(process.pid).cmdline())
        assert PASSWORD not in str(psutil.Process(process.pid).environ())
        yield port
    finally:
        process.terminate()
        process.wait(30)


def redis_words(secrets: Path, port: int) -> dict[str, str]:
    settings = HOME / FILE["configs"]["redis.conf"]["file"]
    path = f"{embedded.binary().parent}:{os.environ['PATH']}"
    return {
        "PATH": path,
        "REDIS_CONF": str(settings),
        "REDIS_PASSWORD_FILE": str(secrets / "redis_password"),
        "REDIS_PORT": str(port),
    }


# --- the file


def test_the_file_is_one_by_the_compose_specification() -> None:
    found = find_spec("check_jsonschema")  # it brings the specification's own schema
    assert found and found.submodule_search_locations
    schema = Path(found.submodule_search_locations[0]) / "builtin_schemas" / "vendor" / "compose-spec.json"
    validator = Draft202012Validator(json.loads(schema.read_bytes()))

    assert [f"{list(error.path)}: {error.message}" for error in validator.iter_errors(FILE)] == []
    assert not validator.is_valid({**FILE, "services": {"redis": {"image": "redis", "read-only": True}}})


def test_every_service_of_the_plan_is_there_and_what_is_optional_waits_for_its_profile() -> None:
    profiles = {name: service.get("profiles", []) for name, service in SERVICES.items()}

    assert profiles == {
        "redis": [],
        "worker-cpu": [],
        "worker-gpu": ["gpu"],
        "serve": ["serve"],
        "serve-gpu": ["serve-gpu"],
        "bot-discord": ["discord"],
        "bot-slack": ["slack"],
    }


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_nothing_that_it_does_not_need(name: str) -> None:
    service = SERVICES[name]
    user, _, group = service["user"].partition(":")

    assert int(user) > 0 and int(group) > 0
    assert (service["read_only"], service["cap_drop"], service["security_opt"]) == (True, ["ALL"], ["no-new-privileges:true"])
    assert service["restart"] == "unless-stopped" and service["healthcheck"]["test"][0] == "CMD"
    assert name != "redis" or service["volumes"] == [f"redis:{service['working_dir']}"]
    assert not {"ports", "privileged", "cap_add", "network_mode", "pid", "ipc", "devices"} & service.keys()
    assert not any("docker.sock" in str(volume) for volume in service["volumes"])


@pytest.mark.parametrize("name", SERVICES)
def test_a_secret_comes_as_a_file_and_only_to_who_needs_it(name: str) -> None:
    told, given = SERVICES[name].get("environment", {}), SERVICES[name]["secrets"]
    named = {text.rpartition("/")[2] for key, text in told.items() if re.search("KEY|PASS|TOKEN|SECRET", key)}

    assert all(text.startswith("/run/secrets/") for key, text in told.items() if re.search("KEY|PASS|TOKEN|SECRET", key))
    assert named == set(given) - ({"redis_password"} if name == "redis" else set())
    assert set(given) <= FILE["secrets"].keys()
    assert all("file" in secret for secret in FILE["secrets"].values())


def test_redis_and_the_model_server_are_on_networks_that_lead_nowhere() -> None:
    def on(network: str) -> set[str]:
        return {name for name, service in SERVICES.items() if network in service["networks"]}

    assert [name for name, network in FILE["networks"].items() if network.get("internal")] == ["store", "models"]
    assert on("store") == {"redis", *BOTS, *WORKERS}
    assert on("models") == {*SERVERS, *BOTS, *WORKERS}
    assert on("out") == {*BOTS, *WORKERS}
    assert {str(SERVICES[name]["volumes"]) for name in SERVERS} == {"['models:/data/models:ro']"}


def test_cuda_is_reserved_where_it_is_used() -> None:
    devices = {name: service["deploy"]["resources"] for name, service in SERVICES.items() if "deploy" in service}

    def one(number: str) -> dict[str, Any]:
        return {"reservations": {"devices": [{"driver": "nvidia", "device_ids": [number], "capabilities": ["gpu"]}]}}

    assert devices == {"worker-gpu": one("${LABBOT_GPU:-0}"), "serve-gpu": one("${LABBOT_SERVE_GPU:-0}")}
    assert {SERVICES[name]["image"] for name in devices} == {"labbot:cuda"}
    assert "cuda" in SERVICES["worker-gpu"]["command"]  # without its GPU it is to end, not to compute on the CPU


# --- its commands, outside of containers


def test_redis_keeps_what_it_answered_and_lets_nobody_in_without_the_password(redis_here: int) -> None:
    with redis.Redis(port=redis_here, password=PASSWORD) as client:
        assert embedded.durability(client) == "nothing"
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    with redis.Redis(port=redis_here) as client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_redis_is_unwell_with_another_password_and_refuses_one_that_is_none(redis_here: int, tmp_path: Path) -> None:
    words = argv(SERVICES["redis"]["healthcheck"]["test"])
    other = tmp_path / "redis_password"

    other.write_text("another\n", encoding="utf-8")
    status, said = run(words, redis_words(tmp_path, redis_here))
    assert (status, "PONG" in said) == (1, False)
    other.write_text("with a space\n", encoding="utf-8")
    assert run(words, redis_words(tmp_path, redis_here))[0] == 2


@pytest.mark.parametrize("name", WORKERS)
def test_a_workers_command_can_begin_here_or_says_why_not(name: str, redis_here: int, secrets: Path) -> None:
    told = environment(name, secrets, f"redis://127.0.0.1:{redis_here}/0")
    status, said = run([*argv(SERVICES[name]["command"]), "--check"], told)

    assert "Traceback" not in said and PASSWORD not in said
    if name == "worker-cpu" or machine.look().kind == "cuda":
        assert (status, "every write is on its disk" in said) == (0, True), said
        assert re.search(rf"^would: .*{name.removeprefix('worker-')}", said, re.M)
    else:
        assert (status, "--device" in said) == (2, True), said


@pytest.mark.parametrize("name", BOTS)
def test_a_bots_command_can_begin_here(name: str, redis_here: int, secrets: Path) -> None:
    told = environment(name, secrets, f"redis://127.0.0.1:{redis_here}/0")
    words = [*argv(SERVICES[name]["command"]), "--check"]
    status, said = run(words, told)
    without = {key: text for key, text in told.items() if "TOKEN" not in key}

    assert (status, "would: serve" in said, "another-word" in said) == (0, True, False), said
    assert run(words, without)[0] == 2


def test_a_worker_whose_redis_is_away_is_told_so_and_one_with_a_wrong_password_too(redis_here: int, secrets: Path) -> None:
    words = [*argv(SERVICES["worker-cpu"]["command"]), "--check"]
    away = environment("worker-cpu", secrets, f"redis://127.0.0.1:{free_port()}/0")
    wrong = environment("worker-cpu", secrets, f"redis://127.0.0.1:{redis_here}/0")
    wrong["LABBOT_REDIS_PASSWORD_FILE"] = str(secrets / "serve_key")

    status, said = run(words, away)
    assert (status, "not now: LABBOT_REDIS_URL: no Redis answers" in said) == (1, True), said
    status, said = run(words, wrong)
    assert (status, "refuses the password" in said) == (2, True), said


@pytest.mark.parametrize("name", [*WORKERS, *BOTS])
async def test_a_health_check_asks_the_services_own_app(name: str) -> None:
    command, test = SERVICES[name]["command"], SERVICES[name]["healthcheck"]["test"]
    assert test[-1].rpartition(":")[2] == command[command.index("--http") + 1].rpartition(":")[2]
    found = [http.Health("ok", {"lanes": name}), http.Health("Its loops have ended.")]
    at: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def health() -> http.Health:
        return found.pop(0)

    async def text() -> str:
        return ""

    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(http.serve(http.app(health, text), "127.0.0.1", 0, at.set_result))
        words = [*argv(test)[:-1], f"127.0.0.1:{await at}"]
        well = await asyncio.to_thread(run, words, dict(os.environ))
        unwell = await asyncio.to_thread(run, words, dict(os.environ))
        serving.cancel()
    gone = await asyncio.to_thread(run, words, dict(os.environ))

    assert well == (0, json.dumps({"state": "ok", "lanes": name}, separators=(",", ":")) + "\n")
    assert unwell == (1, '{"state":"Its loops have ended."}\n')
    assert (gone[0], "Nobody answers" in gone[1]) == (1, True)


@pytest.mark.parametrize("name", SERVERS)
def test_a_model_servers_command_has_a_plan_here(name: str, secrets: Path) -> None:
    told = environment(name, secrets)
    models = Path(told["LABBOT_DATA"]) / "models"
    (models / "known").mkdir(parents=True, exist_ok=True)
    (models / "known" / "model.gguf").write_bytes(b"GGUF")
    catalog.keep(models, catalog.Card("known", "here", "apache-2.0", 4, "0" * 64))
    catalog.choose(models, "known")
    words = argv(SERVICES[name]["command"])

    status, said = run([*words, "--print"], told)
    assert (status, "--host 0.0.0.0 --port 8000" in said, "another-word" in said) == (0, True, False), said
    without = {key: text for key, text in told.items() if key != "LABBOT_SERVE_KEY_FILE"}
    assert run([*words, "--print"], without)[0] == 2
    assert SERVICES[name]["healthcheck"]["test"][-1] == f"127.0.0.1:{words[-1]}/health"


@pytest.mark.parametrize(
    ("name", "leave_s", "close_s"),
    [
        ("bot-discord", discord_front.LEAVE_S, discord_run.CLOSE_S),
        ("bot-slack", slack_front.LEAVE_S, slack_run.CLOSE_S),
    ],
)
def test_a_bot_has_the_time_that_its_end_takes(name: str, leave_s: float, close_s: float) -> None:
    grace_s = float(SERVICES[name]["stop_grace_period"].removesuffix("s"))

    assert grace_s > leave_s + streaming.PAUSE_S + close_s


# --- what lies beside it


def test_in_containers_every_role_asks_the_service_that_serves(secrets: Path) -> None:
    roles = HOME / "configs" / "deploy" / "roles.yaml"
    told = environment("worker-cpu", secrets)
    found = config.roles(roles, told)
    endpoints = [found.endpoint(role, told) for role in ("chat", "teacher", "judge", "embeddings")]

    assert {one and (one.url, one.key) for one in endpoints} == {("http://serve:8000/v1", "another-word")}
    assert any(str(volume).startswith("./configs/deploy/roles.yaml:") for volume in SERVICES["worker-cpu"]["volumes"])
    with pytest.raises(Invalid, match="LABBOT_SERVE_KEY"):
        config.roles(roles, {})


def test_the_image_is_built_in_two_stages_and_runs_as_nobody_in_particular() -> None:
    text = re.sub(r"\\\n\s*", "", (HOME / "configs" / "deploy" / "Dockerfile").read_text(encoding="utf-8"))
    steps = [line.split(maxsplit=1) for line in text.splitlines() if line and line[0] != "#"]
    last = steps[max(at for at, step in enumerate(steps) if step[0] == "FROM") :]
    users = [words for step, words in last if step == "USER"]
    copied = [words.split() for step, words in steps if step == "COPY"]
    images = [words.partition("=")[2] for step, words in steps if step == "ARG" and "_IMAGE" in words]

    assert [words for step, words in steps if step == "FROM"] == ["${BUILD_IMAGE} AS wheels", "${RUN_IMAGE} AS labbot"]
    assert all(re.fullmatch(r"[a-z/]+:\d[\w.-]+", image) for image in [*images, SERVICES["redis"]["image"]])
    assert users == [SERVICES["worker-cpu"]["user"]]
    assert not any("build-essential" in words for _, words in last)
    assert not any(re.search("PASS|TOKEN|SECRET|KEY", words) for step, words in steps if step in ("ARG", "ENV"))
    assert all((HOME / source).exists() for *sources, _ in copied for source in sources)
    assert [json.loads(words.partition("CMD")[2]) for step, words in last if step == "HEALTHCHECK"] == [
        ["python", "-m", "pipeline", "worker", "--check"]
    ]


def test_nothing_gets_into_an_image_but_what_its_steps_copy() -> None:
    lines = (HOME / "configs" / "deploy" / "Dockerfile.dockerignore").read_text(encoding="utf-8").split("\n")
    rules = [line for line in lines if line and line[0] != "#"]
    text = (HOME / "configs" / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    copied = {word.partition("/")[0] for line in text.splitlines() if line.startswith("COPY") for word in line.split()[1:-1]}

    assert rules[0] == "*" and {rule[1:] for rule in rules if rule[0] == "!"} == copied


def test_the_image_has_the_requirements_of_the_project_and_of_its_extras() -> None:
    words = [sys.executable, str(HOME / "configs" / "deploy" / "requirements.py")]
    core, more = run([*words, ""], dict(os.environ)), run([*words, "local,train"], dict(os.environ))

    assert (core[0], "redis[hiredis]<6" in core[1].splitlines(), "llama-cpp-python" in core[1]) == (0, True, False)
    assert {"llama-cpp-python", "torch"} <= set(more[1].splitlines()) and len(set(more[1].splitlines())) == more[1].count("\n")
    assert run([*words, "none"], dict(os.environ)) == (2, "pyproject.toml has no extra none\n")


@pytest.mark.parametrize("name", OURS)
def test_an_image_is_built_with_extras_that_there_are(name: str) -> None:
    build = SERVICES[name]["build"]
    status, said = run([sys.executable, "configs/deploy/requirements.py", build["args"]["EXTRAS"]], dict(os.environ))

    assert (status, (HOME / build["dockerfile"]).is_file()) == (0, True), said
    assert all(re.search(r":\d[\w.-]+$", image) for key, image in build["args"].items() if key.endswith("_IMAGE"))
