"""The demo taxonomy, made when labbot starts for the first time."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pipeline import demo
from tests.conftest import HOME


def test_two_that_start_at_once_make_one_taxonomy_and_leave_nothing_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "taxonomy"
    with ThreadPoolExecutor(4) as both:
        for made in [both.submit(demo.make, folder, HOME / "configs" / "demo") for _ in range(4)]:
            made.result()

    assert [path.name for path in folder.parent.iterdir()] == ["taxonomy"]
    assert (folder / ".git").is_dir()
    assert (folder / "compositional_skills").is_dir()
