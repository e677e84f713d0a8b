"""Opens a base for learning or for answers, by whatever this machine computes with."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from pipeline.errors import Invalid, Problem
from pipeline.training import devices
from pipeline.training.base import Base
from pipeline.training.devices import Place
from pipeline.training.fits import Estimate
from pipeline.training.learner import Learner
from pipeline.training.settings import TrainConfig


@contextmanager
def learning(found: Base, config: TrainConfig, place: Place, fits: Estimate) -> Iterator[Learner]:
    """A learner for the base, on all GPUs of this machine where there are several.

    Raises Invalid where a package is missing, or train.qlora; Failed for damaged weights.
    """
    with _open(found, config, place, checkpointing=fits.checkpointing) as learner:
        yield learner


@contextmanager
def answering(found: Base, config: TrainConfig, place: Place) -> Iterator[Learner]:
    """The same, with an adapter that changes nothing until `use` is called."""
    with _open(found, config, place, checkpointing=False) as learner:
        yield learner


def is_sharded(config: TrainConfig, place: Place) -> bool:
    """Whether all GPUs learn together; in 4 bits one does it alone."""
    return devices.sharing(place, config.method) > 1


@contextmanager
def _open(found: Base, config: TrainConfig, place: Place, *, checkpointing: bool) -> Iterator[Learner]:
    if is_sharded(config, place):
        from pipeline.training import sharded

        with closing(sharded.opened(found.folder, config, place, base=found.name, checkpointing=checkpointing)) as all_:
            yield all_
    else:
        yield _opened(found, config, place, checkpointing=checkpointing)


def _opened(found: Base, config: TrainConfig, place: Place, *, checkpointing: bool) -> Learner:
    if place.kind == "mlx":
        try:
            from pipeline.training import mlx_learner
        except ImportError as error:
            raise _missing("mlx", error) from None
        return mlx_learner.opened(found.folder, config, place, base=found.name, checkpointing=checkpointing)
    try:
        from pipeline.training import torch_learner
    except ImportError as error:
        raise _missing("train", error) from None
    return torch_learner.opened(found.folder, config, place, base=found.name, checkpointing=checkpointing)


def _missing(extra: str, error: ImportError) -> Invalid:
    package = error.name or str(error)
    fix = f"Install it: .venv/bin/python -m pip install -c constraints.txt -e '.[{extra}]'"
    return Invalid(Problem("train.extra", f"training needs {package}.", f"extra {extra}", fix, {"package": package}))
