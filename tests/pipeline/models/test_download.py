"""A model comes whole or not at all, goes on where it was cut, and says in a sentence why it did not come."""

import errno
import fcntl
import hashlib
import json
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.error import HTTPError

import pytest

from pipeline.errors import Failed, Invalid, LabError, Temporary
from pipeline.models import catalog, download, machine
from pipeline.models.catalog import Card, Named
from pipeline.models.download import Hub, Meter, hub_of, lasting
from tests.fakes.hub import COMMIT, HubHost

NAME = "small-lab"
CONTENT = b"GGUF" + bytes(range(256)) * 1024  # 262,148 bytes
SHA = hashlib.sha256(CONTENT).hexdigest()
AT = "lab/small-GGUF/small.gguf"
PART = f".{SHA[:16]}.part"


def named(**changed: object) -> Named:
    known = {
        "title": "Small Lab",
        "about": {"en": "A small one.", "de": "Ein kleines."},
        "repo": "lab/small-GGUF",
        "file": "small.gguf",
        "licence": "Apache-2.0",
        "licence_url": "https://lab.example/licence",
        "parameters": 1,
        "context": 8192,
        "size_bytes": len(CONTENT),
        "kv_bytes": 1,
        "sha256": SHA,
    }
    return Named.model_validate(known | changed)


@pytest.fixture
def host() -> HubHost:
    return HubHost({AT: CONTENT})


