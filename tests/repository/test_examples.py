"""The examples run, from anywhere, without a warning."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))
SLOW = {"diamonds", "digits_grid_search", "flights", "modern_training"}  # half a minute and more
ARGUMENTS = {
    "dask_cluster": ["--rows", "10000"],
    "flights": ["--rows", "50000"],  # all of them take many minutes
    "parquet": ["--rows", "20000"],
}
# Of Dask, when it reads Parquet files with pandas 3.1.
IGNORED = {"dask_cluster": ["-W", "ignore:The inplace keyword:DeprecationWarning"]}


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(example, id=example.stem, marks=[pytest.mark.slow] if example.stem in SLOW else [])
        for example in EXAMPLES
    ],
)
def test_example_runs(example, tmp_path):
    command = [
        sys.executable,
        "-W",
        "error",
        *IGNORED.get(example.stem, []),
        str(example),
        *ARGUMENTS.get(example.stem, []),
    ]
    # Threads of trees and of matrix products that wait for each other are slow where another process is busy.
    env = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    run = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=1500)
    assert run.returncode == 0, run.stderr
    assert run.stdout
