"""Checkpoint files of unfinished training runs: writing, reading and validation.

A file consists of a line with the name of the format, the SHA-256 of the remaining bytes, and an uncompressed NPZ of
the arrays, one of which contains everything else as JSON. It contains no code.
"""

import errno
import io
import json
import os
import re
from contextlib import suppress
from hashlib import sha256
from numbers import Real
from pathlib import Path
from uuid import uuid4

import joblib
import numpy as np

from sklearn_mlp._checks import to_host

FORMAT = b"sklearn_mlp checkpoint 1\n"
N_SAMPLED_ROWS = 1000
ABANDONED_AFTER = 3600  # seconds without a change of a temporary file
# Parameters that affect where training runs, what it prints and when it ends, but not the result of an epoch.
MAY_DIFFER = {"device", "verbose", "warm_start", "max_iter", "max_fun"}


def prepare(path):
    """Raise an error if `path` cannot be written, and remove the temporary files that killed processes have left.

    A temporary file that is younger than an hour can be in use by another process.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    try:
        _write_durably(temporary, [FORMAT])
        now = temporary.stat().st_mtime  # of the file system, whose clock may be another one
    finally:
        temporary.unlink(missing_ok=True)
    ours = re.compile(re.escape(path.name) + r"\.[0-9a-f]{32}\.tmp")
    for file in path.parent.iterdir():
        if ours.fullmatch(file.name):
            with suppress(OSError):
                if now - file.stat().st_mtime > ABANDONED_AFTER:
                    file.unlink()


def write_checkpoint(path, content, keep=1):
    """Atomically write nested dicts and lists of arrays, numbers, strings and None to `path`.

    Its predecessors stay as ``path.1`` to ``path.{keep - 1}``. Nothing changes until the new file is complete, and
    nothing is removed until it is in place: the oldest is ``path.{keep}`` in between.
    """
    arrays = []
    tree = json.dumps(_take_out_arrays(content, arrays)).encode()
    buffer = io.BytesIO()
    np.savez(buffer, tree=np.frombuffer(tree, np.uint8), **{str(i): array for i, array in enumerate(arrays)})
    payload = buffer.getbuffer()
    new = _temporary(path)
    kept = [path, *(path.with_name(f"{path.name}.{i}") for i in range(1, keep + 1))]
    try:
        _write_durably(new, [FORMAT, sha256(payload).digest(), payload])
        if keep > 1:
            with suppress(FileNotFoundError):  # it is the first one, or another process moves the files
                _rotate(kept)
        os.replace(new, path)
        if keep > 1:
            kept[keep].unlink(missing_ok=True)
    finally:
        new.unlink(missing_ok=True)
    if os.name == "posix":
        # Make the renames durable in case of a power failure.
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _rotate(kept):
    """Make the newest file also its own predecessor, and move the others up to the first free name."""
    newest, *older = kept
    if older[0].exists() and _head(newest) == _head(older[0]):
        return  # an interrupted write came as far as this
    copy = _temporary(newest)
    try:
        try:
            os.link(newest, copy)
        except OSError:  # a file system without hard links
            _write_durably(copy, [newest.read_bytes()])
        free = next((i for i, file in enumerate(older) if not file.exists()), len(older) - 1)
        for i in reversed(range(free)):
            os.replace(older[i], older[i + 1])
        os.replace(copy, older[0])
    finally:
        copy.unlink(missing_ok=True)


def _head(path):
    with open(path, "rb") as file:
        return file.read(len(FORMAT) + sha256().digest_size)


def _temporary(path):
    return path.with_name(f"{path.name}.{uuid4().hex}.tmp")


def _write_durably(path, chunks):
    with open(path, "xb") as file:
        file.writelines(chunks)
        file.flush()
        os.fsync(file.fileno())


def read_checkpoint(path):
    """Read and verify the content of `path`."""
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise type(error)(
            error.errno,
            f"resume_from={str(path)!r} cannot be read ({error.strerror}); resume_from=None starts a new fit",
        ) from error
    if not data.startswith(FORMAT):
        raise ValueError(
            f"resume_from={str(path)!r} does not begin as a checkpoint of this version of sklearn_mlp does. Pass a "
            "file that sklearn_mlp.callbacks.Checkpoint has written, or start a new fit with resume_from=None."
        )
    start = len(FORMAT) + sha256().digest_size
    payload = memoryview(data)[start:]
    if sha256(payload).digest() != data[len(FORMAT) : start]:
        raise ValueError(
            f"resume_from={str(path)!r} is damaged: its content does not have the checksum that was written with it. "
            "Pass an older checkpoint (see the parameter keep of Checkpoint), or start a new fit with resume_from=None."
        )
    with np.load(io.BytesIO(payload), allow_pickle=False) as arrays:
        return _put_in_arrays(json.loads(arrays["tree"].tobytes()), arrays)


def identity(estimator, device, **data):
    """Fingerprint of estimator, parameters and data; to resume from a checkpoint, it must match the checkpoint's."""
    return {
        "estimator": type(estimator).__name__,
        "parameters": {name: _describe(value) for name, value in estimator.get_params(deep=False).items()},
        "data": {name: _fingerprint(array, device) for name, array in data.items()},
    }


