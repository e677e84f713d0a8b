"""/metrics: the engine's counts in Prometheus' text format."""

from pipeline.metrics import KIND, Histogram, histogram, metric, page
from pipeline.models.stats import BOUNDS_S, Stats

__all__ = ["KIND", "text"]


def text(model: str, capacity: int, stats: Stats) -> str:
    """`capacity`: tokens of KV in all."""
    tokens = {"prompt": stats.prompt_tokens, "cached": stats.cached_tokens, "completion": stats.completion_tokens}
    first = Histogram(BOUNDS_S)
    first.counts, first.sum = list(stats.first_token_s), stats.first_token_sum_s
    return page(
        metric("model_info", "gauge", "The model that is served.", {(("model", model),): 1}),
        metric("requests_running", "gauge", "Answers that are being written.", {(): stats.running}),
        metric("requests_waiting", "gauge", "Requests in the queue.", {(): stats.waiting}),
        metric("kv_tokens", "gauge", "Tokens that are held in memory.", {(): stats.cells}),
        metric("kv_tokens_capacity", "gauge", "Tokens that fit into memory.", {(): capacity}),
        metric("steps_total", "counter", "Steps of the engine.", {(): stats.steps}),
        metric(
            "tokens_total",
            "counter",
            "Tokens of prompts, those of them that were there already, and of answers.",
            {(("kind", kind),): count for kind, count in tokens.items()},
        ),
        metric("tokens_per_second", "gauge", "Tokens written a second, over the last 10 s.", {(): stats.tokens_per_s}),
        histogram(
            "time_to_first_token_seconds",
            "From a request to the first token of its answer, its wait in the queue included.",
            {(): first},
            BOUNDS_S,
        ),
    )
