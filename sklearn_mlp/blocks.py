"""Data in blocks of rows, of which ``fit(blocks)`` has only a few in memory at a time.

Blocks are any object with two methods: ``len(blocks)`` is the number of blocks, and ``blocks[i]`` reads block i and
returns ``(X, y)`` or ``(X, y, sample_weight)``, with `X` and `y` as `fit` takes them. `ParquetBlocks` reads Parquet
files; a class of your own can read any other format. ``blocks[i]`` is called in another thread, and in another process
on a pickle of the blocks.
"""

import copy
import operator
import os
import reprlib
from typing import Any, NamedTuple

from sklearn.utils._param_validation import validate_params

from sklearn_mlp._checks import stack_columns, suggest

try:
    import pyarrow as pa
    import pyarrow.dataset as ds
    from pyarrow.fs import LocalFileSystem
except ImportError as error:
    raise ImportError(
        f"sklearn_mlp.blocks needs pyarrow, which cannot be imported here ({error}). `pip install pyarrow` installs it."
    ) from error

__all__ = ["ParquetBlocks"]


class ParquetBlocks:
    """The row groups of Parquet files as blocks, each read when it is needed.

    ``len(blocks)`` is the number of row groups, and ``blocks[i]`` reads one of them:

    - X : pyarrow.Table of shape (n_rows[i], n_features), which the estimators of this package and of scikit-learn take
      as a data frame: with the names of its columns, dictionaries as categories, and nulls as missing values.
    - y : ndarray of shape (n_rows[i],), or (n_rows[i], n_outputs) if `target` is a list, in the dtype of the column,
      objects for strings; None if `target` is None.
    - sample_weight : ndarray of shape (n_rows[i],); left out if `sample_weight` is None.

    ``blocks[start:stop]`` is a `ParquetBlocks` of some of them. Row groups without rows are skipped.

    Parameters
    ----------
    path : str, path-like or list of them
        A file, a list of files, or a directory, whose files are read in the order of their paths, except those whose
        names begin with '.' or '_'. Directories named ``column=value`` (Hive partitioning) add a column. A str can be a
        URI of a file system that pyarrow knows, such as ``s3://bucket/directory``. Relative to the working directory at
        construction.

    target : str or list of str, default=None
        The column of y, or several columns. None is for prediction: y is None.

    sample_weight : str, default=None
        The column of sample weights.

    columns : list of str, default=None
        The features, in this order; no other columns are read. None takes all columns except `target`, `sample_weight`
        and the index of a pandas DataFrame that was written with it.

    Attributes
    ----------
    n_rows : list of int
        The number of rows of each block, from the metadata of the files.

    Raises
    ------
    FileNotFoundError
        If a file or directory does not exist.
    ValueError
        At construction, if there are no files, one is not a Parquet file, a column does not exist or is named twice, or
        the files differ in the columns to be read. When a block is read, if there are nulls in `target` or
        `sample_weight`.
    RuntimeError
        When a block is read, if its file has changed since construction.
    IndexError
        If there is no block i; negative indices count from the end.

    See Also
    --------
    sklearn_mlp.MLPClassifier.fit : Accepts blocks instead of X and y.

    Notes
    -----
    A row group is read as a whole, so that its size bounds the memory: 10,000 to 200,000 rows suit most tables. By
    default pyarrow writes up to 1,048,576 rows into one. Set the size when you write a file, by
    ``pyarrow.parquet.write_table(table, path, row_group_size=50_000)`` or, in pandas,
    ``df.to_parquet(path, row_group_size=50_000)``. Both write each column as indices into a dictionary of its values,
    unless there are very many. For measurements, most of which differ, ``use_dictionary=False``, or a list of the
    columns that repeat their values, makes a smaller file, which is read in half the time.

    ``fit(blocks[:-2], X_val=blocks[-2:])`` validates on the last two row groups. In files that are sorted by time or by
    place, they differ in time or place from the training data.

    A pickle contains paths and row counts but no data; the process that loads it opens the files when it reads a block.
    For another machine, they must be on a shared file system.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import pyarrow as pa
    >>> import pyarrow.parquet as pq
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_mlp.blocks import ParquetBlocks
    >>> iris = load_iris()
    >>> table = pa.table(dict(zip(iris.feature_names, iris.data.T)) | {"species": iris.target_names[iris.target]})
    >>> path = Path(tempfile.mkdtemp()) / "iris.parquet"
    >>> pq.write_table(table, path, row_group_size=60)
    >>> blocks = ParquetBlocks(path, target="species")
    >>> blocks.n_rows
    [60, 60, 30]
    >>> X, y = blocks[-1]
    >>> X.shape, y[0]
    ((30, 4), 'virginica')
    >>> blocks[:2].n_rows
    [60, 60]
    >>> scaler = StandardScaler()
    >>> for X, y in blocks:
    ...     scaler = scaler.partial_fit(X)
    >>> scaler.mean_.round(2)
    array([5.84, 3.06, 3.76, 1.2 ])
    """

    @validate_params(
        {
            "path": [str, os.PathLike, list],
            "target": [str, list, None],
            "sample_weight": [str, None],
            "columns": [list, None],
        },
        prefer_skip_nested_validation=True,
    )
    def __init__(self, path, *, target=None, sample_weight=None, columns=None):
        self.path = path
        self.target = target
        self.sample_weight = sample_weight
        self.columns = columns
        self._targets = target if isinstance(target, list) else [] if target is None else [target]
        self._weights = [] if sample_weight is None else [sample_weight]
        self._opened = None, None
        dataset = _find_files(path)
        self._format, self._filesystem = dataset.format, dataset.filesystem
        self._row_groups = []
        types = {}
        for file in dataset.get_fragments():
            row_groups, fragment = self._list_row_groups(file)
            if not row_groups:
                continue
            in_path = ds.get_partition_keys(file.partition_expression)
            fields = [*fragment.physical_schema, *(field for field in dataset.schema if field.name in in_path)]
            known = {field.name: _type(field) for field in fields}
            names = self._names(known, fragment.physical_schema.pandas_metadata)
            if not types:
                first = row_groups[0].path
                self._check_names(names, known, first)
                types = {name: known[name] for name in names}
            for name in [*types, *names]:
                expected, found = types.get(name, "missing"), known.get(name, "missing")
                if expected != found:
                    raise ValueError(
                        f"The column {name!r} is {expected} in {first} and {found} in {row_groups[0].path}. Write the "
                        "files with the same columns and types, or choose columns that all of them have by columns=."
                    )
            self._row_groups += row_groups
        if not self._row_groups:
            raise ValueError(f"path={path!r} has no rows.")
        self.n_rows = [row_group.n_rows for row_group in self._row_groups]
        self._schema = pa.schema(types)

    def __len__(self):
        return len(self._row_groups)

    def __getitem__(self, index):
        if isinstance(index, slice):
            part = copy.copy(self)
            part._row_groups, part.n_rows = self._row_groups[index], self.n_rows[index]
            return part
        index = operator.index(index)
        if not -len(self) <= index < len(self):
            raise IndexError(f"There is no block {index}: there are {len(self)} blocks.")
        row_group = self._row_groups[index]
        table = self._read(row_group)
        n_features = len(self._schema) - len(self._targets) - len(self._weights)
        X = table.select(range(n_features))
        y = [_to_numpy(table[name], "target", name, row_group) for name in self._targets]
        weights = [_to_numpy(table[name], "sample_weight", name, row_group) for name in self._weights]
        if isinstance(self.target, str):
            return X, y[0], *weights
        return X, stack_columns(y) if y else None, *weights

    def _list_row_groups(self, file):
        """The row groups of a file that have rows, and the file as a fragment with its metadata."""
        is_local = isinstance(self._filesystem, LocalFileSystem)
        info = self._filesystem.get_file_info(os.path.abspath(file.path) if is_local else file.path)
        fragment = self._open(info, file.partition_expression)
        return [
            _RowGroup(info.path, info.size, file.partition_expression, group.id, group.num_rows)
            for group in fragment.row_groups
            if group.num_rows
        ], fragment

    def _names(self, known, pandas_metadata):
        """The columns to read: features, targets and weights."""
        others = self._targets + self._weights
        if self.columns is not None:
            return self.columns + others
        index = pandas_metadata["index_columns"] if pandas_metadata else []
        return [name for name in known if name not in index + others] + others

    def _check_names(self, names, known, path):
        """Raise ValueError if a column does not exist or is named twice."""
        arguments = {"columns": self.columns or [], "target": self._targets, "sample_weight": self._weights}
        for argument, given in arguments.items():
            for name in given:
                if name not in known:
                    advice = suggest(name, known) or f" Its columns are {reprlib.repr([*known])}."
                    raise ValueError(f"{argument} has {name!r}, which is not a column of {path}.{advice}")
                if names.count(name) > 1:
                    raise ValueError(
                        f"{argument} has {name!r}, which columns, target and sample_weight name {names.count(name)} "
                        "times. Name each column once."
                    )

    def _open(self, info, partition):
        """A file as a fragment with its metadata, which stay in memory until another file is opened.

        Metadata describe all row groups of a file: reading them can take as long as reading a small row group. A pickle
        of the fragment does not contain them.
        """
        version = info.path, info.size, info.mtime_ns
        opened, fragment = self._opened
        if version != opened:
            fragment = self._format.make_fragment(info.path, self._filesystem, partition)
            fragment.ensure_complete_metadata()
            self._opened = version, fragment
        return fragment

    def _read(self, row_group):
        """The table of a row group, if the file has not changed since construction."""
        info = self._filesystem.get_file_info(row_group.path)
        if info.is_file and info.size != row_group.size:
            raise _has_changed(row_group, f"It had {row_group.size} bytes and has {info.size}.")
        fragment = self._open(info, row_group.partition)
        metadata = fragment.metadata
        is_there = row_group.number < metadata.num_row_groups
        n_rows = metadata.row_group(row_group.number).num_rows if is_there else 0
        if n_rows != row_group.n_rows:
            raise _has_changed(
                row_group, f"Its row group {row_group.number} had {row_group.n_rows} rows and has {n_rows}."
            )
        return fragment.subset(row_group_ids=[row_group.number]).to_table(schema=self._schema)


