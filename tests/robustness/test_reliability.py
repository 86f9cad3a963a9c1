"""docs/reliability.md describes the behaviour on invalid input and failures; none of our outcomes is in bold."""

from pathlib import Path

import pytest

pytest.importorskip("resource", reason="processes that are killed and disks that are full are tested on Unix")
import reliability

PAGE = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text()
ROWS = [(fault, function) for rows in reliability.SECTIONS.values() for fault, function in rows.items()]


@pytest.mark.usefixtures("kernels_of_any_job")  # models of this process are compared with those of others
@pytest.mark.parametrize(("fault", "function"), ROWS, ids=[fault for fault, _ in ROWS])
def test_the_page_tells_what_happens(fault, function):
    outcome = reliability.cell(reliability.run(function, reliability.OURS))
    assert "**" not in outcome
    assert f"| {fault} | {outcome} |" in PAGE
