"""Training on the workers of a Dask cluster.

The partitions of the data are distributed over shards, which the workers keep in memory. In a round, each shard is
trained on for some steps, starting from the same parameters and state of the solver; then both are averaged over the
shards, weighted by rows: local SGD (Stich, ICLR 2019; Lin et al., ICLR 2020). A round is a pure function, so that Dask
can repeat any part of it on another worker, and the result depends on the shards but not on the workers.
"""

import threading
from math import ceil, inf, log2
from typing import Any, NamedTuple

import dask
import dask.array as da
import numpy as np
from dask.delayed import delayed
from distributed import CancelledError, KilledWorker, get_client
from distributed.comm import connect
from sklearn.base import is_classifier

from sklearn_mlp import _rounds as rounds
from sklearn_mlp._blocks import N_SAMPLED, BlockReader, BlocksTrainingSet, check_survey
from sklearn_mlp._caller import warn
from sklearn_mlp._checks import read_array
from sklearn_mlp._fit import OF_X, Inputs
from sklearn_mlp._plan import continues_fit, training_dtype
from sklearn_mlp._scales import check_scale
from sklearn_mlp._survey import LabelCounts, Moments, stack_rows
from sklearn_mlp._tabular_blocks import N_SAMPLED as N_SAMPLED_OF_TABLES
from sklearn_mlp._tabular_blocks import TabularBlocksFit, refuse_groups
from sklearn_mlp._tabular_fit import TableReader
from sklearn_mlp._validation_set import ValidationSet
from sklearn_mlp.core.batches import Data
from sklearn_mlp.core.training import Training
from sklearn_mlp.devices import resolve_device
from sklearn_mlp.devices.encoded import EncodedTable

# Maximum number of results that a task of a reduction takes.
FAN_IN = 8
SECONDS_FOR_WORKERS = 60
SECONDS_TO_CONNECT = 2
# A lock for the configuration of Dask, which all threads share.
config_lock = threading.Lock()
# Assumptions of `sync_every="auto"` about any cluster: the overhead of a round, the bandwidth, the time of a step of a
# tiny network and the floating point operations per second of a thread; and the accepted relative overhead.
ROUND_SECONDS, BYTES_PER_SECOND, STEP_SECONDS, FLOPS, ACCEPTED = 0.05, 5e8, 5e-5, 4e10, 0.05


class Lost(RuntimeError):
    """Tasks or data are no longer on the cluster."""


