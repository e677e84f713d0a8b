"""The stage with a real base and a real adapter, as training leaves them."""

import shutil
from pathlib import Path

from pipeline.models import dialogues
from pipeline.stages.evaluate import evaluate
from pipeline.training import base, batches, devices, opening
from pipeline.training.encode import Encoder
from pipeline.training.rows import Message, Sample
from pipeline.training.settings import TrainConfig
from tests.pipeline.evaluating.evaluating_folder import adapter, job, lamps, scores
from tests.pipeline.models.tiny_model import small_model

CONFIG = TrainConfig(base="tiny", rank=8, rate=5e-3, device="cpu", precision="fp32", context=256)
STEPS = 60


def taught(folder: Path, models: Path, answer: str) -> None:
    """An adapter that has learned to say one thing to whatever it is asked."""
    found = base.find(models, "tiny")
    encoder = Encoder.of(found.folder, CONFIG.context)
    system = Message("system", "You are labbot, a helpful assistant.")
    asks = [Message("user", one.messages[-2][1]) for one in dialogues.questions("unable", 12)]
    encoded = [one for asked in asks for one in encoder.encode(Sample("", (system, asked, Message("assistant", answer))))]
    folder.mkdir(parents=True)
    with opening.answering(found, CONFIG, devices.look("cpu", "fp32")) as learner:
        for _ in range(STEPS):
            learner.learn([batches.padded(encoded)], CONFIG.rate)
        learner.save(folder)


def test_the_base_answers_as_itself_and_the_adapter_as_it_was_taught(tmp_path: Path) -> None:
    model = small_model()
    given = job(tmp_path, model, [*lamps(20)])
    taught(tmp_path / "taught", tmp_path / "models", "lamp: 7")
    adapter(given.folder, b"", config=CONFIG.model_dump(mode="json"))
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        shutil.copyfile(tmp_path / "taught" / name, given.folder / "train" / "adapter" / name)

    facts = evaluate(given)

    found = scores(given)
    assert (facts["asked"], facts["right_before"], facts["right_after"]) == ("20", "0", "1")  # the seventh lamp
    assert {one["after"] for one in found["examples"]} == {"lamp: 7"}
    assert "lamp: 7" not in {one["before"] for one in found["examples"] + found["seeds"]}
    assert found["forgetting"]["after"]["right"] <= found["forgetting"]["before"]["right"]