def check_identity(path, theirs, ours, needs_max_iter):
    """Raise an error if a checkpoint belongs to another training run."""
    if theirs["estimator"] != ours["estimator"]:
        what = f"is of a {theirs['estimator']}, and this is a {ours['estimator']}"
    elif theirs["data"] != ours["data"]:
        changed = [name for name, of_data in ours["data"].items() if of_data != theirs["data"].get(name)]
        what = f"is of other data: {', '.join(changed)} differ in shape, dtype or values"
    else:
        may_differ = MAY_DIFFER - {"max_iter"} if needs_max_iter else MAY_DIFFER
        changed = [
            f"{name} was {theirs['parameters'].get(name)}, and is {value}"
            for name, value in ours["parameters"].items()
            if name not in may_differ and theirs["parameters"].get(name) != value
        ]
        if not changed:
            return
        what = f"is of other parameters: {'; '.join(changed)}"
    raise ValueError(
        f"resume_from={str(path)!r} {what}, and training would give another result. Pass those that the checkpoint was "
        "written with, or start a new fit with resume_from=None."
    )


def _describe(value):
    if isinstance(value, bool | np.bool_ | str) or value is None:
        return str(value)
    if isinstance(value, Real):
        return repr(float(value))
    if isinstance(value, dict):
        return str({str(key): _describe(of_key) for key, of_key in value.items()})
    if isinstance(value, list | tuple | np.ndarray):
        return str([_describe(item) for item in value])
    if callable(value):
        return getattr(value, "__qualname__", type(value).__qualname__)
    return type(value).__qualname__  # a RandomState, whose state the checkpoint contains


def _fingerprint(array, device):
    """Hash of shape, dtype and up to `N_SAMPLED_ROWS` evenly spaced rows, including the first and the last."""
    if array is None:
        return None
    n_rows = array.shape[0]
    rows = np.unique(np.linspace(0, n_rows - 1, min(n_rows, N_SAMPLED_ROWS)).astype(np.intp))
    sample = to_host(array[rows], device)
    return joblib.hash([array.shape, str(array.dtype), sample], hash_name="sha1")


def _take_out_arrays(node, arrays):
    """Replace the arrays in `node` by their indices in `arrays`, to which they are appended."""
    if isinstance(node, dict):
        return {name: _take_out_arrays(child, arrays) for name, child in node.items()}
    if isinstance(node, list | tuple):
        return [_take_out_arrays(child, arrays) for child in node]
    if isinstance(node, np.ndarray):
        arrays.append(node)
        return {"array": len(arrays) - 1}
    return node


def _put_in_arrays(node, arrays):
    if isinstance(node, dict):
        if node.keys() == {"array"}:
            return arrays[str(node["array"])]
        return {name: _put_in_arrays(child, arrays) for name, child in node.items()}
    if isinstance(node, list):
        return [_put_in_arrays(child, arrays) for child in node]
    return node
