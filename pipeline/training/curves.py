"""The picture of a training: the loss of each step, and the held-out questions' at each checkpoint."""

import io
from collections.abc import Sequence
from pathlib import Path

from pipeline.files import write
from pipeline.training.loop import Scored, Step

WIDTH, HEIGHT, DPI = 8.0, 4.2, 110  # inches and dots an inch: 880 x 462, which a phone shows without scaling up
TRAINED, HELD = "#0072B2", "#D55E00"  # two of Okabe and Ito's colours, which everybody tells apart
SMOOTHED = 0.9  # of the running mean


def draw(path: Path, steps: Sequence[Step], scores: Sequence[Scored], whole: int, title: str) -> None:
    """Write the PNG, whole or not at all. `whole`: how many steps the course has. Raises Failed where the disk refuses."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # a third of a second, which only a training needs
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, HEIGHT), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    at = [one.step for one in steps]
    axes.plot(at, [one.loss for one in steps], color=TRAINED, alpha=0.25, linewidth=0.8)
    axes.plot(at, smoothed([one.loss for one in steps]), color=TRAINED, linewidth=1.8, label="trained on (running mean)")
    if scores:
        held = [one.step for one in scores]
        axes.plot(held, [one.loss for one in scores], color=HELD, marker="o", linewidth=1.8, label="held-out questions")
        best = min((one for one in scores if one.step), key=lambda one: one.loss, default=None)
        if best:
            axes.annotate(f"{best.loss:.2f}", (best.step, best.loss), textcoords="offset points", xytext=(0, 8), color=HELD)
    axes.set(xlim=(0, max(1, whole)), ylim=(0, None), xlabel="step", ylabel="loss (nats per token)")
    axes.set_title(title.replace("$", r"\$"), loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.2)
    axes.legend(frameon=False)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", metadata={"Software": None})
    write(path, picture.getvalue())


def smoothed(losses: Sequence[float]) -> list[float]:
    """The running mean without its lean towards the first (as in Adam, arXiv 1412.6980); what is no number is passed over."""
    made: list[float] = []
    mean, weight = 0.0, 0.0
    for loss in losses:
        if loss == loss:
            mean, weight = SMOOTHED * mean + (1 - SMOOTHED) * loss, SMOOTHED * weight + (1 - SMOOTHED)
        made.append(mean / weight if weight else float("nan"))
    return made
