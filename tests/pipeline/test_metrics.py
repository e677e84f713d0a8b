"""What a worker tells Prometheus, as Prometheus' own parser reads it."""

import asyncio

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipeline import metrics
from pipeline.metrics import Counts, Now
from pipeline.models import metrics as engine
from pipeline.models.stats import Meter


def read(text: str) -> dict[str, float]:
    """Every sample by its name and labels."""
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation and family.type in ("gauge", "counter", "histogram")
        for one in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in one.labels.items())
            found[f"{one.name.removeprefix('labbot_')}{{{labels}}}"] = one.value
    return found


def test_a_workers_counts_are_read_as_they_were_counted() -> None:
    counts = Counts("box", ["cpu", "gpu"], "cuda:1")
    for state in ("done", "done", "failed"):
        counts.ended(state)
    counts.stage("contribution", "precheck", 0.5)
    counts.stage("contribution", "precheck", 70.0)
    counts.lost(), counts.tried_again(), counts.tried_again(), counts.not_renewed()

    found = read(counts.text(Now({"cpu": 3, "gpu": 0}, {"cpu": 1}, 4096)))

    stage = "recipe=contribution,stage=precheck"
    buckets = [value for name, value in found.items() if name.startswith("stage_seconds_bucket")]
    assert buckets == [0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2]
    assert {name: value for name, value in found.items() if "_bucket" not in name} == {
        "worker_info{host=box,lanes=cpu,gpu,device=cuda:1}": 1,
        "worker_alive{}": 1,
        "runs_waiting{lane=cpu}": 3,
        "runs_waiting{lane=gpu}": 0,
        "runs_running{lane=cpu}": 1,
        "runs_ended_total{state=done}": 2,
        "runs_ended_total{state=failed}": 1,
        "runs_ended_total{state=cancelled}": 0,
        f"stage_seconds_sum{{{stage}}}": 70.5,
        f"stage_seconds_count{{{stage}}}": 2,
        "workers_lost_total{}": 1,
        "stages_tried_again_total{}": 2,
        "leases_not_renewed_total{}": 1,
        "redis_away_seconds_total{}": 0,
        "children_bytes{}": 4096,
    }


def test_a_worker_that_did_nothing_yet_has_its_page_too() -> None:
    found = read(Counts("box", ["cpu"], "cpu").text(Now(alive=False)))

    assert (found["worker_alive{}"], found["runs_ended_total{state=done}"]) == (0, 0)


async def test_redis_is_away_for_as_long_as_the_block_takes_and_the_time_is_told_meanwhile() -> None:
    counts = Counts("box", ["cpu"], "cpu")
    with counts.away():
        before = counts.away_s
        await asyncio.sleep(0.01)
        during = counts.away_s
    after = counts.away_s

    assert 0 <= before < during <= after == counts.away_s


def test_a_time_that_is_lost_to_a_mistake_ends_with_the_block() -> None:
    counts = Counts("box", ["cpu"], "cpu")
    with pytest.raises(ValueError), counts.away():
        raise ValueError

    assert counts.away_s == counts.away_s


def test_labels_are_escaped_and_their_number_is_bounded() -> None:
    counts = Counts('a"b\\c\nd', ["cpu"], "cpu")
    for number in range(metrics.MOST_STAGES + 5):
        counts.stage("recipe", f"stage{number}", 1.0)

    found = read(counts.text(Now()))

    assert 'worker_info{host=a"b\\c\nd,lanes=cpu,device=cpu}' in found
    assert found["stage_seconds_count{recipe=other,stage=other}"] == 5
    assert sum(name.startswith("stage_seconds_count") for name in found) == metrics.MOST_STAGES + 1


def test_the_engines_page_is_read_by_the_same_parser() -> None:
    meter = Meter()
    meter.first(0.07), meter.first(99.0)

    found = read(engine.text("tiny", 100, meter.read(running=1, waiting=2, cells=3, cached=4)))

    assert (found["model_info{model=tiny}"], found["requests_waiting{}"], found["tokens_total{kind=cached}"]) == (1, 2, 4)
    assert [found[f"time_to_first_token_seconds_bucket{{le={edge}}}"] for edge in ("0.05", "0.1", "30.0", "+Inf")] == [
        0,
        1,
        1,
        2,
    ]
