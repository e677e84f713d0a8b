"""What stages made goes to a store and comes back at another host, by digest: whole, right, and nowhere else."""

import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from pipeline.errors import Failed, Invalid, Temporary
from pipeline.files import write
from pipeline.journal import Journal, read
from pipeline.pool import artefacts, reaching
from pipeline.pool.artefacts import RENEW_S, UNUSED_S, Blob, Store, contained
from pipeline.pool.retention import Kept, prune, size_of
from tests.fakes.s3 import ENVIRONMENT, S3

HOME = Path(__file__).resolve().parent.parent.parent
SMALL = b"a few words"
PART_BYTES = 5 * 2**20  # S3 takes no smaller one
LARGE = bytes(range(256)) * (PART_BYTES // 256 + 5000)  # two parts
DAY_S = 86_400.0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small parts, and no second try of what is refused on purpose."""
    monkeypatch.setattr(artefacts, "PART_BYTES", PART_BYTES)
    monkeypatch.setattr(reaching, "TRIES", 1)


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    server = S3()
    server.up()
    yield server
    server.down()


@pytest.fixture
def bucket(s3: S3, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A new bucket's name, in an environment that leads to the server."""
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    name = "b" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:20]
    s3.bucket(name)
    return name


@pytest.fixture(params=["disk", "s3", "other"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store of each kind: one that we move files in, one that shows an upload at its end, and any other of fsspec's."""
    if request.param == "disk":
        return f"file://{tmp_path / 'store'}"
    if request.param == "other":
        return f"memory://{tmp_path.name}"
    return f"s3://{request.getfixturevalue('bucket')}/some/prefix"


def store(url: str) -> Store:
    found = Store.of(url)
    assert found is not None
    return found


def file(path: Path, content: bytes = SMALL) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def blobs(store: Store) -> list[str]:
    return sorted(str(key).rpartition("/blobs/")[2] for key in store.fs.find(f"{store.root}/blobs"))


@pytest.mark.parametrize("content", [SMALL, b"", LARGE], ids=["small", "empty", "large"])
def test_a_file_goes_to_a_store_and_comes_back_the_same(tmp_path: Path, url: str, content: bytes) -> None:
    blob = store(url).put(file(tmp_path / "here" / "model.gguf", content))
    store(url).get(blob, tmp_path / "there" / "model.gguf")

    assert blob == Blob(digest(content), len(content))
    assert tree(tmp_path / "there") == {"model.gguf": content}
    name = blob.digest.removeprefix("sha256:")
    assert blobs(store(url)) == [f"sha256/{name[:2]}/{name[2:]}"]


def test_a_run_begun_on_one_host_goes_on_at_another(tmp_path: Path, url: str) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    file(here / "entry" / "qna.yaml")
    file(here / "samples" / "deep" / "one.jsonl", b"{}\n")
    file(here / "samples" / ".two.jsonl.x8", b"half")
    with Journal(here / "log" / "judge", 1) as log:
        log.append("a", {"n": 1})
    manifest = store(url).push(here, ["entry", "samples", "log/judge", "scores.json"])
    store(url).pull(there, manifest)
    with Journal(there / "log" / "judge", 2) as log:
        log.append("b", {"n": 2})

    assert list(manifest) == ["entry/qna.yaml", "log/judge/1-0.jsonl", "samples/deep/one.jsonl"]
    store(url).pull(here, store(url).push(there, ["log"]))
    assert dict(read(here / "log" / "judge").records()) == {"a": {"n": 1}, "b": {"n": 2}}
    assert tree(here) == {**tree(there), "samples/.two.jsonl.x8": b"half"}


def test_a_log_that_has_grown_since_it_was_pushed_is_not_cut_by_a_pull(tmp_path: Path) -> None:
    here, place = tmp_path / "here", store(str(tmp_path / "store"))
    first = Journal(here / "log" / "judge", 1)
    first.append("a", {"n": 1})
    file(here / "scores.jsonl", b"1\n")
    manifest = place.push(here, ["log", "scores.jsonl"])
    first.append("b", {"n": 2})
    first.close()
    file(here / "scores.jsonl", b"1\n2\n")
    Journal(here / "log" / "judge", 3).close()  # counts on both, and is killed before it pushed anything
    place.pull(here, manifest)
    with Journal(here / "log" / "judge", 4) as log:
        assert list(log) == ["a", "b"]

    with Journal(here / "log" / "judge", 5) as log:
        log.append("c", {"n": 3})
    assert (here / "scores.jsonl").read_bytes() == b"1\n"
    (here / "log" / "judge" / "1-0.jsonl").write_bytes(b"something else that is longer than what was pushed of it")
    place.pull(here, manifest)
    assert b'"id":"a"' in (here / "log" / "judge" / "1-0.jsonl").read_bytes()


def test_what_is_there_is_neither_sent_nor_fetched_again(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place = store(url)
    path = file(tmp_path / "a")
    blob = place.put(path)
    for name in ("open", "pipe_file", "get_file", "mv"):
        monkeypatch.setattr(place.fs, name, None)

    assert place.put(file(tmp_path / "b")) == blob
    place.get(blob, path)


def test_a_blob_is_dated_anew_when_it_is_put_after_a_day(tmp_path: Path) -> None:
    place = store(str(tmp_path / "store"))
    blob = place.put(file(tmp_path / "a"))
    kept = Path(place._key(blob.digest))
    os.utime(kept, (1, time.time() - RENEW_S - 60))
    place.put(tmp_path / "a")

    assert kept.stat().st_mtime > time.time() - DAY_S / 2
    assert kept.read_bytes() == SMALL


def test_a_part_in_a_blobs_place_is_replaced_by_the_whole(tmp_path: Path, url: str) -> None:
    place = store(url)
    blob = place.put(file(tmp_path / "a"))
    place.fs.pipe_file(place._key(blob.digest), SMALL[:4])
    place.put(tmp_path / "a")
    place.get(blob, tmp_path / "b")

    assert (tmp_path / "b").read_bytes() == SMALL


@pytest.mark.parametrize(("wrong", "named"), [(b"a few wordZ", digest(b"a few wordZ")), (b"a few", "5 bytes")])
def test_something_else_in_a_blobs_place_is_refused_by_both_names(tmp_path: Path, url: str, wrong: bytes, named: str) -> None:
    place = store(url)
    blob = place.put(file(tmp_path / "a"))
    place.fs.pipe_file(place._key(blob.digest), wrong)
    file(tmp_path / "there" / "b", b"before")

    with pytest.raises(Failed) as refused:
        place.get(blob, tmp_path / "there" / "b")
    assert named in str(refused.value) and blob.digest in str(refused.value)
    assert tree(tmp_path / "there") == {"b": b"before"}


def test_a_blob_that_is_not_there_is_named(tmp_path: Path, url: str) -> None:
    with pytest.raises(Failed, match=f"b \\({digest(SMALL)}\\) cannot be fetched.*let its stage run again"):
        store(url).get(Blob(digest(SMALL), len(SMALL)), tmp_path / "b")
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "", ".", "..", "a\\..\\x", "a\0b"])
def test_a_manifest_writes_nothing_outside_the_folder_of_its_run(tmp_path: Path, name: str) -> None:
    place = store(str(tmp_path / "store"))
    blob = place.put(file(tmp_path / "a"))

    with pytest.raises(Failed, match="no path below the folder"):
        place.pull(tmp_path / "run", {"good": blob, name: blob})
    with pytest.raises(Failed, match="no path below the folder"):
        place.push(tmp_path / "run", [name])
    assert not (tmp_path / "run").exists()


def test_no_link_leads_out_of_the_folder_of_a_run(tmp_path: Path) -> None:
    place = store(str(tmp_path / "store"))
    blob = place.put(file(tmp_path / "outside" / "secret"))
    run = tmp_path / "run"
    run.mkdir()
    (run / "folder").symlink_to(tmp_path / "outside")
    (run / "link").symlink_to(tmp_path / "outside" / "secret")

    with pytest.raises(Failed, match="leads out of its run's folder by a link"):
        place.pull(run, {"folder/secret": blob})
    for name, why in (("folder/secret", "by a link"), ("folder", "is a link"), ("link", "is a link")):
        with pytest.raises(Failed, match=why):
            place.push(run, [name])
    with pytest.raises(Failed, match="cannot be read"):
        place.put(run / "link")
    place.pull(run, {"link": blob})
    assert (run / "link").is_symlink() is False
    assert contained(run, "a/b") == run.resolve() / "a" / "b"


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(Failed, match="neither a file nor a folder"):
        store(str(tmp_path / "store")).push(tmp_path, ["pipe"])
    for name in ("pipe", ""):
        with pytest.raises(Failed, match="no plain file"):
            store(str(tmp_path / "store")).put(tmp_path / name)


@pytest.mark.parametrize("wrong", ["../../x", "sha256:../../../x", "sha256:" + "g" * 64, ""])
def test_a_digest_that_is_none_is_refused(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(Failed, match="no digest"):
        store(str(tmp_path)).get(Blob(wrong, 1), tmp_path / "b")


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
def test_what_is_appended_meanwhile_is_not_part_of_a_blob(
    tmp_path: Path, url: str, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file(tmp_path / "log", content)
    whole = artefacts._blob

    def growing(opened: Any) -> Blob:
        made = whole(opened)
        with path.open("ab") as late:
            late.write(b"later")
        return made

    monkeypatch.setattr(artefacts, "_blob", growing)
    blob = store(url).put(path)
    store(url).get(blob, tmp_path / "there")

    assert (tmp_path / "there").read_bytes() == content


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
def test_a_file_that_is_changed_in_place_meanwhile_makes_no_blob(
    tmp_path: Path, url: str, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file(tmp_path / "log", content)
    whole = artefacts._blob

    def changed(opened: Any) -> Blob:
        made = whole(opened)
        path.write_bytes(content[::-1])
        return made

    monkeypatch.setattr(artefacts, "_blob", changed)
    with pytest.raises(Failed, match="changed while it was stored"):
        store(url).put(path)
    assert blobs(store(url)) == []


def test_a_store_that_is_away_is_waited_for(tmp_path: Path, s3: S3, bucket: str) -> None:
    place = store(f"s3://{bucket}")
    blob = place.put(file(tmp_path / "a"))
    file(tmp_path / "b", b"other")
    s3.down()
    try:
        with pytest.raises(Temporary, match=f"b cannot be stored: s3://{bucket} is away or busy"):
            place.put(tmp_path / "b")
        with pytest.raises(Temporary, match=r"c .* cannot be fetched"):
            place.get(blob, tmp_path / "c")
        with pytest.raises(Temporary, match="cannot be cleaned"):
            place.drop(())
    finally:
        s3.up()

    place.put(tmp_path / "b")
    place.get(blob, tmp_path / "c")
    assert len(s3.keys(bucket)) == 2
    assert (tmp_path / "c").read_bytes() == SMALL


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int, str], None]]:
    """An S3 server that answers everything with one status and code; whichever the test says."""
    said = {"status": 500, "code": "InternalError"}

    class Refusal(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            body = f"<Error><Code>{said['code']}</Code><Message>no</Message></Error>".encode()
            self.send_response(int(said["status"]))
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else body)

        do_GET = do_HEAD = do_PUT = do_POST = answer

        def log_message(self, *words: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusal)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}"}.items():
        monkeypatch.setenv(name, value)
    yield lambda status, code: said.update(status=status, code=code)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "code", "kind", "says"),
    [
        (500, "InternalError", Temporary, "away or busy"),
        (503, "SlowDown", Temporary, "away or busy"),
        (429, "TooManyRequests", Temporary, "away or busy"),
        (400, "RequestTimeout", Temporary, "away or busy"),
        (403, "AccessDenied", Failed, "credentials that may list, read, write and delete there .*AWS_ACCESS_KEY_ID"),
        (403, "InvalidAccessKeyId", Failed, "does not let us"),
        (404, "NoSuchBucket", Failed, "has no such place"),
        (400, "InvalidArgument", Failed, "answered OSError"),
    ],
)
def test_an_answer_of_s3_says_whether_to_wait(
    tmp_path: Path, refusing: Callable[[int, str], None], status: int, code: str, kind: type[Exception], says: str
) -> None:
    refusing(status, code)
    place = store("s3://bucket")

    with pytest.raises(kind, match=f"cannot be cleaned: s3://bucket.*{says}"):
        place.drop(())