class Cluster:
    """The tasks of one fit on a cluster; the end of the context cancels those that are left.

    Parameters
    ----------
    estimator : DaskMLPClassifier or another of the module `dask`
    """

    def __init__(self, estimator):
        self.client = _client(estimator.client)
        self.direct = _reaches_workers(self.client)
        self.n_shards = estimator.n_shards
        self.sync_every = estimator.sync_every
        self.device_name = estimator.device
        self.n_rounds = 0
        # Attributes of the fitted estimator.
        self.attributes = {"client_": self.client, "device_": estimator.device}
        self._futures = set()
        self._lock = threading.Lock()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        # The traceback of an error may keep the futures alive.
        with self._lock:
            left, self._futures = self._futures, set()
        if left:
            self.client.cancel([*left], force=True)

    # -- the interface for `BaseMLP` -----------------------------------------------------------------------------------

    def device(self, estimator):
        return resolve_device("cpu")  # of the client, which may not have a GPU

    def snapshot(self, estimator):
        return estimator._local()

    def read_arrays(self, estimator, inputs, device):
        """The arguments of fit: X is the `Partitions` of the training set; the validation set is in memory here."""
        partitions = Partitions.of(estimator, inputs.X, inputs.y, inputs.sample_weight)
        of_validation = {"X_val": inputs.X_val, "y_val": inputs.y_val, "sample_weight_val": inputs.sample_weight_val}
        local = estimator._local()
        arrays = {
            name: read_array(local, name, self._compute_here(array), device) for name, array in of_validation.items()
        }
        return Inputs(partitions, None, **arrays)

    def _compute_here(self, array):
        return self.client.compute(array).result() if dask.is_dask_collection(array) else array

    def read_training_set(self, mlp, device, inputs, known_classes, incremental, resume_from):
        continues = continues_fit(mlp, incremental, resume_from)
        light = without_fit(mlp)
        vars(light).update({name: vars(mlp)[name] for name in OF_X if continues and name in vars(mlp)})
        reader = BlockReader(light, {}, part="Partition")
        survey = survey_partitions(self, reader, inputs.X, reset=not continues)
        for name in OF_X:
            vars(mlp).pop(name, None)
        vars(mlp).update({name: vars(light)[name] for name in OF_X if name in vars(light)})
        dtype = training_dtype(mlp, mlp.coefs_[0] if continues else survey)
        if not incremental:
            check_scale(survey.sample.X, device, getattr(mlp, "feature_names_in_", None))
        return ClusterTrainingSet(
            mlp,
            device,
            reader,
            survey,
            dtype,
            self,
            inputs.X,
            known_classes=known_classes,
            incremental=incremental,
        )

    # -- tasks ---------------------------------------------------------------------------------------------------------

    def submit(self, function, *args):
        """A future of the result, kept until `drop`."""
        # Parameters are part of the graph, so that they survive a worker; Dask would warn above 10 MB.
        with config_lock, dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"}):
            future = self.client.submit(function, *args, pure=False)
        with self._lock:
            self._futures.add(future)
        return future

    def compute(self, tasks):
        """Futures of delayed tasks."""
        futures = self.client.compute(tasks)
        with self._lock:
            self._futures.update(futures)
        return futures

    def drop(self, futures):
        with self._lock:
            self._futures.difference_update(futures)

    def on_shards(self, training_set, function, broadcast, *args, by):
        """The reduction by the function `by` of ``function(broadcast, shard, k, *args)`` for each shard.

        `broadcast` is sent to the workers once, as the result of a task, which Dask can repeat.
        """

        def attempt(shards):
            sent = self.submit(rounds.same, broadcast)
            result = self.reduce(by, [self.submit(function, sent, shard, k, *args) for k, shard in enumerate(shards)])
            self.drop([sent])
            return result

        shards = training_set.shards()
        try:
            return attempt(shards)
        except Lost:
            # For example by client.restart(). The data from which X is computed may still exist.
            training_set.lose_shards(shards)
            return attempt(training_set.shards())

    def reduce(self, function, futures):
        """Reduce results by `function` of lists of at most `FAN_IN`, in order; return the result, copied to here."""
        owned = list(futures)
        while len(futures) > 1:
            groups = [futures[start : start + FAN_IN] for start in range(0, len(futures), FAN_IN)]
            futures = [self.submit(function, group) for group in groups]
            owned += futures
        result = self._result(futures[0])
        self.drop(owned)
        return result

    def round_ends(self):
        with self._lock:  # networks of an ensemble have separate rounds
            self.n_rounds += 1
            self.attributes["n_rounds_"] = self.n_rounds

    def _result(self, future):
        when = f"after {self.n_rounds} rounds" if self.n_rounds else "before the end of the first round"
        resume = (
            "With sklearn_mlp.callbacks.Checkpoint(path) among the callbacks, fit(..., resume_from=path) continues "
            "after the last epoch that ended."
        )
        try:
            return self.client.gather(future, direct=self.direct)
        except KilledWorker as error:
            raise RuntimeError(
                f"Training stopped {when}: the workers that ran a task of it died, as often as Dask allows "
                f"({error}). They may lack memory: use more workers, smaller partitions or more shards (n_shards). "
                f"{resume}"
            ) from error
        except CancelledError as error:
            raise Lost(
                f"Training stopped {when}: its tasks, or the data that they need, were lost ({error}). If X or y "
                "were in the memory of workers (persist, scatter) that were restarted or lost, create them again, for "
                f"example from files. {resume}"
            ) from error


def _client(client):
    if client is None:
        try:
            client = get_client()
        except ValueError:
            raise RuntimeError(
                "There is no Dask client. Create one: client = distributed.Client(...), for a cluster on this machine "
                "or with the address of a scheduler."
            ) from None
    if client.status != "running" or client.asynchronous:
        what = "asynchronous" if client.asynchronous else client.status
        raise RuntimeError(f"client={client!r} is {what}. Pass a running client that is not asynchronous.")
    try:
        client.wait_for_workers(1, timeout=SECONDS_FOR_WORKERS)
    except TimeoutError:
        raise RuntimeError(
            f"The cluster of {client!r} had no worker for {SECONDS_FOR_WORKERS} seconds. Start workers, for example by "
            "cluster.scale(2)."
        ) from None
    return client


