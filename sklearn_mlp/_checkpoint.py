"""Checkpoint files of unfinished training runs: writing, reading and validation.

A file consists of a line with the name of the format, the SHA-256 of the remaining bytes, the length of a JSON text as
eight bytes, the text, and the bytes of the one-dimensional arrays to which it refers. It contains no code, and nothing
in it is used before it is validated: its source may not be trusted.
"""

import copyreg
import errno
import json
import os
import re
from contextlib import suppress
from hashlib import sha256
from math import ceil, inf, isfinite
from numbers import Real
from pathlib import Path
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from uuid import uuid4

import joblib
import numpy as np

from sklearn_mlp._checks import to_host

FORMAT = b"sklearn_mlp checkpoint 2\n"
DTYPES = [np.dtype(dtype).str for dtype in (np.float32, np.float64, np.uint32, np.intp)]
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
        now = temporary.stat().st_mtime  # by the clock of the file system, which may differ
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

    Its predecessors are kept as ``path.1`` to ``path.{keep - 1}``. Nothing changes until the new file is complete, and
    nothing is removed until it is in place: until then, the oldest is ``path.{keep}``.
    """
    arrays = []
    tree = json.dumps(_take_out_arrays(content, arrays)).encode()
    payload = [len(tree).to_bytes(8, "little"), tree, *arrays]
    digest = sha256()
    for chunk in payload:
        digest.update(chunk)
    new = _temporary(path)
    kept = [path, *(path.with_name(f"{path.name}.{i}") for i in range(1, keep + 1))]
    try:
        _write_durably(new, [FORMAT, digest.digest(), *payload])
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
        return  # an earlier write was interrupted after this step
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
    """Read a file, and validate the parts that do not depend on the fit; `check_snapshot` validates the others."""
    path = Path(path)
    try:
        with open(path, "rb") as file:
            is_ours = file.read(len(FORMAT)) == FORMAT
            checksum, payload = (file.read(sha256().digest_size), memoryview(file.read())) if is_ours else (b"", b"")
    except OSError as error:
        raise type(error)(
            error.errno,
            f"resume_from={str(path)!r} cannot be read ({error.strerror}); resume_from=None starts a new fit",
        ) from error
    if not is_ours:
        raise ValueError(
            f"resume_from={str(path)!r} is not a checkpoint of this version of sklearn_mlp. Pass a file that "
            "sklearn_mlp.callbacks.Checkpoint has written, or start a new fit with resume_from=None."
        )
    if sha256(payload).digest() != checksum:
        raise ValueError(
            f"resume_from={str(path)!r} is damaged: its content does not match its checksum. Pass an older checkpoint "
            "(see the parameter keep of Checkpoint), or start a new fit with resume_from=None."
        )
    end = 8 + int.from_bytes(payload[:8], "little")
    try:
        content = _put_in_arrays(json.loads(payload[8:end].tobytes()), payload[end:])
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(_invalid(path, "content")) from error
    random_state = np.random.RandomState(0).get_state(legacy=False)
    of_identity = {"estimator": "", "parameters": {}, "data": {}}
    _check(path, content, {"identity": of_identity, "random_state": random_state, "fit": ...}, "content")
    _check_random_state(path, content["random_state"])
    return content


def check_snapshot(path, snapshot, training, history):
    """Raise an error if `snapshot`, which `read_checkpoint` has read, is not one of this fit.

    Parameters
    ----------
    path : str or path-like
    snapshot : object
    training : Training
    history : History
        Both as they are at the beginning of the fit.
    """
    template = training.snapshot()
    if training.restores_best:
        template["best_theta"] = (template["theta"], None)
    optional = dict.fromkeys(("best_loss_", "best_validation_score_"), (0.0, None))
    template["record"] = history.state() | optional | {"loss_": 0.0}
    _check(path, snapshot, template, "fit")
    _check_random_state(path, snapshot["random_state"])
    batches, state = training.batches, snapshot["training"]
    n_steps = snapshot["record"]["n_iter_"] * ceil(batches.n_rows / batches.batch_size)
    is_valid = {
        "rows": batches.rows is None or np.array_equal(np.sort(snapshot["rows"]), np.sort(batches.rows)),
        "seen_weight": 0 <= state["seen_weight"] < inf,
        "learning_rate": 0 <= state["schedule"].get("learning_rate", 0) < inf,
        "n_taken": state["schedule"].get("n_taken", 0) <= n_steps,
    }
    for name, valid in is_valid.items():
        if not valid:
            raise ValueError(_invalid(path, name))


def _check_random_state(path, state):
    # NumPy does not check the position, and reads beyond the key.
    is_valid = state["state"]["pos"] <= 624 and state["has_gauss"] <= 1 and isfinite(state["gauss"])
    if not is_valid or state["bit_generator"] != "MT19937":
        raise ValueError(_invalid(path, "random_state"))


def _check(path, content, template, name):
    """Raise an error if `content` is not like `template`.

    Dicts have the same keys, arrays the same dtype and shape, and other values the same type. A tuple contains
    alternatives, an empty dict means one of strings or None, an empty list one of floats, an ellipsis any value. An
    integer is a count.
    """
    if template is ...:
        return
    if isinstance(template, tuple):
        template = next((each for each in template if type(each) is type(content)), ...)
    is_like, parts = type(content) is type(template), ()
    if is_like and isinstance(template, dict):
        parts = template.keys()
        is_like = content.keys() == parts if parts else all(isinstance(of, str | None) for of in content.values())
    elif is_like and isinstance(template, list):
        parts = range(len(template))
        is_like = len(content) == len(parts) if parts else all(type(item) is float for item in content)
    elif is_like and isinstance(template, np.ndarray):
        is_like = (content.dtype, content.shape) == (template.dtype, template.shape)
    elif is_like and type(template) is int:
        is_like = 0 <= content < 2**53
    if not is_like:
        raise ValueError(_invalid(path, name))
    for part in parts:
        _check(path, content[part], template[part], f"{name}.{part}")


def _invalid(path, name):
    return (
        f"resume_from={str(path)!r} is not a checkpoint of this fit: its {name} is not valid. Pass a file that "
        "sklearn_mlp.callbacks.Checkpoint has written for it, or start a new fit with resume_from=None."
    )


def identity(estimator, device, more_parameters, **data):
    """Fingerprint of estimator, parameters and data; to resume from a checkpoint, it must match the checkpoint's."""
    parameters = estimator.get_params(deep=False) | more_parameters
    return {
        "estimator": type(estimator).__name__,
        "parameters": {name: _describe(value) for name, value in parameters.items()},
        "data": {name: _fingerprint(array, device) for name, array in data.items()},
    }


