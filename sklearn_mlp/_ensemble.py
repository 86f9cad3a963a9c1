"""The fit and the prediction of an ensemble of networks on the encoded columns of a table."""

import threading
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from math import isfinite
from typing import NamedTuple

import numpy as np
from joblib import cpu_count
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

from sklearn_mlp._caller import no_warnings, warn
from sklearn_mlp._fit import Fit, keep_what_is_trained
from sklearn_mlp._model import fitted_views
from sklearn_mlp._tasks import FitTasks
from sklearn_mlp.devices.blas import at_most_blas_threads, n_blas_threads

MIN_FOLDS, MAX_FOLDS = 5, 8
# Predictions of fewer numbers take less time than starting threads.
MIN_WORK = 2**18


class Member(NamedTuple):
    """A network with its training and validation rows; None for all rows, and for no validation."""

    network: object
    rows: np.ndarray | None
    rows_val: np.ndarray | None


def number_of_folds(n_members):
    return min(max(n_members, MIN_FOLDS), MAX_FOLDS)


def split(n_members, n_rows, strata, groups, random_state):
    """The training and validation rows of each member, by folds; after the last fold, the rows are split again.

    Parameters
    ----------
    strata : array of int of shape (n_samples,) or None
        The class of each row: all folds have about the same numbers of each.
    groups : array of shape (n_samples,) or None
        Rows of a group are in one fold.
    """
    n_folds = min(number_of_folds(n_members), n_rows)
    if groups is not None:
        n_groups = len(np.unique(groups))
        if n_groups < 2:
            raise ValueError("groups has a single group, which cannot be in both the training and the validation set.")
        n_folds = min(n_folds, n_groups)
    pairs = []
    while len(pairs) < n_members:
        if groups is None:
            order = random_state.permutation(n_rows)
            if strata is not None:
                order = order[np.argsort(strata[order], kind="stable")]
            fold = np.empty(n_rows, np.intp)
            fold[order] = np.arange(n_rows) % n_folds
            pairs += [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(n_folds)]
        else:
            kind = GroupKFold if strata is None else StratifiedGroupKFold
            folds = kind(n_folds, shuffle=True, random_state=random_state.randint(2**31 - 1))
            pairs += folds.split(np.empty((n_rows, 0)), strata, groups)
    return pairs[:n_members]


class MemberTasks(FitTasks):
    """The subtask of a member in the task of a fit; callbacks receive the whole estimator.

    Parameters
    ----------
    stop : threading.Event
        Set when a callback, of any member, or the user requests to stop.
    of_estimator : callable
        Takes the fitted attributes of the member, and returns those of the estimator.
    """

    def __init__(self, estimator, root, data, stop, of_estimator):
        super().__init__(estimator, root, *data)
        self.stop = stop
        self.of_estimator = of_estimator

    def describe(self, rows, fitted, snapshot):
        super().describe(rows, lambda: self.of_estimator(fitted()), None)

    def epoch_ends(self):
        if super().epoch_ends():
            self.stop.set()
        return self.stop.is_set()