def _reaches_workers(client):
    """Whether the client can read results from a worker, so that the scheduler need not pass them on."""
    addresses = [*client.scheduler_info(n_workers=1)["workers"]]

    async def try_to_connect():
        comm = await connect(addresses[0], timeout=SECONDS_TO_CONNECT, **client.connection_args)
        await comm.close()

    try:
        client.sync(try_to_connect)
    except (IndexError, OSError):
        return False
    return True


# -- data --------------------------------------------------------------------------------------------------------------


class Partitions(NamedTuple):
    """The partitions of X, y and sample_weight as delayed objects; sample_weight is a list of None if there is none."""

    X: list
    y: list
    sample_weight: list

    def rows(self):
        """X, y and sample_weight of one partition after the other."""
        return zip(self.X, self.y, self.sample_weight, strict=True)

    @classmethod
    def of(cls, estimator, X, y, sample_weight):
        """The partitions of Dask collections, after checks."""
        if y is None:
            raise ValueError(f"This {type(estimator).__name__} estimator requires y to be passed, but y is None.")
        parts = {"X": _partitions(estimator, "X", X), "y": _partitions(estimator, "y", y)}
        if sample_weight is not None:
            parts["sample_weight"] = _partitions(estimator, "sample_weight", sample_weight)
        for name, of_name in parts.items():
            if len(of_name) != len(parts["X"]):
                raise ValueError(
                    f"X has {len(parts['X'])} partitions and {name} has {len(of_name)}. Give both the same, by "
                    f"repartition(npartitions=...) for data frames or rechunk for arrays."
                )
        return cls(parts["X"], parts["y"], parts.get("sample_weight", [None] * len(parts["X"])))


def check_collection(estimator, name, array):
    """Raise TypeError unless an argument is a Dask array, data frame or series."""
    if isinstance(array, da.Array) or (dask.is_dask_collection(array) and hasattr(array, "divisions")):
        return
    local = type(estimator)._local_class.__name__
    what = f"{type(array).__module__}.{type(array).__name__}"
    raise TypeError(
        f"{name} is a {what}, and {type(estimator).__name__} takes Dask arrays and data frames. For data in memory use "
        f"sklearn_mlp.{local} (to_local() makes one of a fitted estimator)."
    )


def _partitions(estimator, name, collection):
    check_collection(estimator, name, collection)
    if name == "X" and collection.ndim != 2:
        raise ValueError(f"Expected 2D array, got {collection.ndim}D array instead: X is {collection!r}.")
    check_columns(name, collection)
    if isinstance(collection, da.Array):
        return collection.to_delayed().ravel().tolist()
    # Dask's other optimizations can merge partitions of Parquet files, differently in X and y.
    return collection.simplify().to_delayed(optimize_graph=False)


def check_columns(name, array):
    """Raise ValueError if the columns of a Dask array are in several chunks."""
    if isinstance(array, da.Array) and array.ndim > 1 and array.numblocks[1] > 1:
        raise ValueError(
            f"{name} has its columns in {array.numblocks[1]} chunks, but each chunk must have whole rows. Use "
            f"{name}.rechunk({{1: -1}})."
        )


def survey_partitions(cluster, reader, partitions, reset, n_sampled=N_SAMPLED):
    """The `Survey` of all partitions; with `reset`, they define the features of the estimator of `reader`."""
    kind = LabelCounts if is_classifier(reader.mlp) else Moments
    survey = delayed(rounds.survey, pure=False)
    tasks = [survey(reader, kind, reset, n_sampled, i, parts) for i, parts in enumerate(partitions.rows())]
    survey, features = cluster.reduce(rounds.merge_surveys, cluster.compute(tasks))
    check_survey(survey, "X")
    if reset:
        vars(reader).update(features.of_reader)
        vars(reader.mlp).update(features.of_mlp)
    return survey


def without_fit(estimator):
    """An estimator with the same parameters, without fitted attributes and callbacks, which may not be picklable."""
    return type(estimator)(**estimator.get_params(deep=False))


def deal(n_rows_of, n_shards):
    """The partitions of each shard: in order of decreasing size, each is assigned to the shard with the fewest rows."""
    shards, sizes = [[] for _ in range(n_shards)], [0] * n_shards
    for i in sorted(np.flatnonzero(n_rows_of).tolist(), key=lambda i: -n_rows_of[i]):
        k = int(np.argmin(sizes))
        shards[k].append(i)
        sizes[k] += n_rows_of[i]
    return [sorted(shard) for shard in shards]


