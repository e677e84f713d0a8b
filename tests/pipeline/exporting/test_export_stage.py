"""The stage export: what it writes is right or not there, and what it refuses it refuses at once, with a way out."""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from pipeline.errors import Failed, Invalid
from pipeline.models import machine
from pipeline.stage import Job
from pipeline.stages.export import export
from pipeline.training import base
from tests.fakes.s3 import S3
from tests.pipeline.exporting import small
from tests.pipeline.models.tiny_model import small_model

LEAF = "compositional_skills/dog_speak"


@dataclass
class Run:
    """A run whose adapter is trained: with chance for its weights."""

    folder: Path
    models: Path
    told: list[dict[str, str]] = field(default_factory=list)

    def export(self, **inputs: object) -> dict[str, str]:
        settings = {"home": str(small.HOME), "folder": str(self.models)}
        report = lambda _fraction, facts: self.told.append(dict(facts))  # noqa: E731  # a name would say no more
        return dict(export(Job(self.folder, {"leaf": LEAF, **inputs}, settings, report)))

    @property
    def files(self) -> set[str]:
        return {path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The practice model as a base, and an adapter for it."""
    folder = tmp_path_factory.mktemp("export")
    shutil.copytree(small_model(), folder / "models" / "tiny")
    small.adapter(folder / "adapter", folder / "models" / "tiny" / "hf", use_rslora=True, rank_pattern={"q_proj": 8}, seed=2)
    return folder


@pytest.fixture
def run(trained, tmp_path):
    shutil.copytree(trained / "models", tmp_path / "models")
    shutil.copytree(trained / "adapter", tmp_path / "run" / "train" / "adapter")
    found = base.find(tmp_path / "models", "tiny")
    plan = {"version": 1, "base": {"name": "tiny", "version": found.version, "licence": found.licence}, "config": {"rank": 4}}
    (tmp_path / "run" / "train" / "plan.json").write_text(json.dumps(plan))
    (tmp_path / "run" / "entry").mkdir()
    (tmp_path / "run" / "entry" / "attribution.txt").write_text("Title of work: Own\nLicense of the work: CC-BY-4.0\n")
    return Run(tmp_path / "run", tmp_path / "models")


def test_the_adapter_is_exported_for_both_and_checked_and_told(run):
    (run.folder / "export").mkdir()
    (run.folder / "export" / "old.gguf").write_text("of the training before")
    (run.folder / ".export-part").mkdir()  # what a killed attempt left
    before = run.files

    facts = run.export()

    made = {"export/adapter/adapter_config.json", "export/adapter/adapter_model.safetensors", "export/adapter.gguf"}
    written = {*made, "export/checks.json", "export/README.md", "report.html"}
    assert run.files == before - {"export/old.gguf"} | written
    checks = json.loads((run.folder / "export" / "checks.json").read_text())["checks"]
    assert [(one["file"], one["what"], one["passed"], one["wanted"]) for one in checks[2:]] == [
        ("adapter.gguf", "logits", True, {"logit": 0.01, "likeliest": 1.0})
    ]
    assert (facts["stage"], facts["base"], facts["same"], float(facts["checked"]) < 0.01) == ("export", "tiny", "1.000", True)
    assert {name for name, size in json.loads(facts["files"]) if size} == {name.removeprefix("export/") for name in made}
    assert ModelCard.load(run.folder / "export" / "README.md").data["license"] == ["apache-2.0", "cc-by-4.0"]
    assert {one["act"] for one in run.told} == {"adapter", "reference", "verify"}


def test_a_file_that_is_not_what_it_should_be_is_told_and_the_export_before_stays(run):
    (run.folder / "export").mkdir()
    (run.folder / "export" / "adapter.gguf").write_text("the one before")
    before, place = run.files, run.models / "tiny" / "model.gguf"
    raw = bytearray(place.read_bytes())
    raw[-200_000:-100_000] = raw[-300_000:-200_000]  # another base than the one that transformers has
    place.write_bytes(raw)

    with pytest.raises(Failed, match=r"adapter\.gguf is not what was to be written \(logits\)"):
        run.export()

    assert run.files == before
    assert (run.folder / "export" / "adapter.gguf").read_text() == "the one before"
    assert not list(run.folder.glob(".*"))


@pytest.mark.parametrize(
    ("inputs", "code"),
    [({"formats": ["adapter", "onnx"]}, "export.format"), ({"upload": ["somewhere"]}, "export.target")],
)
def test_what_cannot_be_done_is_refused_before_anything_is_written(run, inputs, code):
    before = run.files

    with pytest.raises(Invalid) as refused:
        run.export(**inputs)

    assert (refused.value.facts["code"], run.files, run.told) == (code, before, [])


def test_without_an_adapter_there_is_nothing_to_export(run):
    shutil.rmtree(run.folder / "train")

    with pytest.raises(Invalid, match="there is no adapter to export"):
        run.export()


def test_another_base_in_the_place_of_the_one_that_was_trained_is_refused(run):
    path = run.models / "tiny" / "hf" / "generation_config.json"
    path.write_text(path.read_text() + "\n")

    with pytest.raises(Invalid, match="tiny is not the model that this adapter was trained on any more"):
        run.export()


def test_a_disk_without_room_is_told_first(run, monkeypatch):
    monkeypatch.setattr("pipeline.models.download.free_disk", lambda _folder: 1000)

    with pytest.raises(Invalid) as refused:
        run.export(formats="Q4_K_M")

    assert refused.value.facts["code"] == "catalog.disk"


def test_dora_is_refused_with_the_merged_model_as_the_way_round(run):
    shutil.rmtree(run.folder / "train" / "adapter")
    small.adapter(run.folder / "train" / "adapter", run.models / "tiny" / "hf", use_dora=True)

    with pytest.raises(Invalid, match=r"this adapter has DoRA.*Export the merged model instead"):
        run.export(formats="adapter")

    assert not [name for name in run.files if name.startswith("export")]


def test_where_nobody_asked_for_a_gguf_by_name_one_that_cannot_be_costs_only_that_file(run):
    shutil.rmtree(run.folder / "train" / "adapter")
    small.adapter(run.folder / "train" / "adapter", run.models / "tiny" / "hf", use_dora=True)

    facts = run.export()

    assert "DoRA" in facts["left_out"]
    assert (run.folder / "export" / "adapter" / "adapter_model.safetensors").is_file()
    assert not (run.folder / "export" / "adapter.gguf").exists()


def test_another_format_comes_beside_the_adapter_that_people_talk_to(run):
    run.export(formats="merged")

    assert (run.folder / "export" / "adapter.gguf").is_file() and (run.folder / "export" / "merged").is_dir()


@pytest.mark.faults
def test_every_format_is_written_checked_and_uploaded(run, monkeypatch):
    s3 = S3()
    s3.up()
    try:
        for name, value in s3.environment.items():
            monkeypatch.setenv(name, value)
        facts = run.export(formats="adapter,merged,gguf,q4_k_m,Q5_K_M,Q8_0", upload=[f"{s3.bucket('models')}/dog"])
        kept = s3.keys("models")
    finally:
        s3.down()

    names = {name for name, _ in json.loads(facts["files"])}
    gguf = {"adapter.gguf", "model-F16.gguf", "model-Q4_K_M.gguf", "model-Q5_K_M.gguf", "model-Q8_0.gguf"}
    assert names >= {*gguf, "merged/model.safetensors", "merged/tokenizer.json", "adapter/adapter_config.json"}
    checks = json.loads((run.folder / "export" / "checks.json").read_text())["checks"]
    assert {one["file"] for one in checks if one["what"] == "logits"} == {*gguf, "merged"}
    assert all(one["passed"] for one in checks)
    assert set(kept) == {f"dog/{name.removeprefix('adapter/')}" for name in {*names, "README.md", "checks.json"}}
    assert facts["uploaded"] == "s3://models/dog"


@pytest.mark.faults
def test_dora_is_merged(run):
    shutil.rmtree(run.folder / "train" / "adapter")
    small.adapter(run.folder / "train" / "adapter", run.models / "tiny" / "hf", use_dora=True)

    facts = run.export(formats=["safetensors", "merged"])

    assert float(facts["checked"]) < 0.01


@pytest.mark.faults
def test_on_a_rounded_base_the_adapter_is_held_to_what_the_base_itself_does(run):
    from pipeline.models import quantize

    place = run.models / "tiny" / "model.gguf"
    place.rename(run.models / "whole.gguf")
    quantize.quantize(run.models / "whole.gguf", place, "Q8_0", lambda _fraction, _facts: None)

    run.export()

    check = json.loads((run.folder / "export" / "checks.json").read_text())["checks"][-1]
    assert (check["passed"], check["note"][:20]) == (True, "on a base in Q8_0, w")


@pytest.mark.faults
def test_without_memory_for_the_reference_files_are_loaded_at_least_and_it_is_told(run, monkeypatch):
    monkeypatch.setattr(machine, "look", lambda: machine.Machine(8 * 2**30, 1000, 2))
    (run.models / "tiny" / "model.gguf").unlink()  # then one of the base is made on the way

    facts = run.export(formats="adapter,gguf")

    checks = json.loads((run.folder / "export" / "checks.json").read_text())["checks"]
    found = [(one["file"], one["what"], one["note"][:31]) for one in checks[2:]]
    assert found == [(name, "loaded", "not compared with transformers:") for name in ("adapter.gguf", "model-F16.gguf")]
    assert "checked" not in facts
    assert "not compared with transformers" in (run.folder / "export" / "README.md").read_text()
