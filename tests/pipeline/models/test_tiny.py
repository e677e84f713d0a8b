"""The tiny model's folder: made once, whole or not at all, and honest about itself. What lies in it: test_weights.py."""

import errno
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict, fields, replace
from itertools import islice
from pathlib import Path

import pytest

from pipeline.errors import Failed, Invalid
from pipeline.files import file_digest
from pipeline.models import catalog, tiny
from pipeline.models.dialogues import replay
from pipeline.models.tiny import FULL, SMALL, Recipe, digest, make, read
from tests.conftest import HOME
from tests.pipeline.models.tiny_model import small_model

MINI = replace(SMALL, width=32, layers=1, heads=1, inner=32, vocabulary=512, dialogues=60, asked=1)
OTHER = replace(MINI, seed=1)


class Told(list):
    """Progress, as it was told."""

    def __call__(self, fraction, facts):
        self.append((fraction, dict(facts)))

    def acts(self):
        return list(dict.fromkeys(facts["act"] for _, facts in self))


class Cut(Exception):
    """The end of a make, at a place that the test chose."""


def cut_at(act):
    def progress(_, facts):
        if facts["act"] == act:
            raise Cut

    return progress


def content(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): file_digest(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def beside(folder: Path) -> set[str]:
    return {path.name for path in folder.parent.iterdir()} - {folder.name, f".{folder.name}.lock"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """MINI, made once; `here` is a copy of it."""
    folder = tmp_path_factory.mktemp("made") / "tiny"
    make(MINI, folder)
    return folder


@pytest.fixture
def here(made, tmp_path):
    shutil.copytree(made, tmp_path / "tiny")
    return tmp_path / "tiny"


def test_the_folder_has_what_every_reader_of_a_model_wants(made):
    assert set(content(made)) == {
        "README.md",
        "card.json",
        "model.gguf",
        "replay.jsonl",
        *(f"hf/{name}" for name in "config.json generation_config.json model.safetensors tokenizer.json".split()),
        "hf/tokenizer_config.json",
    }
    assert beside(made) == set()


def test_the_card_is_one_that_the_catalogue_reads(made):
    card = read(made)

    assert catalog.here(made.parent)["tiny"] == catalog.Card(
        "tiny", card.source, "Apache-2.0", card.size, card.sha256, card.note
    )
    assert card.size == (made / "model.gguf").stat().st_size


def test_some_of_what_it_was_taught_is_kept_as_messages_for_whoever_teaches_it_more(made):
    rows = [json.loads(line) for line in (made / "replay.jsonl").read_text(encoding="utf-8").splitlines()]
    again = islice(replay(MINI.seed, MINI.families), MINI.replay)

    assert [[(one["role"], one["content"]) for one in row["messages"]] for row in rows] == [
        list(dialogue.messages) for dialogue in again
    ]
    assert len(rows) == MINI.replay > 0


def test_a_model_that_is_there_is_not_made_again(here):
    told = Told()

    assert make(MINI, here, told) == read(here)
    assert told == []


def test_another_recipe_takes_the_place_of_the_one_before(here):
    before = read(here)
    after = make(OTHER, here)

    assert read(here) == after
    assert after.sha256 != before.sha256
    assert beside(here) == set()


def test_a_model_whose_weights_were_cut_off_is_made_again_the_same(here):
    whole = content(here)["model.gguf"]
    os.truncate(here / "model.gguf", 1000)
    make(MINI, here)

    assert content(here)["model.gguf"] == whole


def test_a_card_of_another_kind_is_none_of_ours(tmp_path):
    for text in ("", "[]", "{}", '{"name": "tiny"}', json.dumps(asdict(catalog.Card("a", "b", "c", 1, "d")))):
        (tmp_path / "card.json").write_text(text)
        assert read(tmp_path) is None
    assert read(tmp_path / "absent") is None


@pytest.mark.parametrize("act", ["words", "train", "ask", "write"])
def test_a_make_that_is_cut_leaves_the_model_before_it(here, act):
    before = content(here)

    with pytest.raises(Cut):
        make(OTHER, here, cut_at(act))

    assert content(here) == before
    assert beside(here) == set()


@pytest.mark.parametrize("nth", [1, 2])
def test_a_make_that_is_cut_between_its_renames_loses_no_model(here, monkeypatch, nth):
    before = content(here)
    calls = iter(range(1, 9))
    rename = os.rename

    def cut(*paths):
        if next(calls) == nth:
            raise Cut
        rename(*paths)

    monkeypatch.setattr(os, "rename", cut)
    with pytest.raises(Cut):
        make(OTHER, here)
    monkeypatch.undo()
    told = Told()
    make(MINI, here, told)

    assert told == []
    assert content(here) == before
    assert beside(here) == set()


MAKE = """
import os, signal, sys
from pathlib import Path
from pipeline.models import tiny
from tests.pipeline.models.test_tiny import OTHER
def progress(fraction, facts):
    if facts["act"] == "words":  # before torch, which takes seconds to load
        os.kill(os.getpid(), int(sys.argv[2]))
tiny.make(OTHER, Path(sys.argv[1]), progress)
"""


@pytest.mark.parametrize(("sign", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, -2), (signal.SIGKILL, -9)])
def test_a_make_that_is_ended_from_outside_leaves_the_model_before_it(here, sign, status):
    before = content(here)

    done = subprocess.run([sys.executable, "-c", MAKE, str(here), str(int(sign))], cwd=HOME, capture_output=True)

    assert done.returncode == status, done.stderr.decode()
    assert content(here) == before
    assert len(beside(here)) == (sign == signal.SIGKILL)


def test_what_a_killed_make_left_is_swept_up_by_the_next(here):
    (here.parent / ".tiny.making-left").mkdir()
    (here.parent / ".tiny.making-left" / "model.gguf").write_bytes(b"half")
    with pytest.raises(Cut):
        make(OTHER, here, cut_at("words"))

    assert beside(here) == set()


def test_a_model_that_does_not_copy_is_refused_with_figures_and_a_way_on(here):
    before = content(here)

    with pytest.raises(Failed, match=r"repeats 0% .* less than 90%.*--seed 2.*talk \d+%, self \d+%"):
        make(replace(OTHER, copying=0.9), here)

    assert content(here) == before


def test_what_is_missing_is_named_with_the_way_to_get_it(here, monkeypatch):
    monkeypatch.setattr(tiny, "NEEDED", ["gguf", "no_such_package"])

    assert make(MINI, here) == read(here)
    with pytest.raises(Invalid, match=r"the tiny model needs no_such_package\. Install them: .*\[train\]"):
        make(OTHER, here)


def test_a_full_disk_is_a_sentence_and_the_model_before_stays(here, monkeypatch):
    before = content(here)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(Failed, match="No space left on device"):
        make(OTHER, here)

    assert content(here) == before
    assert beside(here) == set()


def test_a_second_make_waits_for_the_first(here):
    told = Told()
    with here.with_name(".tiny.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        def progress(fraction, facts):
            told(fraction, facts)
            fcntl.flock(lock, fcntl.LOCK_UN)

        make(MINI, here, progress)

    assert told == [(0.0, {"act": "wait"})]


def test_progress_rises_and_says_what_is_done(tmp_path):
    told = Told()
    make(MINI, tmp_path / "tiny", told)
    fractions = [fraction for fraction, _ in told]
    training = [facts for _, facts in told if facts["act"] == "train"]

    assert fractions == sorted(fractions)
    assert (fractions[0], max(fractions) <= 1) == (0.0, True)
    assert told.acts() == ["words", "train", "ask", "write"]
    assert training[-1]["step"] == training[-1]["steps"]
    assert float(training[-1]["loss"]) > 0 < int(training[-1]["speed"])
    assert training[-1]["left_s"] == "0"


def test_torch_is_left_as_it_was(tmp_path):
    import torch

    torch.manual_seed(7)
    before = (torch.get_num_threads(), torch.rand(1))
    torch.manual_seed(7)
    make(MINI, tmp_path / "tiny", threads=1)

    assert (torch.get_num_threads(), torch.rand(1)) == before


@pytest.mark.parametrize("name", [field.name for field in fields(Recipe)])
def test_every_setting_changes_the_digest(name):
    value = getattr(FULL, name)

    assert digest(replace(FULL, **{name: value[1:] if isinstance(value, tuple) else value * 2 + 1})) != digest(FULL)


def test_changed_code_changes_the_digest(monkeypatch):
    before = digest(FULL)
    monkeypatch.setattr(tiny, "CODE", tiny.CODE[1:])

    assert digest(FULL) != before
    assert digest(FULL) == digest(Recipe())


def test_the_readme_says_what_the_model_is_not_and_how_it_did():
    folder = small_model()
    card = read(folder)
    text = (folder / "README.md").read_text()

    assert all(limit in text for limit in card.limits)
    assert f"{card.weights:,} weights" in text
    assert all(f"| {score:.0%} |" in text for score in card.scores.values())
    assert "trained on dialogues of at most" in text and "8,192" in text


def test_the_full_recipe_has_two_to_six_million_weights():
    width, inner = FULL.width, FULL.inner
    layer = 4 * width * width + 3 * width * inner + 2 * width

    assert 2_000_000 <= FULL.vocabulary * width + FULL.layers * layer + width <= 6_000_000
    assert (FULL.context, FULL.copying) == (8192, 0.9)
