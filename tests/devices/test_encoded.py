"""The matrix of an encoded table: every device computes it, and its products, as it is defined."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_mlp.core.batches import Batches
from sklearn_mlp.core.layers import declare_slots, mlp_blocks
from sklearn_mlp.core.losses import REGRESSION_LOSSES
from sklearn_mlp.core.objective import Objective
from sklearn_mlp.core.parameters import draw
from sklearn_mlp.devices import cpu, resolve_device
from sklearn_mlp.devices.encoded import EncodedTable, Encoding

fused = pytest.importorskip("sklearn_mlp.devices.fused", reason="Numba is not installed")

# (the numbers of bins, of which numbers have a column for gaps, the numbers of codes)
TABLES = {
    "all kinds": ([3, 0, 1, 8], [True, False, False, True], [2, 1, 5]),
    "numbers": ([4, 2], [True, True], []),
    "numbers without gaps": ([4, 2], [False, False], []),
    "constants": ([0, 0, 0], [False, True, False], []),
    "categories": ([], [], [3, 4]),
    "one number": ([1], [False], []),
    "one category": ([], [], [1]),
}
every_table = pytest.mark.parametrize("columns", TABLES.values(), ids=TABLES)
every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def make(columns, n_rows, seed=0):
    """A table with gaps, numbers beyond the bins and on their bounds, and rows without a code; and its encoding."""
    n_bins, has_gaps, n_codes = columns
    rng = np.random.default_rng(seed)
    # Multiples of 1/16: float32 has their differences exactly.
    edges = [np.sort(rng.choice(np.arange(-64, 64), n + 1, replace=False)).astype(np.float32) / 16 for n in n_bins]
    numbers = np.column_stack([rng.standard_normal((n_rows, 0)), *(2 * rng.standard_normal(n_rows) for _ in n_bins)])
    for column, of_column in zip(numbers.T, edges, strict=True):
        on_bound = rng.uniform(size=n_rows) < 0.2
        column[on_bound] = rng.choice(of_column, n_rows)[on_bound]
    numbers[rng.uniform(size=numbers.shape) < 0.2] = np.nan
    numbers[rng.uniform(size=numbers.shape) < 0.05] = 1e18
    codes = [rng.integers(-1, n, n_rows) for n in n_codes]
    table = np.column_stack([numbers, *codes]).astype(np.float32)
    return table, edges, has_gaps, n_codes


def by_definition(table, edges, has_gaps, n_codes):
    """The matrix, number by number, in float64."""
    table = table.astype(np.float64)
    numbers, codes = table[:, : len(edges)].T, table[:, len(edges) :].T
    columns = []
    for z in numbers:
        columns.append([0.0 if np.isnan(x) else x / np.sqrt(1 + (x / 3) ** 2) for x in z])
    for z, bounds in zip(numbers, edges, strict=True):
        for low, high in zip(bounds[:-1].astype(float), bounds[1:].astype(float), strict=True):
            columns.append([min(max(((0.0 if np.isnan(x) else x) - low) / (high - low), 0.0), 1.0) for x in z])
    for z, has_column in zip(numbers, has_gaps, strict=True):
        if has_column:
            columns.append([float(np.isnan(x)) for x in z])
    for of_category, n in zip(codes, n_codes, strict=True):
        for code in range(n):
            columns.append([float(x == code) for x in of_category])
    return np.array(columns).reshape(len(columns), len(table)).T


def rows_of(device, X, dtype, rows, batch_size):
    """Batches as dense arrays in main memory."""
    prepared = device.prepare_rows(X, dtype, gather=rows is not None)
    order = None if rows is None else device.to_device(rows)
    return [device.to_host(batch).copy() for batch in device.rows(prepared, dtype).batches(rows, order, batch_size)]


@every_dtype
@every_table
def test_the_matrix_of_the_cpu(columns, dtype):
    table, *encoding = make(columns, 40)
    expected = by_definition(table, *encoding)
    encoding = Encoding(*encoding)
    assert EncodedTable(table, encoding).shape == expected.shape
    assert EncodedTable(table, encoding).T.shape == expected.T.shape
    out = np.full(expected.shape, np.nan, dtype)
    cpu.CPU.encode(table.astype(dtype), encoding, out)
    assert_allclose(out, expected, rtol=4 * np.finfo(dtype).eps, atol=4 * np.finfo(dtype).eps)


@every_dtype
@pytest.mark.parametrize("streamed", [False, True], ids=["resident", "streamed"])
@every_table
def test_the_matrix_of_a_gpu(columns, streamed, dtype, cupy, monkeypatch):
    if streamed:
        from sklearn_mlp.devices.cuda import rows

        monkeypatch.setattr(rows, "X_SHARE", 0.0)
        monkeypatch.setattr(rows, "CHUNK_BYTES", 100)
    device = resolve_device("cuda")
    table, *encoding = make(columns, 40)
    expected = by_definition(table, *encoding)
    X = EncodedTable(table, Encoding(*encoding))
    eps = np.finfo(dtype).eps
    for index in (None, np.random.default_rng(1).permutation(40)[:31]):
        batches = rows_of(device, X, dtype, index, 7)
        assert {batch.dtype for batch in batches} == {np.dtype(dtype)}
        assert_allclose(np.vstack(batches), expected if index is None else expected[index], rtol=4 * eps, atol=4 * eps)


def check_products(table, encoding, dtype, n_units, seed=0):
    """Those of Numba with the matrix and its transpose; what was in the output before makes no difference."""
    expected = by_definition(table, *encoding)
    rng = np.random.default_rng(seed)
    W = rng.standard_normal((expected.shape[1], n_units)).astype(dtype)
    dZ = rng.standard_normal((len(table), n_units)).astype(dtype)
    A = fused.FusedCPU.encoded_batch(table.astype(dtype), Encoding(*encoding))
    Z, dW = np.full_like(dZ, np.nan), np.full_like(W, np.nan)
    fused.FusedCPU.matmul(A, W, Z)
    fused.FusedCPU.matmul(A.T, dZ, dW)
    # Relative to the sum of the sizes of what is added up.
    eps = 30 * np.finfo(dtype).eps
    assert (np.abs(Z - expected @ W) <= eps * (np.abs(expected) @ np.abs(W) + np.abs(W).sum(axis=0))).all()
    assert (np.abs(dW - expected.T @ dZ) <= eps * (np.abs(expected).T @ np.abs(dZ) + np.abs(dZ).sum(axis=0))).all()


@every_dtype
@every_table
def test_products_with_the_matrix(columns, dtype):
    table, *encoding = make(columns, 40)
    check_products(table, encoding, dtype, 5)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.booleans()), max_size=5),
    st.lists(st.integers(1, 6), max_size=4),
    st.integers(1, 30),
    st.integers(1, 9),
    st.integers(0, 2**31),
)
def test_products_with_matrices_of_any_shape(numbers, n_codes, n_rows, n_units, seed):
    if not (numbers or n_codes):
        return
    columns = [n for n, _ in numbers], [has for _, has in numbers], n_codes
    table, *encoding = make(columns, n_rows, seed)
    check_products(table, encoding, np.float64, n_units, seed)


@every_table
def test_without_numba_the_batches_are_dense(columns):
    table, *encoding = make(columns, 40)
    X = EncodedTable(table, Encoding(*encoding))
    index = np.arange(40)[::-3]
    batches = rows_of(cpu.CPU(), X, np.float64, index, 6)
    assert_allclose(np.vstack(batches), by_definition(table, *encoding)[index], atol=1e-15)


def test_rows_of_a_matrix_are_those_of_its_table():
    table, *encoding = make(TABLES["all kinds"], 10)
    X = EncodedTable(table, Encoding(*encoding))[np.array([7, 2])]
    assert_array_equal(X.table, table[[7, 2]])
    assert X.shape[0] == 2


@pytest.mark.parametrize("columns", [TABLES["all kinds"], TABLES["categories"]], ids=["all kinds", "categories"])
def test_the_gradient_is_that_of_finite_differences(columns, each_device):
    rng = np.random.RandomState(0)
    table, *encoding = make(columns, 12)
    table[table == 1e18] = 2.0  # differences would be of rounding
    X = EncodedTable(table, Encoding(*encoding))
    blocks = mlp_blocks([4, 3], ["tanh", "gelu"], 2)
    theta = draw(declare_slots(blocks, X.shape[1]), rng, np.float64)
    loss = REGRESSION_LOSSES["squared_error"]()
    objective = Objective(each_device, theta.like(each_device.to_device_copy(theta.vector)), blocks, loss, 0.0)
    target, here = each_device.to_device(rng.standard_normal((12, 2))), theta.trainable.copy()

    def evaluate(at):
        each_device.write(at, out=objective.theta.trainable)
        prepared = each_device.prepare_rows(X, np.float64, True)
        (batch,) = Batches(each_device, prepared, target, None, dtype=np.float64, batch_size=12)
        objective.backpropagate(*batch[:3], 1 / 12)
        # Reported as a mean over both outputs, and differentiated as a sum over them.
        return 2 * each_device.collect(objective.loss), each_device.to_host(objective.grad.trainable).copy()

    _, gradient = evaluate(here)
    for _ in range(3):
        direction = rng.standard_normal(here.size)
        h = 1e-6 / np.linalg.norm(direction)
        difference = (evaluate(here + h * direction)[0] - evaluate(here - h * direction)[0]) / (2 * h)
        assert difference == pytest.approx(gradient @ direction, rel=1e-5, abs=1e-8)