class _RowGroup(NamedTuple):
    """A row group, and what it and its file were at construction."""

    path: str
    size: int
    partition: Any
    number: int
    n_rows: int


def _find_files(path):
    """The dataset of a path, of which pyarrow has read the schema of the first file."""
    try:
        dataset = ds.dataset(path, format="parquet", partitioning="hive")
    except FileNotFoundError as error:
        raise FileNotFoundError(f"path={path!r}: there is no file or directory {error}.") from error
    except IsADirectoryError as error:
        raise IsADirectoryError(
            f"path={path!r} has a directory in the list. Pass a single directory, or a list of files."
        ) from error
    if not dataset.files:
        raise ValueError(
            f"path={path!r} has no Parquet files. (Files whose names begin with '.' or '_' are skipped in a directory.)"
        )
    return dataset


def _type(field):
    """The type of a column, with one integer type for the indices of all dictionaries.

    pandas writes the smallest type that the number of categories allows, which can differ between files.
    """
    if not pa.types.is_dictionary(field.type):
        return field.type
    return pa.dictionary(pa.int32(), field.type.value_type, field.type.ordered)


def _to_numpy(column, argument, name, row_group):
    """A column of labels, targets or weights as an array; ValueError if it has nulls."""
    if column.null_count:
        raise ValueError(
            f"{argument} has {column.null_count} nulls in the column {name!r} of {row_group.path}, row group "
            f"{row_group.number}. Drop their rows, or fill them in."
        )
    return column.to_numpy()


def _has_changed(row_group, how):
    return RuntimeError(f"{row_group.path} has changed since ParquetBlocks was created. {how} Create it again.")
