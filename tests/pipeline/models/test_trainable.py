"""Weights that can be trained, from a hub on the loopback interface."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import Invalid, LabError, Temporary
from pipeline.models import download, trainable
from pipeline.models.catalog import Named
from pipeline.models.download import Hub
from tests.fakes.hub import HubHost

REPO = "lab/small"
FILES = {
    "config.json": b'{"model_type": "llama"}',
    "tokenizer.json": b"{}",
    "model.safetensors": b"weights" * 20_000,
    "model.bin": b"a pickle",
    "modeling_small.py": b"raise SystemExit",
}


@pytest.fixture
def host() -> HubHost:
    return HubHost({f"{REPO}/{name}": content for name, content in FILES.items()})


@pytest.fixture
def url(host: HubHost, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(download, "CHUNK_BYTES", 10_000)
    with host.up() as url:
        yield url


def named(**changed: object) -> Named:
    known = {"title": "Small", "about": {"en": "A small one."}, "licence": "Apache-2.0", "licence_url": "https://lab.example/l"}
    sizes = {"parameters": 1, "context": 64, "size_bytes": 1, "kv_bytes": 1}
    return Named.model_validate({**known, **sizes, "weights": REPO, **changed})


def bring(folder: Path, url: str, **changed: object) -> int:
    return trainable.bring("small", named(**changed), folder, Hub(url, pause_s=0.0), lambda _fraction, _facts: None)


def test_weights_tokeniser_and_configuration_come_and_no_pickle_and_no_code(tmp_path: Path, url: str) -> None:
    size = bring(tmp_path, url)
    here = {path.name: path.read_bytes() for path in (tmp_path / "small" / "hf").iterdir()}
    assert here == {name: FILES[name] for name in ("config.json", "tokenizer.json", "model.safetensors")}
    assert size == sum(map(len, here.values()))


def test_weights_that_are_here_are_not_asked_for_again(tmp_path: Path, url: str, host: HubHost) -> None:
    size = bring(tmp_path, url)
    asked = len(host.asked)
    assert bring(tmp_path, url) == size
    assert len(host.asked) == asked


def test_a_download_that_was_cut_for_good_goes_on_with_what_is_missing(tmp_path: Path, url: str, host: HubHost) -> None:
    host.cuts[:] = [0] * download.TRIES
    with pytest.raises(Temporary, match="--train"):
        bring(tmp_path, url)
    assert not (tmp_path / "small" / "hf").exists()
    before = [where for _, where, _ in host.asked].count("storage")
    bring(tmp_path, url)
    assert (tmp_path / "small" / "hf" / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    assert [where for _, where, _ in host.asked].count("storage") == before + 1


def test_files_that_come_damaged_are_thrown_away(tmp_path: Path, url: str, host: HubHost) -> None:
    host.damaged = True
    with pytest.raises(Temporary, match="damaged"):
        bring(tmp_path, url)
    assert not (tmp_path / "small" / "hf").exists()


@pytest.mark.parametrize(
    ("weights", "files", "code"),
    [
        ("", FILES, "hub.none"),
        ("lab/other", FILES, "hub.absent"),
        (REPO, {"config.json": b"{}", "model.bin": b"a pickle"}, "hub.kind"),
    ],
)
def test_a_refusal_says_what_to_do(
    tmp_path: Path, url: str, host: HubHost, weights: str, files: dict[str, bytes], code: str
) -> None:
    host.files = {f"{REPO}/{name}": content for name, content in files.items()}
    with pytest.raises(LabError) as caught:
        bring(tmp_path, url, weights=weights)
    assert isinstance(caught.value, Invalid)
    assert caught.value.problems[0].code == code
    assert caught.value.problems[0].fix
