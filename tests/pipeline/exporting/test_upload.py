"""An export goes where it was asked to go: exactly its own files, whole, and no secret with them."""

import pytest

from pipeline.errors import Failed, Invalid, Temporary
from pipeline.exporting.upload import Target, listed, targets, upload
from tests.fakes.hub_upload import HubOfUploads
from tests.fakes.s3 import S3

# of huggingface_hub 2.4, which sends files to storage as httpx does not want it any more
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
HERE = [
    "adapter.gguf",
    "adapter_config.json",
    "adapter_model.safetensors",
    "merged/model.safetensors",
    "scores.json",
    "README.md",
]


@pytest.fixture
def run(tmp_path):
    """A run with an export, and much that is none of it."""
    folder = tmp_path / "run"
    for name in (
        "export/README.md",
        "export/adapter.gguf",
        "export/adapter/adapter_config.json",
        "export/adapter/adapter_model.safetensors",
        "export/merged/model.safetensors",
        "export/.adapter.gguf.part",
        "scores.json",
        "run.json",
        "samples/samples.jsonl",
        "train/adapter/adapter_config.json",
        "log/1-1.jsonl",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"this is {name}\n")
    (folder / "export" / "link").symlink_to(folder / "run.json")
    return folder


@pytest.fixture
def hub(monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    return HubOfUploads()


@pytest.fixture(scope="module")
def s3():
    made = S3()
    made.up()
    yield made
    made.down()


def test_the_export_and_the_scores_are_uploaded_and_nothing_else_with_the_card_last(run):
    assert list(listed(run)) == HERE


def test_the_hub_gets_one_private_commit_with_the_adapter_at_the_top(run, hub):
    ticks = []
    with hub.up() as url:
        environment = {"HF_ENDPOINT": url, "HF_TOKEN": hub.token}
        names = upload(run, Target("hub", "me/dog-speak"), environment, lambda *at: ticks.append(at))

    assert (names, hub.private, ticks) == (HERE, {"me/dog-speak": True}, [(6, 6)])
    assert hub.files == {f"me/dog-speak/{name}": path.read_bytes() for name, path in listed(run).items()}
    assert [sorted(one) for one in hub.commits] == [sorted(HERE)]


def test_a_repository_that_is_there_stays_as_it_is_and_what_it_has_is_not_sent_again(run, hub):
    hub.private["me/dog-speak"] = False
    with hub.up() as url:
        for _ in range(2):
            upload(run, Target("hub", "me/dog-speak"), {"HF_ENDPOINT": url, "HF_TOKEN": hub.token})

    assert (hub.private, len(hub.stored), len(hub.files)) == ({"me/dog-speak": False}, 3, 6)


@pytest.mark.parametrize("token", ["", "hf_" + 34 * "w"])
def test_a_hub_that_does_not_take_the_token_is_told_without_it(run, hub, token):
    with hub.up() as url, pytest.raises(Invalid) as refused:
        upload(run, Target("hub", "me/dog-speak"), {"HF_ENDPOINT": url, "HF_TOKEN": token})

    assert (refused.value.facts, hub.files) == ({"code": "export.login", "host": "127.0.0.1", "target": "me/dog-speak"}, {})
    assert not token or token not in str(refused.value)


@pytest.mark.parametrize(("status", "kind"), [(503, Temporary), (429, Temporary), (400, Invalid)])
def test_a_hub_that_refuses_is_told_by_what_can_be_done(run, hub, status, kind):
    hub.status = status
    with hub.up() as url, pytest.raises(kind):
        upload(run, Target("hub", "me/dog-speak"), {"HF_ENDPOINT": url, "HF_TOKEN": hub.token})


def test_a_hub_that_cannot_be_reached_is_tried_again_and_its_address_hides_its_password(run, hub):
    with hub.up() as url:
        away = url
    environment = {"HF_ENDPOINT": away.replace("//", "//me:secret-word@"), "HF_TOKEN": hub.token}

    with pytest.raises(Temporary, match=r"127\.0\.0\.1 cannot be reached") as told:
        upload(run, Target("hub", "me/dog-speak"), environment)

    assert "secret-word" not in str(told.value)


def test_s3_gets_the_same_files_below_its_prefix(run, s3, monkeypatch):
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    where = s3.bucket("models")

    names = upload(run, Target("store", f"{where}/skills/dog/"), {})

    assert sorted(s3.keys("models")) == sorted(f"skills/dog/{name}" for name in names)
    brought = s3.client().get_object(Bucket="models", Key="skills/dog/scores.json")["Body"].read()
    assert brought == (run / "scores.json").read_bytes()


def test_a_bucket_that_is_not_there_is_told(run, s3, monkeypatch):
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(Failed, match="cannot be uploaded: s3://nowhere"):
        upload(run, Target("store", "s3://nowhere/x"), {})


def test_places_are_repositories_and_buckets():
    assert targets(["me/dog-speak", "hf://my-org/x.1", "s3://bucket/a/b"]) == [
        Target("hub", "me/dog-speak"),
        Target("hub", "my-org/x.1"),
        Target("store", "s3://bucket/a/b"),
    ]


@pytest.mark.parametrize(
    "place", ["", "dog", "a/b/c", "../x", "me/..", "s3://", "s3://key:secret@bucket/x", "http://h/x", "/tmp/x"]
)
def test_what_is_no_place_is_refused_before_anything_is_made(place):
    with pytest.raises(Invalid) as refused:
        targets([place])

    assert refused.value.facts["code"] == "export.target"
