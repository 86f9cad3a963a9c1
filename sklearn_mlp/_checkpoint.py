"""Files that hold a training that is not over: how they are written, read and recognised.

A file is a line that names the format, the SHA-256 of what follows, and an uncompressed NPZ of the arrays, one of which
has all else as JSON: nothing in it is code.
"""

import io
import json
import os
import uuid
from hashlib import sha256
from numbers import Real
from pathlib import Path

import joblib
import numpy as np

from sklearn_mlp._validation import to_host

FORMAT = b"sklearn_mlp checkpoint 1\n"
N_SAMPLED_ROWS = 1000
# They change where training runs, what it prints and how long it goes on, not what an epoch does.
MAY_DIFFER = {"device", "verbose", "warm_start", "max_iter", "max_fun"}


def write_checkpoint(path, content):
    """Write nested dicts and lists of arrays, numbers, strings and None; whoever reads `path` finds all of it or what
    was there before.
    """
    arrays = []
    tree = json.dumps(_take_out_arrays(content, arrays)).encode()
    buffer = io.BytesIO()
    np.savez(buffer, tree=np.frombuffer(tree, np.uint8), **{str(i): array for i, array in enumerate(arrays)})
    payload = buffer.getbuffer()
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(FORMAT + sha256(payload).digest())
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    if os.name == "posix":
        # The new name survives a power failure, too.
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def remove_leftovers(path):
    """Remove what writers of `path` have left that were killed."""
    prefix = f"{path.name}."
    for file in path.parent.iterdir():
        if file.name.startswith(prefix) and file.name.endswith(".tmp"):
            file.unlink(missing_ok=True)


def read_checkpoint(path):
    """What was written to `path`."""
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise type(error)(
            error.errno, f"resume_from={str(path)!r} cannot be read ({error.strerror}); resume_from=None trains anew"
        ) from error
    if not data.startswith(FORMAT):
        raise ValueError(
            f"resume_from={str(path)!r} does not begin as a checkpoint of this version of sklearn_mlp does. Pass a "
            "file that sklearn_mlp.callbacks.Checkpoint has written, or train anew with resume_from=None."
        )
    start = len(FORMAT) + 32
    payload = memoryview(data)[start:]
    if sha256(payload).digest() != data[len(FORMAT) : start]:
        raise ValueError(
            f"resume_from={str(path)!r} is damaged: its content does not have the checksum that was written with it. "
            "Pass an older checkpoint (see the parameter keep of Checkpoint), or train anew with resume_from=None."
        )
    with np.load(io.BytesIO(payload), allow_pickle=False) as arrays:
        return _put_in_arrays(json.loads(arrays["tree"].tobytes()), arrays)


def identity(estimator, device, **data):
    """What a training has to have in common with the one of a checkpoint to go on from there."""
    return {
        "estimator": type(estimator).__name__,
        "parameters": {name: _describe(value) for name, value in estimator.get_params(deep=False).items()},
        "data": {name: _fingerprint(array, device) for name, array in data.items()},
    }


def check_identity(path, theirs, ours, needs_max_iter):
    """Refuse a checkpoint of another training."""
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
        f"resume_from={str(path)!r} {what}. Training would not end as it would have: pass what the checkpoint was made "
        "with, or train anew with resume_from=None."
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
    return type(value).__qualname__  # a RandomState, whose state is in the checkpoint


def _fingerprint(array, device):
    """A hash of shape, dtype and up to `N_SAMPLED_ROWS` rows, the first and the last among them."""
    if array is None:
        return None
    n_rows = array.shape[0]
    rows = np.unique(np.linspace(0, n_rows - 1, min(n_rows, N_SAMPLED_ROWS)).astype(np.intp))
    sample = to_host(array[rows], device)
    return joblib.hash([array.shape, str(array.dtype), sample], hash_name="sha1")


def _take_out_arrays(node, arrays):
    """`node` with the arrays in it replaced by their numbers in `arrays`, to which they are added."""
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
