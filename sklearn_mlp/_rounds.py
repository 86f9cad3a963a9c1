"""The tasks of the workers of a cluster: pure functions, which Dask can repeat on another worker."""

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, inf
from typing import Any, NamedTuple

import numpy as np
from dask.sizeof import sizeof

from sklearn_mlp._caller import no_warnings
from sklearn_mlp._checks import shallow_copy
from sklearn_mlp._fit import OF_X
from sklearn_mlp._plan import make_plan
from sklearn_mlp._survey import Survey
from sklearn_mlp.core.blocks import join
from sklearn_mlp.core.lbfgs import mean_loss as mean_loss_of
from sklearn_mlp.core.parameters import Parameters, n_parameters
from sklearn_mlp.core.training import Solver
from sklearn_mlp.devices import kernels_for, resolve_device
from sklearn_mlp.devices.blas import at_most_blas_threads
from sklearn_mlp.devices.encoded import EncodedTable


class Shard:
    """The rows of several partitions in the form used in training.

    Parameters
    ----------
    data : Data
    encoding : Encoding or None
        If X is the table of an `EncodedTable`.
    partitions : tuple of (int, int)
        The number and the size of each partition.
    """

    def __init__(self, data, encoding, partitions):
        self.data = data
        self.encoding = encoding
        self.partitions = partitions
        self._on_device = None

    def on_device(self, plan):
        """X prepared for training on the device, once for all rounds."""
        if self._on_device is None:
            X = self.data.X if self.encoding is None else EncodedTable(self.data.X, self.encoding)
            self._on_device = plan.device.prepare_rows(X, plan.dtype, gather=True)
        return self.data._replace(X=self._on_device)

    def __getstate__(self):
        return vars(self) | {"_on_device": None}

    def __sizeof__(self):
        """The size, for Dask, which moves small data to idle threads."""
        return sum(map(sizeof, self.data[:3]))


@dataclass  # Dask looks for tasks in tuples
class At:
    """The parameters and the state of the solver between rounds; and the loss and number of rows of the last round."""

    parameters: dict
    state: dict
    loss: float = inf
    n_rows: int = 0

    def __sizeof__(self):
        return sizeof(self.parameters) + sizeof(self.state)


@dataclass
class Run:
    """The small description of the training run that a round needs."""

    mlp: Any
    device: str
    dtype: Any
    task: Any
    loss: Any
    held_out: Any
    n_steps: int
    dropout_seed: int
    total_weight: float

    def plan(self):
        with no_warnings():  # the client has warned
            device = kernels_for(resolve_device(self.device), inf)
            return make_plan(self.mlp, device, self.dtype, self.task, self.loss, False)


def same(argument):
    """The argument; as the result of a task, Dask can restore it."""
    return argument


# -- data --------------------------------------------------------------------------------------------------------------


class Features(NamedTuple):
    """The attributes of the features that a reader has found in a partition."""

    partition: int
    of_mlp: dict
    of_reader: dict


def survey(reader, kind, reset, n_sampled, i, parts):
    """The survey of one partition, and its `Features` if it has rows."""
    reader = reader.of({i: parts})
    found = Survey(n_sampled)
    rows = reader.read(i, reset)
    found.add(i, rows, kind)
    of_mlp = {name: vars(reader.mlp)[name] for name in OF_X if name in vars(reader.mlp)}
    of_reader = {"names": reader.names} if hasattr(reader, "names") else {}
    return found, None if rows is None else Features(i, of_mlp, of_reader)


def merge_surveys(results):
    """The results of `survey` for several partitions as one."""
    merged, features = Survey(results[0][0].n_sampled), None
    for found, theirs in results:
        merged.merge(found)
        features = features or theirs
        if theirs is not None:
            (i, ours, _), (j, other, _) = features, theirs
            same = ours.keys() == other.keys() and all(np.array_equal(ours[name], other[name]) for name in ours)
            if not same:
                names = [each.get("feature_names_in_", f"{each['n_features_in_']} features") for each in (ours, other)]
                raise ValueError(f"Partition {i} of X has {names[0]}, and partition {j} has {names[1]}.")
    return merged, features