def check_identity(path, theirs, ours, needs_max_iter):
    """Raise an error if a checkpoint belongs to another training run."""
    if theirs["estimator"] != ours["estimator"]:
        what = f"was written by a {theirs['estimator']:.100}, and this is a {ours['estimator']}"
    elif theirs["data"] != ours["data"]:
        changed = [name for name, of_data in ours["data"].items() if of_data != theirs["data"].get(name)]
        what = f"was written for other data: {', '.join(changed)} differ in shape, dtype or values"
    else:
        may_differ = MAY_DIFFER - {"max_iter"} if needs_max_iter else MAY_DIFFER
        changed = [
            f"{name} was {theirs['parameters'].get(name)!s:.100}, and is {value:.100}"
            for name, value in ours["parameters"].items()
            if name not in may_differ and theirs["parameters"].get(name) != value
        ]
        if not changed:
            return
        what = f"was written with other parameters: {'; '.join(changed)}"
    raise ValueError(
        f"resume_from={str(path)!r} {what}, and training would give another result. Pass those of the checkpoint, or "
        "start a new fit with resume_from=None."
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
    if isinstance(value, np.random.RandomState):
        return "RandomState"  # the checkpoint contains its state
    digest = sha256(repr(_content(value, {})).encode(errors="backslashreplace")).hexdigest()
    return f"{_name(value)} (code and variables: {digest[:12]})"


def _name(value):
    return getattr(value, "__qualname__", None) or getattr(value, "__name__", type(value).__qualname__)


def _content(value, seen):
    """Everything that distinguishes `value`, as nested lists with the same repr in every process.

    A function consists of its code, its attributes and default values, and the variables of enclosing functions; any
    other object of its class and its pickled state. Functions of the main script, which may have been edited since,
    also consist of the global variables that they use, and its classes of their members.
    """
    if value is None or type(value) in (bool, int, float, complex, str, bytes):
        return repr(value)
    if type(value) is tuple:
        return [_content(item, seen) for item in value]
    if type(value) in (set, frozenset):
        return sorted(repr(_content(item, dict(seen))) for item in value)
    if isinstance(value, CodeType):
        return [value.co_code, value.co_names, _content(value.co_consts, seen)]
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return joblib.hash(value)
    if id(value) in seen:
        return seen[id(value)][0]
    seen[id(value)] = len(seen), value  # keeps `value` alive, whose id could be reused
    if type(value) in (list, dict):
        return [_content(item, seen) for item in (value if type(value) is list else value.items())]
    module = getattr(value, "__module__", None)
    parts = _parts(value, module == "__main__")
    return [type(value).__qualname__, module, _name(value), *(_content(part, seen) for part in parts)]


def _parts(value, in_script):
    if isinstance(value, FunctionType):
        code, variables = value.__code__, value.__globals__
        cells = [cell.cell_contents for cell in value.__closure__ or () if cell != CellType()]  # that is, not empty
        used = [variables.get(name) for name in sorted(_names(code))] if in_script else []
        return [code, value.__defaults__, value.__kwdefaults__, vars(value), *cells, *used]
    if isinstance(value, MethodType):
        return [value.__func__, value.__self__]
    if isinstance(value, type):
        members = [item for item in sorted(vars(value).items()) if callable(item[1]) or not item[0].startswith("__")]
        return [*value.__bases__, *members] if in_script else []
    if isinstance(value, property):
        return [value.fget]
    if isinstance(value, ModuleType):
        return []
    if hasattr(value, "__wrapped__"):  # such as a function that Numba compiles
        return [value.__wrapped__]
    reduce = copyreg.dispatch_table.get(type(value))
    try:
        return [reduce(value) if reduce else value.__reduce_ex__(4)]
    except Exception:  # types raise different errors if they cannot be pickled
        return [type(value), getattr(value, "__dict__", None)]


def _names(code):
    """The global variables and attributes to which a function and its inner functions refer."""
    return {*code.co_names}.union(*(_names(const) for const in code.co_consts if isinstance(const, CodeType)))


def _fingerprint(array, device):
    """Hash of shape, dtype and up to `N_SAMPLED_ROWS` evenly spaced rows, including the first and the last."""
    if array is None:
        return None
    n_rows = array.shape[0]
    rows = np.unique(np.linspace(0, n_rows - 1, min(n_rows, N_SAMPLED_ROWS)).astype(np.intp))
    sample = to_host(array[rows], device)
    return joblib.hash([array.shape, str(array.dtype), sample], hash_name="sha1")


def _take_out_arrays(node, arrays):
    """Replace the arrays in `node` by references to their positions in `arrays`, to which they are appended."""
    if isinstance(node, dict):
        return {name: _take_out_arrays(child, arrays) for name, child in node.items()}
    if isinstance(node, list | tuple):
        return [_take_out_arrays(child, arrays) for child in node]
    if isinstance(node, np.ndarray):
        start = sum(array.nbytes for array in arrays)
        arrays.append(np.ascontiguousarray(node))
        return {"dtype": node.dtype.str, "start": start, "stop": start + node.nbytes}
    return node


def _put_in_arrays(node, data):
    if isinstance(node, dict):
        if node.keys() == {"dtype", "start", "stop"}:
            if node["dtype"] not in DTYPES:
                raise ValueError("dtype")
            return np.frombuffer(data[node["start"] : node["stop"]], node["dtype"])
        return {name: _put_in_arrays(child, data) for name, child in node.items()}
    if isinstance(node, list):
        return [_put_in_arrays(child, data) for child in node]
    return node
