"""Which folders a tour takes for earlier tours."""

from pathlib import Path

from pipeline.touring import tour
from pipeline.touring.__main__ import _is_ours


def test_only_an_earlier_tour_is_cleared_away(tmp_path: Path) -> None:
    for name in ("tour-1", "tour-photos", "tour-2"):
        (tmp_path / name).mkdir()
    for name in ("tour-1", "tour-photos"):
        (tmp_path / name / tour.LOG).touch()

    assert [path.name for path in sorted(tmp_path.iterdir()) if _is_ours(path)] == ["tour-1"]