class ClusterTrainingSet(BlocksTrainingSet):
    """A training set on the workers; the client has a sample of the rows.

    Parameters
    ----------
    mlp, device, reader, survey, dtype, known_classes, incremental
        See `BlocksTrainingSet`.
    cluster : Cluster
    partitions : Partitions
    """

    def __init__(self, mlp, device, reader, survey, dtype, cluster, partitions, **kwargs):
        super().__init__(mlp, device, reader, survey, dtype, **kwargs)
        self.mlp = mlp
        self.cluster = cluster
        self.partitions = partitions
        n_parts = np.count_nonzero(self.n_rows_of)
        n_shards = cluster.n_shards
        if n_shards is None:
            n_shards = max(1, sum(cluster.client.nthreads().values()))
        elif n_shards > n_parts:
            warn(
                f"n_shards={n_shards}, but X has {n_parts} partitions with rows, and a shard needs at least one: "
                f"{n_parts} shards are used. Repartition X into more."
            )
        self.dealt = deal(self.n_rows_of, min(n_shards, n_parts))
        sizes = [sum(self.n_rows_of[i] for i in of_shard) for of_shard in self.dealt]
        if min(sizes) < 0.5 * np.mean(sizes):
            warn(
                f"The smallest of {len(sizes)} shards has {min(sizes)} rows, less than half of the mean, "
                f"{np.mean(sizes):.0f}, so that its worker has to wait for the others. Repartition X evenly, or use "
                "fewer shards (n_shards)."
            )
        cluster.attributes["n_shards_"] = len(sizes)
        self.parameters = {"n_shards": len(sizes), "sync_every": cluster.sync_every}
        self._shards, self._lock = None, threading.Lock()

    def on_worker(self):
        """A copy without large attributes."""
        light = object.__new__(type(self))
        large = {"X", "y", "target", "sample_weight", "weight_of_user", "survey", "cluster", "partitions"}
        large |= {"mlp", "_shards", "_lock", "dealt"}
        vars(light).update({name: value for name, value in vars(self).items() if name not in large})
        return light

    def shards(self):
        """Futures of the shards."""
        with self._lock:
            if self._shards is None:
                light, make = self.on_worker(), delayed(rounds.make_shard, pure=False)
                rows = [*self.partitions.rows()]
                tasks = [make(light, of_shard, [rows[i] for i in of_shard]) for of_shard in self.dealt]
                self._shards = self.cluster.compute(tasks)
            return self._shards

    def lose_shards(self, shards):
        """Forget shards whose futures were cancelled, unless another thread has already replaced them."""
        with self._lock:
            if self._shards is shards:
                self._shards = None

    def rows_of_shard(self, held_out):
        """The number of rows of each shard that are trained on."""
        n_rows_of = self.n_trained_on(held_out)
        return [sum(n_rows_of[i] for i in of_shard) for of_shard in self.dealt]

    def data(self, held_out, gathers):
        return ClusterData(self, held_out, self.rows_of_shard(held_out), self.X, self.total_weight)

    def start(self, plan, data, *args, **kwargs):
        return ClusterTraining(plan, data, *args, **kwargs)

    def _read_held_out(self, held_out):
        read, light = delayed(rounds.read_held_out, pure=False), self.reader.of({})
        tasks = [
            read(light, held_out, i, parts)
            for i, parts in enumerate(self.partitions.rows())
            if held_out.mask(i, self.n_rows_of[i]).any()
        ]
        return self.cluster.reduce(stack_rows, self.cluster.compute(tasks))

    def mean_loss(self, plan, data, objective):
        run = self.run(data, 0, 0)

        def evaluate(x):
            return self.cluster.on_shards(self, rounds.mean_loss, x, run, by=rounds.add)

        return evaluate

    def run(self, data, n_steps, dropout_seed):
        """The description of a training run for the workers."""
        return rounds.Run(
            without_fit(self.mlp),
            self.cluster.device_name,
            self.dtype,
            self.task,
            self.loss,
            data.held_out,
            n_steps,
            dropout_seed,
            self.total_weight,
        )