@pytest.fixture(autouse=True)
def url(host: HubHost, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(download, "CHUNK_BYTES", 10_000)
    with host.up() as url:
        yield url


class Told:
    def __init__(self) -> None:
        self.steps: list[tuple[float, dict[str, str]]] = []

    def __call__(self, fraction: float, facts: Mapping[str, str]) -> None:
        self.steps.append((fraction, dict(facts)))


def bring(folder: Path, url: str, one: Named | None = None, token: str = "", told: Told | None = None) -> Card:
    return download.download(NAME, one or named(), folder, Hub(url, token, pause_s=0.0), told or Told())


def refused(folder: Path, url: str, one: Named | None = None, token: str = "") -> LabError:
    with pytest.raises(LabError) as caught:
        bring(folder, url, one, token)
    return caught.value


def code(error: LabError) -> str:
    return error.problems[0].code if isinstance(error, Invalid) else type(error).__name__


# --- a model that comes


def test_a_model_comes_with_its_card_and_nothing_is_left_beside_it(tmp_path: Path, url: str) -> None:
    told = Told()
    made = bring(tmp_path, url, told=told)

    assert made == Card(NAME, f"lab/small-GGUF@{COMMIT[:12]}", "Apache-2.0", len(CONTENT), SHA, "A small one.")
    assert catalog.here(tmp_path) == {NAME: made}
    assert catalog.weights(tmp_path, NAME).read_bytes() == CONTENT
    assert sorted(path.name for path in (tmp_path / NAME).iterdir()) == ["card.json", "model.gguf"]
    assert [told.steps[0][1]["act"], told.steps[-1][1]["act"]] == ["fetch", "check"]
    assert told.steps[-1] == (1.0, told.steps[-1][1] | {"name": NAME, "done": "262 kB", "total": "262 kB"})


def test_a_model_that_is_here_is_not_asked_for_again(tmp_path: Path, url: str, host: HubHost) -> None:
    first = bring(tmp_path, url)
    asked = len(host.asked)
    second = bring(tmp_path, url)

    assert (second, len(host.asked)) == (first, asked)


def test_another_version_takes_the_place_of_the_one_that_is_here(tmp_path: Path, url: str, host: HubHost) -> None:
    bring(tmp_path, url)
    host.files[AT] = newer = CONTENT + b"newer"
    made = bring(tmp_path, url, named(sha256=host.sha256(AT)))

    assert made.size == len(newer)
    assert catalog.weights(tmp_path, NAME).read_bytes() == newer


def test_weights_that_lie_there_without_a_card_are_checked_and_kept(tmp_path: Path, url: str, host: HubHost) -> None:
    (tmp_path / NAME).mkdir()
    catalog.weights(tmp_path, NAME).write_bytes(CONTENT)
    bring(tmp_path, url)

    assert [(method, where) for method, where, _ in host.asked] == [("HEAD", "hub")]
    assert NAME in catalog.here(tmp_path)


def test_a_digest_that_is_not_known_here_is_the_hub_s_own(tmp_path: Path, url: str) -> None:
    assert bring(tmp_path, url, named(sha256="")).sha256 == SHA


# --- cut in the middle


def test_a_download_that_is_cut_goes_on_where_it_was(tmp_path: Path, url: str, host: HubHost) -> None:
    host.cuts = [100_000, 70_000]
    bring(tmp_path, url)

    gets = [asked for asked in host.asked if asked[0] == "GET" and asked[1] == "storage"]
    assert gets == [("GET", "storage", ""), ("GET", "storage", "bytes=100000-"), ("GET", "storage", "bytes=170000-")]
    assert catalog.weights(tmp_path, NAME).read_bytes() == CONTENT


def test_what_a_killed_download_left_is_where_the_next_one_begins(tmp_path: Path, url: str, host: HubHost) -> None:
    (tmp_path / NAME).mkdir()
    (tmp_path / NAME / PART).write_bytes(CONTENT[:200_000])
    (tmp_path / NAME / ".0123456789abcdef.part").write_bytes(b"of an older version")
    told = Told()
    bring(tmp_path, url, told=told)

    assert [asked for asked in host.asked if asked[1] == "storage"] == [("GET", "storage", "bytes=200000-")]
    assert told.steps[0][0] > 0.7
    assert sorted(path.name for path in (tmp_path / NAME).iterdir()) == ["card.json", "model.gguf"]


def test_a_download_that_was_killed_before_its_check_is_only_checked(tmp_path: Path, url: str, host: HubHost) -> None:
    (tmp_path / NAME).mkdir()
    (tmp_path / NAME / PART).write_bytes(CONTENT)
    bring(tmp_path, url)

    assert [asked for asked in host.asked if asked[0] == "GET"] == []


def test_a_server_that_knows_no_ranges_sends_all_of_it_again(tmp_path: Path, url: str, host: HubHost) -> None:
    host.ranges, host.cuts = False, [100_000]
    bring(tmp_path, url)

    assert catalog.weights(tmp_path, NAME).read_bytes() == CONTENT


def test_a_download_that_gets_nothing_more_ends_and_keeps_what_came(tmp_path: Path, url: str, host: HubHost) -> None:
    host.cuts = [100_000] + [0] * 100
    error = refused(tmp_path, url)

    assert isinstance(error, Temporary)
    assert f"Type `labpipe model download {NAME}` when this machine is on the network" in str(error)
    assert (tmp_path / NAME / PART).read_bytes() == CONTENT[:100_000]
    assert catalog.here(tmp_path) == {}


def test_bytes_that_are_not_those_that_were_promised_are_thrown_away(tmp_path: Path, url: str, host: HubHost) -> None:
    host.damaged = True
    error = refused(tmp_path, url)

    assert isinstance(error, Temporary)
    assert str(error) == f"{NAME} came damaged and was thrown away. Type `labpipe model download {NAME}` to try again."
    assert list((tmp_path / NAME).iterdir()) == []


def test_a_second_download_of_the_same_model_is_kept_out(tmp_path: Path, url: str, host: HubHost) -> None:
    with (tmp_path / f".{NAME}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        error = refused(tmp_path, url)

    assert (type(error), host.asked) == (Temporary, [])


# --- what the hub refuses


@pytest.mark.parametrize(
    ("status", "error_code", "wanted", "word"),
    [
        (401, "GatedRepo", "hub.gated", "Accept its terms at"),
        (403, "", "hub.token", "Set HF_TOKEN"),
        (404, "EntryNotFound", "hub.absent", "configs/models/named.yaml"),
        (404, "RevisionNotFound", "hub.absent", "configs/models/named.yaml"),
        (404, "RepoNotFound", "hub.absent", "configs/models/named.yaml"),
        (429, "", "Temporary", "in 7 s"),
        (500, "", "Temporary", "in a few minutes"),
        (503, "", "Temporary", "in a few minutes"),
    ],
)
def test_a_refusal_is_a_sentence_with_a_way_out(
    tmp_path: Path, url: str, host: HubHost, status: int, error_code: str, wanted: str, word: str
) -> None:
    host.status, host.code = status, error_code
    error = refused(tmp_path, url)

    assert (code(error), word in str(error)) == (wanted, True)
    assert catalog.here(tmp_path) == {}


def test_a_model_that_the_hub_has_not_is_told_by_its_name(tmp_path: Path, url: str) -> None:
    unknown = [named(file="other.gguf"), named(revision="0" * 40), named(repo="lab/none")]

    assert [code(refused(tmp_path, url, one, "hf_x")) for one in unknown] == ["hub.absent"] * 3


def test_a_file_that_changed_at_the_hub_is_not_taken(tmp_path: Path, url: str, host: HubHost) -> None:
    host.files[AT] = CONTENT + b"!"
    error = refused(tmp_path, url)

    assert (code(error), [asked[0] for asked in host.asked]) == ("hub.changed", ["HEAD"])


def test_a_file_that_is_no_model_is_not_taken(tmp_path: Path, url: str, host: HubHost) -> None:
    host.files[AT] = b"<html>"
    error = refused(tmp_path, url, named(sha256=""))

    assert (code(error), catalog.here(tmp_path)) == ("hub.kind", {})


def test_a_server_that_is_no_hub_is_told_as_such(tmp_path: Path, url: str, host: HubHost) -> None:
    host.plain = True

    assert code(refused(tmp_path, url)) == "hub.none"


def test_a_machine_without_a_network_is_told_what_to_type_when_it_has_one(tmp_path: Path) -> None:
    error = refused(tmp_path, "http://127.0.0.1:1")

    assert isinstance(error, Temporary)
    assert str(error).startswith("127.0.0.1 cannot be reached (")
    assert str(error).endswith(
        f"Type `labpipe model download {NAME}` when this machine is on the network: it goes on where it was."
    )


def test_a_library_that_was_told_to_stay_offline_says_so(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    assert code(refused(tmp_path, url)) == "hub.offline"


# --- the token


def test_a_token_opens_what_asks_for_one_and_goes_to_nobody_but_the_hub(tmp_path: Path, url: str, host: HubHost) -> None:
    host.token = "hf_secret"
    without, wrong = refused(tmp_path, url), refused(tmp_path, url, token="hf_wrong")
    made = bring(tmp_path, url, token="hf_secret")  # storage refuses whoever sends it a token

    assert (code(without), code(wrong), made.name) == ("hub.gated", "hub.token", NAME)
    assert "hf_wrong" not in str(wrong)


def test_a_token_is_in_no_text_of_a_hub() -> None:
    hub = hub_of({"HF_TOKEN": "hf_secret", "HF_ENDPOINT": "https://mirror.example/"})

    assert (hub.token, hub.endpoint, hub.host) == ("hf_secret", "https://mirror.example", "mirror.example")
    assert "hf_secret" not in repr(hub)
    assert hub_of({}) == Hub("https://huggingface.co", "")


def test_a_password_of_the_endpoint_is_in_no_text() -> None:
    hub = Hub("https://me:secret@mirror.example:8443")

    assert (hub.host, hub.page("lab/small")) == ("mirror.example", "https://mirror.example:8443/lab/small")
    assert "secret" not in repr(hub)


def test_a_token_that_lies_in_somebody_s_home_is_not_sent(
    tmp_path: Path, url: str, host: HubHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("hf_secret", encoding="utf-8")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    host.token = "hf_secret"

    assert code(refused(tmp_path, url)) == "hub.gated"


# --- the disk


def test_a_disk_without_room_is_told_before_anything_comes(
    tmp_path: Path, url: str, host: HubHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "free_disk", lambda folder: len(CONTENT))  # and a tenth more is asked for
    error = refused(tmp_path, url)

    assert (code(error), [asked[0] for asked in host.asked]) == ("catalog.disk", ["HEAD"])
    assert str(error).startswith(f"{NAME} needs 288 kB of disk, and 262 kB are free. ")


def test_what_has_come_already_needs_no_room(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / NAME).mkdir()
    (tmp_path / NAME / PART).write_bytes(CONTENT[:200_000])
    monkeypatch.setattr(download, "free_disk", lambda folder: 100_000)

    assert bring(tmp_path, url).size == len(CONTENT)


def test_a_disk_that_fills_up_on_the_way_is_told(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    free = iter([10**9, 0])
    monkeypatch.setattr(download, "free_disk", lambda folder: next(free))
    monkeypatch.setattr(Meter, "at", _full)

    assert code(refused(tmp_path, url)) == "catalog.disk"


def _full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_folder_that_may_not_be_written_is_told(tmp_path: Path, url: str) -> None:
    (tmp_path / "in-the-way").write_text("", encoding="utf-8")
    error = refused(tmp_path / "in-the-way", url)

    assert isinstance(error, Failed)


# --- what is told on the way


def test_a_meter_tells_at_most_once_a_second_and_measures_the_last_ten() -> None:
    now, told = 0.0, Told()
    meter = Meter("m", 100_000_000, told, 10_000_000, clock=lambda: now)
    for second in range(1, 41):
        for part in range(10):
            now = second + part / 10
            meter.at(10_000_000 + int(now * 1_000_000))
    facts = [facts for _, facts in told.steps]

    assert len(told.steps) == 40
    assert facts[0] == {"act": "fetch", "name": "m", "done": "11 MB", "total": "100 MB", "rate": "1.0 MB/s", "left": "89 s"}
    assert facts[-1] == {"act": "fetch", "name": "m", "done": "50 MB", "total": "100 MB", "rate": "1.0 MB/s", "left": "50 s"}
    assert told.steps[-1][0] == 0.5


def test_a_meter_that_begins_anew_has_no_rate_of_before() -> None:
    times, told = iter([0.0, 1.0, 2.0, 3.0]), Told()
    meter = Meter("m", 1000, told, clock=lambda: next(times))
    for done in (500, 0, 10):
        meter.at(done)

    assert [facts["rate"] for _, facts in told.steps] == ["0 kB/s", "", "0 kB/s"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (119.0, "119 s"), (120.0, "2 min"), (7199.0, "120 min"), (7200.0, "2 h")]
)
def test_a_time_is_told_in_the_unit_that_people_use(seconds: float, text: str) -> None:
    assert lasting(seconds) == text


# --- the fake refuses what the hub refuses


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "error_code"),
    [
        ("HEAD", "/lab/small-GGUF/resolve/main/none.gguf", {}, 404, "EntryNotFound"),
        ("HEAD", "/lab/small-GGUF/resolve/nope/small.gguf", {}, 404, "RevisionNotFound"),
        ("HEAD", "/lab/none/resolve/main/small.gguf", {}, 401, "RepoNotFound"),
        ("GET", f"/{AT}", {"Host": "localhost:1"}, 400, None),
        ("GET", f"/{AT}?signed=x", {"Host": "localhost:1", "Authorization": "Bearer x"}, 400, None),
        ("GET", f"/{AT}?signed=x", {"Host": "localhost:1", "Range": "bytes=999999-"}, 416, None),
    ],
)
def test_the_fake_hub_refuses_a_wrong_request(
    url: str, method: str, path: str, headers: dict[str, str], status: int, error_code: str | None
) -> None:
    with pytest.raises(HTTPError) as caught:
        urllib.request.urlopen(urllib.request.Request(f"{url}{path}", headers=headers, method=method))
    with caught.value:
        assert (caught.value.code, caught.value.headers.get("X-Error-Code")) == (status, error_code)


def test_a_card_is_json_that_names_the_source(tmp_path: Path, url: str) -> None:
    bring(tmp_path, url)
    card = json.loads((tmp_path / NAME / "card.json").read_bytes())

    assert card == {
        "name": NAME,
        "source": f"lab/small-GGUF@{COMMIT[:12]}",
        "licence": "Apache-2.0",
        "size": len(CONTENT),
        "sha256": SHA,
        "note": "A small one.",
    }
    assert machine.free_disk(tmp_path / "not" / "there") > 0