class EnsembleFit:
    """Train the members of an ensemble in threads.

    Parameters
    ----------
    estimator : TabularMLPClassifier or TabularMLPRegressor
        For callbacks.
    device : Device
    training_set : TrainingSet
    members : list of Member
    validation_set : ValidationSet or None
        Replaces the validation rows of the members.
    n_threads : int
    of_estimator : callable
        Takes the networks trained so far, and returns the fitted attributes of the estimator.
    """

    def __init__(self, estimator, device, training_set, members, validation_set, n_threads, of_estimator):
        self.estimator = estimator
        self.device = device
        self.training_set = training_set
        self.members = members
        self.validation_set = validation_set
        self.n_threads = n_threads
        self.of_estimator = of_estimator
        self.stop = threading.Event()
        self.trained = {}  # by the number of the member

    def run(self, root, data):
        """Train the members, and return those that have been trained.

        After an interrupt, or if a callback requests to stop, running members stop after their epoch, and no others are
        started.

        Parameters
        ----------
        root : CallbackContext or None
        data : tuple
            X, y and sample_weight, for callbacks.
        """
        contexts = [
            root and root.subcontext("member", task_id=k, max_subtasks=member.network.max_iter)
            for k, member in enumerate(self.members)
        ]
        futures = []
        with at_most_blas_threads(1), ThreadPoolExecutor(self.n_threads) as pool:
            try:
                for k, context in enumerate(contexts):
                    futures.append(pool.submit(self._train, k, context, data))
                _wait_for_all_or_an_error(futures)
            except KeyboardInterrupt:
                self.stop.set()
                wait(futures)
                if not self.trained:
                    raise
                keep_what_is_trained(f" The model has {len(self.trained)} of {len(self.members)} networks.")
            self.stop.set()  # after an error, ends the other members
        for future in futures:
            future.result()  # raises the error of a member
        n_diverged = sum(not isfinite(network.loss_) for network in self.trained.values())
        if n_diverged:
            warn(
                f"The training of {n_diverged} of {len(self.members)} networks has diverged; their weights are those "
                "of the best epoch. Decrease learning_rate_init.",
                ConvergenceWarning,
            )
        return [self.members[k] for k in sorted(self.trained)]

    def _train(self, k, context, data):
        """Train a member."""
        if self.stop.is_set() and self.trained:
            return
        # Warnings would be about parameters that this package has chosen.
        with no_warnings(), self.device.active(), np.errstate(all="ignore"):
            network, rows, rows_val = self.members[k]
            tasks = MemberTasks(self.estimator, context, data, self.stop, partial(self._attributes, k))
            fit = Fit(network, self.device, self.training_set, tasks)
            if self.validation_set is not None:
                fit.validation_set = self.validation_set
            elif rows is not None:
                fit.hold_out(rows, rows_val)
            if not is_classifier(network):
                self._start_at_constant(fit, rows)
            vars(network).update(fit.run())
            self.trained[k] = network
            tasks.end()
            if self.estimator.verbose:
                self._print(k, network)

    def _start_at_constant(self, fit, rows):
        """Start from the constant prediction with the smallest loss: with large y, outputs of exp are far from 0."""
        of = self.training_set
        fit.theta.b[-1][...] = of.loss.best_constant(*of.trained_on(rows))

    def _attributes(self, k, fitted):
        """The fitted attributes of the estimator with the members so far, and member k as it is now."""
        network = object.__new__(type(self.members[k].network))
        vars(network).update(vars(self.members[k].network) | fitted)
        networks = self.trained | {k: network}
        return self.of_estimator([networks[k] for k in sorted(networks)])

    def _print(self, k, network):
        losses = network.validation_loss_curve_
        loss = f"validation loss {min(losses):.6g}" if losses else f"loss {network.loss_:.6g}"
        print(f"Member {k + 1} of {len(self.members)}: {network.n_iter_} epochs, {loss}")


def _wait_for_all_or_an_error(futures):
    """Wait with a timeout: interrupts do not end other waits if a library such as Polars has set a signal handler."""
    while True:
        done, running = wait(futures, timeout=0.1, return_when="FIRST_EXCEPTION")
        if not running or any(future.exception() for future in done):
            return


def n_threads(n_jobs, device):
    """The number of threads for the parameter `n_jobs`."""
    if device.name != "cpu":
        return 1
    if n_jobs is None:
        return n_blas_threads()
    return cpu_count() if n_jobs == -1 else n_jobs


def outputs(device, networks, X, n_threads):
    """The output of each network for X, an `EncodedTable`: an array of shape (n_networks, n_samples, n_outputs)."""

    def output(network):
        with device.active(), np.errstate(over="ignore", invalid="ignore"):
            return device.to_host(network._model.output(device, fitted_views(network), X))

    if n_threads == 1 or X.shape[0] * X.shape[1] < MIN_WORK:
        return np.array(list(map(output, networks)))
    with at_most_blas_threads(1), ThreadPoolExecutor(n_threads) as pool:
        return np.array(list(pool.map(output, networks)))


def normalised(task, output):
    """The mean output of networks, with probabilities that sum to 1 in double precision."""
    if task.out_activation == "softmax":
        for columns in task.columns or [slice(None)]:
            output[:, columns] /= output[:, columns].sum(axis=1, keepdims=True)
    return output