class EncodedClusterTrainingSet(ClusterTrainingSet):
    """A training set whose tables an encoder has encoded on the workers."""

    def load(self, i):
        rows = self.reader.read(i)
        return Data(self.encoder._table(self.reader.columns(rows)), *self.encode_y(rows))

    def validation_rows(self, held_out):
        X, target, weight, _ = self.cluster.on_shards(self, rounds.take_held_out, held_out, by=rounds.stack)
        return ValidationSet(EncodedTable(X, self.encoding), None, target, weight)


class TabularClusterFit(TabularBlocksFit):
    """A `fit` of an estimator for tables on a cluster, which trains all networks at the same time."""

    def __init__(self, cluster, *args):
        self.cluster = cluster
        super().__init__(None, *args)

    def _read_training_set(self, inputs, groups):
        training_set = self._survey(inputs, groups)
        self._fit_encoder_to_sample(training_set)
        return training_set

    def _survey(self, inputs, groups):
        refuse_groups(groups)
        reader = TableReader(without_fit(self.estimator), {}, part="Partition")
        survey = survey_partitions(self.cluster, reader, inputs.X, reset=True, n_sampled=N_SAMPLED_OF_TABLES)
        vars(self.estimator).update(vars(reader.mlp))
        self.network = self.estimator._network(sum(survey.n_rows_of))
        return EncodedClusterTrainingSet(
            self.network,
            self.device,
            reader,
            survey,
            np.dtype(self.network.dtype),
            self.cluster,
            inputs.X,
            drops_unit_of_weights=True,
        )


class ClusterData(NamedTuple):
    """The rows of a `ClusterTrainingSet` to train on, as `Training` takes them."""

    training_set: ClusterTrainingSet
    held_out: Any
    n_rows_of: list
    X: Any
    total_weight: float

    @property
    def n_rows(self):
        return sum(self.n_rows_of)

    def batches(self, device, dtype, batch_size, shuffles):
        return ClusterBatches(self, batch_size)


class ClusterBatches:
    """The mini-batches of all shards."""

    rows = None

    def __init__(self, data, batch_size):
        self.n_rows = data.n_rows
        self.batch_size = min(batch_size, max(data.n_rows_of))
        self.n_steps = ceil(max(data.n_rows_of) / self.batch_size)
        self.order = None

    def shuffle(self, random_state):
        """Draw the seed of the order of the rows."""
        self.order = random_state.randint(2**31)


class ClusterTraining(Training):
    """A training run in rounds of steps on the workers."""

    def __init__(self, plan, data, *args, **kwargs):
        super().__init__(plan, data, *args, **kwargs)
        self.training_set = data.training_set
        self.cluster = data.training_set.cluster
        n_parameters = self.objective.theta.vector.size
        sync_every = self.cluster.sync_every
        if sync_every == "auto":
            sync_every = automatic_sync_every(n_parameters, self.batches.batch_size, len(data.n_rows_of))
            self.n_rounds = max(1, self.batches.n_steps // sync_every)  # of equal length, without more overhead
        else:
            self.n_rounds = ceil(self.batches.n_steps / sync_every)
        self.cluster.attributes["sync_every_"] = ceil(self.batches.n_steps / self.n_rounds)
        self.run_of_workers = self.training_set.run(data, self.n_steps, self.dropout_seed)

    def _steps(self):
        loss = n_rows = 0
        for part in range(self.n_rounds):
            reached = self._round(part)
            self.solver.load_parameters(reached.parameters)
            self.solver.load(reached.state)
            if reached.n_rows:
                n_rows += reached.n_rows
                loss += (reached.loss - loss) * reached.n_rows / n_rows
            self.cluster.round_ends()
        return loss if n_rows else inf

    def _round(self, part):
        """Run a round, and average the parameters of the shards."""
        at = rounds.At(self.solver.parameters(), self.solver.state())
        of_round = self.run_of_workers, self.batches.order, part, self.n_rounds
        return self.cluster.on_shards(self.training_set, rounds.train, at, *of_round, by=rounds.average)


def automatic_sync_every(n_parameters, batch_size, n_shards):
    """The number of steps in a round with an overhead of `ACCEPTED` times their duration, without measurements."""
    step = STEP_SECONDS + 6 * n_parameters * batch_size / FLOPS
    levels = ceil(log2(n_shards + 1))
    overhead = ROUND_SECONDS + 2 * levels * 12 * n_parameters / BYTES_PER_SECOND
    return max(1, ceil(overhead / (ACCEPTED * step)))