def make_shard(training_set, numbers, blocks):
    """The shard of the partitions with these numbers."""
    training_set = shallow_copy(training_set)  # other tasks of this process have the same object
    training_set.reader = training_set.reader.of(dict(zip(numbers, blocks, strict=True)))
    n_rows_of = training_set.n_rows_of
    parts = map(training_set.load, numbers)
    n_rows = sum(n_rows_of[i] for i in numbers)
    data = next(parts) if len(numbers) == 1 else join(parts, n_rows)
    if isinstance(data.X, np.ndarray):
        data = data._replace(X=np.ascontiguousarray(data.X))  # rows are gathered
    return Shard(data, training_set.encoding, tuple((i, n_rows_of[i]) for i in numbers))


def read_held_out(reader, held_out, i, block):
    """The rows of a partition that are `held_out`, as the user gave them."""
    rows = reader.of({i: block}).read(i)
    return rows.take(np.flatnonzero(held_out.mask(i, rows.y.shape[0])))


def take_held_out(held_out, shard, k):
    """The rows of a shard that are `held_out`, in the form used in training."""
    return shard.data.take(np.flatnonzero(_mask(shard.partitions, held_out)))


def _mask(partitions, held_out):
    return np.concatenate([held_out.mask(i, n) for i, n in partitions])


def stack(parts):
    """The results of `take_held_out` as one."""
    return join(iter(parts), sum(part.n_rows for part in parts))


# -- rounds ------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=8)  # or each round would shuffle all rows of the epoch
def _order(partitions, held_out, order, k):
    """The numbers of the rows of shard `k` that are trained on, in the order of an epoch."""
    if held_out is None:
        rows = np.arange(sum(n for _, n in partitions), dtype=np.int32)
    else:
        rows = np.flatnonzero(~_mask(partitions, held_out)).astype(np.int32)
    if order is not None:
        np.random.RandomState([order, k]).shuffle(rows)
    rows.flags.writeable = False
    return rows


def train(at, shard, k, run, order, part, n_parts):
    """Train on part number `part` of `n_parts` of an epoch of shard `k`, and return the result as `At`."""
    plan = run.plan()
    with at_most_blas_threads(1), plan.device.active(), np.errstate(all="ignore"):
        rows = _order(shard.partitions, run.held_out, order, k)
        n_steps = ceil(len(rows) / plan.batch_size)
        start, stop = part * n_steps // n_parts, (part + 1) * n_steps // n_parts
        if start == stop:
            return At(at.parameters, at.state)
        data = shard.on_device(plan)._replace(rows=rows[start * plan.batch_size : stop * plan.batch_size])
        theta = Parameters(at.parameters["theta"].copy(), plan.slots(data.X.shape[1]))
        seed = int(np.random.SeedSequence([run.dropout_seed, k]).generate_state(1)[0]) >> 1
        solver = Solver(plan, theta, run.n_steps, seed)
        solver.load_parameters(at.parameters)
        solver.load(at.state)
        loss, n_rows = solver.steps(data.batches(plan.device, plan.dtype, plan.batch_size))
        return At(solver.parameters(), solver.state(), loss, n_rows)


def average(results):
    """The mean of parameters and states, weighted by the rows of each.

    Counts, such as the steps of Adam, are those of the result with the most.
    """
    mean = results[0]
    for other in results[1:]:
        n_rows = mean.n_rows + other.n_rows
        if not other.n_rows:
            continue
        if not mean.n_rows:
            mean = other
            continue
        share = other.n_rows / n_rows
        loss = mean.loss + share * (other.loss - mean.loss)
        parameters = _mean(mean.parameters, other.parameters, share)
        mean = At(parameters, _mean(mean.state, other.state, share), loss, n_rows)
    return mean


def _mean(one, other, share):
    if isinstance(one, dict):
        return {name: _mean(one[name], other[name], share) for name in one}
    if isinstance(one, list):
        return [_mean(*pair, share) for pair in zip(one, other, strict=True)]
    if isinstance(one, np.ndarray):
        return one + one.dtype.type(share) * (other - one)
    return one if one is None else max(one, other)


def mean_loss(x, shard, k, run):
    """The contribution of a shard to the mean loss over all rows and to its gradient."""
    plan = run.plan()
    with at_most_blas_threads(1), plan.device.active(), np.errstate(all="ignore"):
        data = shard.on_device(plan)
        slots = plan.slots(data.X.shape[1])
        objective = plan.objective(Parameters(np.empty(n_parameters(slots), plan.dtype), slots))
        return mean_loss_of(plan, data, run.total_weight, objective)(x)


def add(results):
    """The sum of the results of `mean_loss`."""
    return sum(loss for loss, _ in results), sum(gradient for _, gradient in results)
