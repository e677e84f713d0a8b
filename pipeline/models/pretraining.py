"""What decides the practice model, besides the code: its shape, what it reads, how fast it learns."""

from dataclasses import dataclass

from pipeline.models.dialogues import FAMILIES


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides what comes out, but the code. Rates are those of the optimisers at their highest."""

    seed: int = 0
    width: int = 192
    layers: int = 4
    heads: int = 6
    inner: int = 512  # width of the feed-forward layers
    vocabulary: int = 2560
    context: int = 8192
    families: tuple[str, ...] = tuple(FAMILIES)
    dialogues: int = 25_000
    batch_tokens: int = 800  # of a step, padding included
    warm_up: int = 50  # steps
    muon_rate: float = 0.01
    adam_rate: float = 2e-3
    replay: int = 500  # dialogues that are kept, to be mixed into what it is taught later
    asked: int = 100  # questions of each family that measure it
    copying: float = 0.9  # the least share of unseen sentences that it must repeat exactly: no skill can be trained onto less


FULL = Recipe()
SMALL = Recipe(  # for tests: made in seconds; it says its small talk by heart and copies nothing
    width=64,
    layers=2,
    heads=2,
    inner=128,
    families=("talk", "self", "fact", "haiku", "unable"),
    dialogues=4_500,
    batch_tokens=512,
    muon_rate=0.02,
    adam_rate=5e-3,
    replay=40,
    asked=4,
    copying=0.0,
)