def test_a_bucket_that_is_not_there_is_named(tmp_path: Path, bucket: str) -> None:
    with pytest.raises(Failed, match=r"a cannot be stored: s3://nobody-made-it has no such place .*Make the bucket"):
        store("s3://nobody-made-it").put(file(tmp_path / "a"))


def test_a_host_without_credentials_is_told_which(tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))

    with pytest.raises(Failed, match="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        store(f"s3://{bucket}").put(file(tmp_path / "a"))


def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    file(tmp_path / "store", b"a file where the folder should be")

    with pytest.raises(Failed, match="a cannot be stored"):
        store(str(tmp_path / "store")).put(file(tmp_path / "a"))


def test_no_url_is_no_store() -> None:
    assert Store.of("") is None
    assert Store.of(" ") is None


@pytest.mark.parametrize("url", ["store", "./store", "file://store/x", "s3://", "s3:///x", "zip::s3://b/x.zip", "file://"])
def test_a_url_that_names_no_place_is_refused(url: str) -> None:
    with pytest.raises(Invalid) as refused:
        Store.of(url)
    assert [problem.code for problem in refused.value.problems] == ["artefacts.url"]


@pytest.mark.parametrize(
    "url", ["s3://AKIA:hunter2@bucket/x", "s3://hunter2@bucket", "az://box/x?sig=hunter2", "s3://b#hunter2"]
)
def test_a_secret_in_a_url_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(Invalid) as refused:
        Store.of(url)
    assert [problem.code for problem in refused.value.problems] == ["artefacts.credentials"]
    assert "hunter2" not in str(refused.value)


def test_a_secret_in_an_endpoint_is_not_shown(tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://me:hunter2@127.0.0.1:{port}")

    with pytest.raises(Temporary) as refused:
        store(f"s3://{bucket}").put(file(tmp_path / "a"))
    assert "hunter2" not in str(refused.value)


def test_a_driver_that_is_missing_is_named_with_its_extra() -> None:
    code = "import sys; sys.modules['s3fs'] = None; from pipeline.pool.artefacts import Store; Store.of('s3://bucket')"
    done = subprocess.run([sys.executable, "-c", code], cwd=HOME, capture_output=True, text=True, check=False)

    assert "s3:// cannot be reached from here: labbot[s3] is not installed. Type `pip install 'labbot[s3]'`" in done.stderr
    with pytest.raises(Invalid, match="nosuch://") as refused:
        Store.of("nosuch://bucket")
    assert [problem.code for problem in refused.value.problems] == ["artefacts.driver"]


def test_importing_it_loads_no_driver() -> None:
    drivers = ("fsspec", "s3fs", "botocore")
    code = f"import sys, pipeline.pool.artefacts, pipeline.stage; print([m for m in {drivers} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=HOME, capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


PUSHER = """
import os, signal, sys
from pathlib import Path
from pipeline.pool import artefacts
url, path, at = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
whole, count = artefacts._chunks, 0
def dying(file, size):
    global count
    count += 1
    for number, chunk in enumerate(whole(file, size)):
        if count == 2 and number == at:
            os.kill(os.getpid(), signal.SIGKILL)
        yield chunk
artefacts._chunks, artefacts.PART_BYTES = dying, 5 * 2**20
artefacts.Store.of(url).put(path)
"""


@pytest.mark.parametrize("kind", ["disk", "s3"])
def test_a_push_killed_in_the_middle_leaves_no_wrong_blob(
    tmp_path: Path, s3: S3, kind: str, request: pytest.FixtureRequest
) -> None:
    url = str(tmp_path / "store") if kind == "disk" else f"s3://{request.getfixturevalue('bucket')}"
    path = file(tmp_path / "a", LARGE)
    command = [sys.executable, "-c", PUSHER, url, str(path), "6"]  # after the first part
    killed = subprocess.run(command, cwd=HOME, env={**os.environ, **s3.environment}, check=False)
    assert killed.returncode == -signal.SIGKILL
    place = store(url)
    left = blobs(place)
    assert not [name for name in left if not name.endswith(".part")]

    blob = place.put(path)
    place.get(blob, tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == LARGE
    assert place.drop({blob.digest}, now=time.time() + UNUSED_S + 60) == [name.removeprefix("sha256/") for name in left]
    assert len(blobs(place)) == 1


def test_blobs_that_no_manifest_names_go_after_days(tmp_path: Path, url: str) -> None:
    place = store(url)
    first, second = (place.put(file(tmp_path / "a", content)) for content in (b"first", b"second"))

    assert place.drop({first.digest}) == []  # perhaps a manifest is just being written
    assert place.drop({first.digest}, now=time.time() + UNUSED_S + 60) == [second.digest]
    assert [name for name in blobs(place)] == [f"sha256/{first.digest[7:9]}/{first.digest[9:]}"]


def test_cleaning_an_empty_store_removes_nothing(url: str) -> None:
    assert store(url).drop(()) == []


def test_nothing_is_left_beside_what_was_fetched(tmp_path: Path, url: str) -> None:
    place = store(url)
    write(tmp_path / "run" / "a", SMALL)
    place.pull(tmp_path / "run", {"a": place.put(tmp_path / "run" / "a"), "b/c": place.put(file(tmp_path / "x", LARGE))})

    assert tree(tmp_path / "run") == {"a": SMALL, "b/c": LARGE}


RUNS = [
    Kept("old", 100.0, 10),
    Kept("used", 110.0, 10),
    Kept("new", 900.0, 10),
    Kept("under way", None, 10),
    Kept("middle", 500.0, 10),
]


@pytest.mark.parametrize(
    ("older_s", "most_bytes", "gone"),
    [
        (None, None, []),
        (600.0, None, ["old"]),
        (300.0, None, ["old", "middle"]),
        (0.0, None, ["old", "middle", "new"]),
        (None, 50, []),
        (None, 40, ["old"]),
        (None, 35, ["old", "middle"]),
        (None, 0, ["old", "middle", "new"]),
        (600.0, 35, ["old", "middle"]),
    ],
)
def test_ended_runs_go_by_age_and_then_until_the_rest_fits(
    older_s: float | None, most_bytes: int | None, gone: list[str]
) -> None:
    assert prune(RUNS, now=1000.0, older_s=older_s, most_bytes=most_bytes, referenced={"used"}) == gone


def test_the_size_of_a_folder_is_that_of_its_files(tmp_path: Path) -> None:
    file(tmp_path / "run" / "a", b"123")
    file(tmp_path / "run" / "b" / "c", b"45")
    (tmp_path / "run" / "link").symlink_to(file(tmp_path / "large", b"x" * 10_000))
    link = os.lstat(tmp_path / "run" / "link").st_size

    assert size_of(tmp_path / "run") == 5 + link
    assert size_of(tmp_path / "none") == 0
