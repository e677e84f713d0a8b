"""/metrics: the engine's counts in Prometheus' text format."""

from pipeline.models.stats import BOUNDS_S, Stats

KIND = "text/plain; version=0.0.4"


def text(model: str, capacity: int, stats: Stats) -> str:
    """`capacity`: tokens of KV in all."""
    tokens = {"prompt": stats.prompt_tokens, "cached": stats.cached_tokens, "completion": stats.completion_tokens}
    lines = [
        *_metric("model_info", "gauge", "The model that is served.", {f'{{model="{_escaped(model)}"}}': 1}),
        *_metric("requests_running", "gauge", "Answers that are being written.", {"": stats.running}),
        *_metric("requests_waiting", "gauge", "Requests in the queue.", {"": stats.waiting}),
        *_metric("kv_tokens", "gauge", "Tokens that are held in memory.", {"": stats.cells}),
        *_metric("kv_tokens_capacity", "gauge", "Tokens that fit into memory.", {"": capacity}),
        *_metric("steps_total", "counter", "Steps of the engine.", {"": stats.steps}),
        *_metric(
            "tokens_total",
            "counter",
            "Tokens of prompts, those of them that were there already, and of answers.",
            {f'{{kind="{kind}"}}': count for kind, count in tokens.items()},
        ),
        *_metric("tokens_per_second", "gauge", "Tokens written a second, over the last 10 s.", {"": stats.tokens_per_s}),
        *_first_token(stats),
    ]
    return "\n".join(lines) + "\n"


def _first_token(stats: Stats) -> list[str]:
    name = "time_to_first_token_seconds"
    found, total = {}, 0
    for bound, count in zip((*map(str, BOUNDS_S), "+Inf"), stats.first_token_s, strict=True):
        total += count
        found[f'_bucket{{le="{bound}"}}'] = float(total)
    return _metric(
        name,
        "histogram",
        "From a request to the first token of its answer, its wait in the queue included.",
        {**found, "_sum": stats.first_token_sum_s, "_count": total},
    )


def _metric(name: str, kind: str, about: str, values: dict[str, float]) -> list[str]:
    lines = [f"labbot_{name}{labels} {repr(value) if value % 1 else int(value)}" for labels, value in values.items()]
    return [f"# HELP labbot_{name} {about}", f"# TYPE labbot_{name} {kind}", *lines]


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
