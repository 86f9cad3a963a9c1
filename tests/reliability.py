"""What goes wrong, and what comes of it: docs/reliability.md is the output of this program.

Each row of the page is a function that does something to an estimator of a package, ours or scikit-learn's, and says
what came of it. `python tests/reliability.py` prints the page; the tests run the rows once more.
"""

import contextlib
import gc
import io
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pandas as pd
import sklearn.neural_network
from scipy import sparse
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import scale
from threadpoolctl import threadpool_limits

import sklearn_mlp
from sklearn_mlp._checkpoint import read_checkpoint, write_checkpoint
from sklearn_mlp.callbacks import Checkpoint, StopWhen, TimeLimit

OURS = SimpleNamespace(Classifier=sklearn_mlp.MLPClassifier, Regressor=sklearn_mlp.MLPRegressor, is_ours=True)
THEIRS = SimpleNamespace(
    Classifier=sklearn.neural_network.MLPClassifier, Regressor=sklearn.neural_network.MLPRegressor, is_ours=False
)
X, Y = load_iris(return_X_y=True)
X = scale(X)
X_DIABETES, Y_DIABETES = load_diabetes(return_X_y=True)
X_DIABETES, Y_DIABETES = scale(X_DIABETES)[:100], scale(Y_DIABETES)[:100]
SMALL = {"hidden_layer_sizes": (8,), "max_iter": 20, "batch_size": 50, "random_state": 0}
SECTIONS = {}


def row(section, fault):
    """Add a function to the rows of a section."""

    def add(function):
        SECTIONS.setdefault(section, {})[fault] = function
        return function

    return add


def short(error):
    """An error as a row tells it: its first sentence, or less."""
    text = " ".join(str(error).split())
    end = text.find(". ")
    text = text if end < 0 else text[: end + 1]
    return f"{type(error).__name__}: {text[:110] + '…' if len(text) > 111 else text}"


def state(model):
    return pickle.dumps({name: value for name, value in vars(model).items() if name.endswith("_")})


@contextlib.contextmanager
def heard():
    """The warnings within, except those about too few iterations."""
    messages = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield messages
    for warning in caught:
        if not (issubclass(warning.category, ConvergenceWarning) and "Maximum iterations" in str(warning.message)):
            messages.append(short(warning.message))


def with_warnings(text, messages):
    return "; ".join([text, *dict.fromkeys(messages)]).replace(".; ", "; ")


def refit(model, X, y, *args, **kwargs):
    """Fit a model that is fitted: what is said, and what is left."""
    before = state(model)
    with heard() as messages:
        try:
            model.fit(X, y, *args, **kwargs)
        except Exception as error:
            left = "" if state(model) == before else " (**the earlier model is half changed**)"
            return with_warnings(f"{short(error)}{left}", messages)
        try:
            prediction = model.predict(X)
        except Exception as error:
            return with_warnings(f"fits; predict: {short(error)}", messages)
    if not all(np.isfinite(coef).all() for coef in model.coefs_):
        return with_warnings("fits **weights that are not finite**", messages)
    if prediction.dtype.kind == "f" and not np.isfinite(prediction).all():
        return with_warnings("fits; **predicts what is not finite**", messages)
    return with_warnings("fits", messages)


def fitted(package, **params):
    with heard():
        return package.Classifier(**SMALL | params).fit(X, Y)


def classify(package, X, y, *args, **params):
    return refit(fitted(package).set_params(**params), X, y, *args)


def regress(package, X, y, *args, **params):
    with heard():
        model = package.Regressor(**SMALL).fit(X_DIABETES, Y_DIABETES)
    return refit(model.set_params(**params), X, y, *args)


def same_as(package, plain, other, what):
    """Whether X in another form gives the model of the plain X."""
    with heard() as messages:
        try:
            models = [package.Classifier(**SMALL).fit(X_, Y) for X_ in (plain, other)]
        except Exception as error:
            return with_warnings(short(error), messages)
    same = all(np.allclose(*pair, rtol=1e-6, atol=1e-8) for pair in zip(*(m.coefs_ for m in models), strict=True))
    return with_warnings(f"the model of {what}" if same else f"**another model** than that of {what}", messages)


def spoilt(value, dtype=float):
    bad = X.astype(dtype)
    bad[3, 1] = value
    return bad


def predicts(model, X):
    with heard() as messages:
        try:
            prediction = model.predict(X)
        except Exception as error:
            return with_warnings(short(error), messages)
    if prediction.dtype.kind == "f" and not np.isfinite(prediction).all():
        return with_warnings("**predicts what is not finite**", messages)
    return with_warnings("predicts", messages)


# -- values ------------------------------------------------------------------------------------------------------------

VALUES = "Values"


@row(VALUES, "NaN in X")
def _(package):
    return classify(package, spoilt(np.nan), Y)


@row(VALUES, "infinity in X")
def _(package):
    return classify(package, spoilt(np.inf), Y)


@row(VALUES, "1e300 in X")
def _(package):
    return classify(package, spoilt(1e300), Y)


@row(VALUES, "1e300 in X, early stopping")
def _(package):
    return classify(package, spoilt(1e300), Y, early_stopping=True)


@row(VALUES, "1e300 in the X of predict")
def _(package):
    with heard():
        model = package.Regressor(**SMALL).fit(X_DIABETES.astype(np.float32), Y_DIABETES)
    return predicts(model, np.full((1, 10), 1e300))


@row(VALUES, "NaN in y, regression")
def _(package):
    return regress(package, X_DIABETES, np.where(Y_DIABETES > 1, np.nan, Y_DIABETES))


@row(VALUES, "1e200 in y, regression")
def _(package):
    return regress(package, X_DIABETES, 1e200 * Y_DIABETES)


@row(VALUES, "y in millions, regression")
def _(package):
    return regress(package, X_DIABETES, 1e6 * (Y_DIABETES + 2))


@row(VALUES, "negative y, loss='poisson'")
def _(package):
    return regress(package, X_DIABETES, Y_DIABETES, loss="poisson")


@row(VALUES, "X of int8 up to 127, whose squares overflow")
def _(package):
    whole = (40 * X).clip(-128, 127).astype(np.int8)
    return same_as(package, whole.astype(float), whole, "the same X as floats")


@row(VALUES, "X of uint64 beyond 2⁶³")
def _(package):
    return classify(package, (np.abs(X) * 4e18).astype(np.uint64), Y)


@row(VALUES, "constant X")
def _(package):
    return classify(package, np.ones_like(X), Y)


@row(VALUES, "one class")
def _(package):
    return classify(package, X, np.zeros(150, int))


@row(VALUES, "constant y, regression")
def _(package):
    return regress(package, X_DIABETES, np.ones(100))


@row(VALUES, "y of strings, and None among them")
def _(package):
    y = Y.astype(str).astype(object)
    y[0] = None
    return classify(package, X, y)


@row(VALUES, "continuous y for the classifier")
def _(package):
    return classify(package, X, Y + 0.5)


@row(VALUES, "strings as y for the regressor")
def _(package):
    return regress(package, X_DIABETES, np.full(100, "a"))


@row(VALUES, "a label in partial_fit that classes has not")
def _(package):
    model = package.Classifier(**SMALL)
    try:
        model.partial_fit(X, Y, classes=[0, 1])
    except ValueError as error:
        left = "**half changed**" if hasattr(model, "coefs_") or hasattr(model, "classes_") else "unfitted"
        return f"{short(error)} (the estimator is {left})"
    return "fits"


# -- weights -----------------------------------------------------------------------------------------------------------

WEIGHTS = "Sample weights"


@row(WEIGHTS, "all zero")
def _(package):
    return classify(package, X, Y, np.zeros(150))


@row(WEIGHTS, "zero for a whole batch")
def _(package):
    return classify(package, X, Y, (np.arange(150) < 50).astype(float), shuffle=False)


@row(WEIGHTS, "negative")
def _(package):
    return classify(package, X, Y, np.linspace(-1, 1, 150))


@row(WEIGHTS, "NaN")
def _(package):
    return classify(package, X, Y, np.full(150, np.nan))


@row(WEIGHTS, "1e300, X of float32")
def _(package):
    return classify(package, X.astype(np.float32), Y, np.full(150, 1e300))


@row(WEIGHTS, "one too few")
def _(package):
    return classify(package, X, Y, np.ones(149))


# -- shapes ------------------------------------------------------------------------------------------------------------

SHAPES = "Shapes and types"


@row(SHAPES, "no rows")
def _(package):
    return classify(package, X[:0], Y[:0])


@row(SHAPES, "one row")
def _(package):
    return classify(package, X[:1], Y[:1])


@row(SHAPES, "three classes, one of them with one row, early stopping")
def _(package):
    return classify(package, X[:101], Y[:101], early_stopping=True)


@row(SHAPES, "one row, early stopping")
def _(package):
    return classify(package, X[:1], Y[:1], early_stopping=True)


@row(SHAPES, "no columns")
def _(package):
    return classify(package, X[:, :0], Y)


@row(SHAPES, "X of one dimension")
def _(package):
    return classify(package, X[:, 0], Y)


@row(SHAPES, "X of three dimensions")
def _(package):
    return classify(package, X[:, :, np.newaxis], Y)


@row(SHAPES, "y one too short")
def _(package):
    return classify(package, X, Y[:-1])


@row(SHAPES, "y as a column")
def _(package):
    return classify(package, X, Y[:, np.newaxis])


@row(SHAPES, "a generator as X")
def _(package):
    return classify(package, (x for x in X), Y)


@row(SHAPES, "numbers as objects")
def _(package):
    return same_as(package, X, X.astype(object), "the same X as floats")


@row(SHAPES, "words in a column")
def _(package):
    return classify(package, pd.DataFrame(X).assign(color="red").rename(columns=str), Y)


@row(SHAPES, "dates in a column")
def _(package):
    return classify(package, pd.DataFrame(X).assign(day=np.datetime64("2026-01-01", "us")).rename(columns=str), Y)


@row(SHAPES, "dates as X")
def _(package):
    return classify(package, (100 * X).astype("datetime64[D]"), Y)


@row(SHAPES, "complex X")
def _(package):
    return classify(package, X + 1j, Y)


@row(SHAPES, "a masked array with masked values")
def _(package):
    return classify(package, np.ma.masked_less(X, -1), Y)


# -- memory ------------------------------------------------------------------------------------------------------------

LAYOUT = "Layouts in memory"


@row(LAYOUT, "every other column of a wider array, backwards")
def _(package):
    return same_as(package, X, np.repeat(X[:, ::-1], 2, axis=1)[:, ::-2], "a plain array")


@row(LAYOUT, "columns in memory one after the other (Fortran)")
def _(package):
    return same_as(package, X, np.asfortranarray(X), "a plain array")


@row(LAYOUT, "read-only X and y")
def _(package):
    fixed = X.copy()
    fixed.setflags(write=False)
    return same_as(package, X, fixed, "a plain array")


@row(LAYOUT, "big-endian X")
def _(package):
    return same_as(package, X, X.astype(">f8"), "a plain array")


@row(LAYOUT, "sparse X with 64-bit indices, explicit zeros and duplicates, out of order")
def _(package):
    rows, columns = np.indices(X.shape).reshape(2, -1)
    order = np.random.default_rng(0).permutation(2 * X.size)
    values = np.concatenate([X.ravel() - 1, np.ones(X.size)])[order]
    indices = np.concatenate([columns, columns])[order], np.concatenate([rows, rows])[order]
    csr = sparse.csr_matrix(X.shape)
    by_row = np.argsort(indices[1], kind="stable")
    csr.data, csr.indices = values[by_row], indices[0][by_row].astype(np.int64)
    csr.indptr = np.arange(0, 2 * X.size + 1, 2 * X.shape[1], dtype=np.int64)
    return same_as(package, sparse.csr_matrix(X), csr, "the same X with its entries in order")


# -- data that change --------------------------------------------------------------------------------------------------

CHANGES = "Data that change from call to call"


@row(CHANGES, "predict with another number of columns")
def _(package):
    return predicts(fitted(package), X[:, :3])


@row(CHANGES, "predict with the columns of the data frame in another order")
def _(package):
    frame = pd.DataFrame(X, columns=list("abcd"))
    with heard():
        model = package.Classifier(**SMALL).fit(frame, Y)
    return predicts(model, frame[list("abdc")])


@row(CHANGES, "predict before fit")
def _(package):
    return predicts(package.Classifier(), X)


@row(CHANGES, "a warm start with other columns")
def _(package):
    return classify(package, X[:, :3], Y, warm_start=True)


@row(CHANGES, "a warm start with other layers")
def _(package):
    model = fitted(package, warm_start=True).set_params(hidden_layer_sizes=(5, 5))
    said = refit(model, X, Y)
    return (
        said if [coef.shape for coef in model.coefs_] == [(4, 5), (5, 5), (5, 3)] or "Error" in said else f"**{said}**"
    )


# -- training ----------------------------------------------------------------------------------------------------------

TRAINING = "Training"


@row(TRAINING, "divergence")
def _(package):
    return classify(package, 100 * X, Y, solver="sgd", learning_rate_init=1e20)


@row(TRAINING, "divergence under early stopping")
def _(package):
    with heard():
        model = package.Regressor(
            **SMALL | {"max_iter": 200}, solver="sgd", learning_rate_init=0.5, early_stopping=True
        )
    with heard() as messages:
        try:
            model.fit(X_DIABETES, 100 * Y_DIABETES)
        except Exception as error:
            return with_warnings(short(error), messages)
    finite = all(np.isfinite(coef).all() for coef in model.coefs_)
    what = "finite weights" if finite else "**weights that are not finite**"
    return with_warnings(f"{what} after {'all' if model.n_iter_ == 200 else 'a few'} epochs", messages)


def interrupted(package, n_interrupts=12, **params):
    """What comes of Ctrl-C after growing times, in a first fit and in later ones."""
    outcomes = set()
    y = np.random.default_rng(0).permutation(Y)  # so that no solver is done early
    for model in (package.Classifier(), fitted(package)):
        model.set_params(**SMALL | {"max_iter": 100_000, "tol": 0, "n_iter_no_change": 100_000} | params)
        before = probability_of(model)
        for i in range(n_interrupts):
            with heard() as messages:
                try:
                    signal.setitimer(signal.ITIMER_REAL, 0.001 * 1.4**i)
                    model.fit(X, y)
                except KeyboardInterrupt:
                    outcomes.add("KeyboardInterrupt")
                    if not np.array_equal(probability_of(model), before):
                        outcomes.add("**a model that is half changed**")
                    continue
            if signal.setitimer(signal.ITIMER_REAL, 0)[0] > 0:
                continue  # the solver was done before
            outcomes.add("a model and a warning" if messages else "**a Ctrl-C that is lost**")
            before = probability_of(model)
            if isinstance(before, str):
                outcomes.add("**a model that cannot predict**")
    return outcomes


def probability_of(model):
    """The probabilities for X, or the name of the error."""
    try:
        return model.predict_proba(X)
    except Exception as error:
        return type(error).__name__


def on_alarm(outcomes):
    handler = signal.signal(signal.SIGALRM, signal.default_int_handler)
    # Python drops an exception within a callback of the garbage collector; Hypothesis, for one, registers such.
    gc.disable()
    try:
        outcomes = outcomes()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        gc.enable()
    wrong = sorted(outcome for outcome in outcomes if outcome.startswith("**"))
    either = "a warning and the model so far, or KeyboardInterrupt and the model before"
    return " or ".join(wrong) if wrong else either


@row(TRAINING, "Ctrl-C, at 24 moments")
def _(package):
    return on_alarm(lambda: interrupted(package))


@row(TRAINING, "Ctrl-C with early stopping, at 24 moments")
def _(package):
    return on_alarm(lambda: interrupted(package, early_stopping=True))


@row(TRAINING, "Ctrl-C in lbfgs, at 24 moments")
def _(package):
    return on_alarm(lambda: interrupted(package, solver="lbfgs"))


@row(TRAINING, "Ctrl-C in a grid search")
def _(package):
    model = package.Classifier(**SMALL | {"max_iter": 3000, "tol": 0, "n_iter_no_change": 3000})
    search = GridSearchCV(model, {"alpha": [0.1]}, cv=2, refit=False)

    def outcomes():
        with heard():
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            try:
                search.fit(X, np.random.default_rng(0).permutation(Y))
            except KeyboardInterrupt:
                return []
        return ["**a search that continues, and scores the fit**"]

    return "ends the search" if (said := on_alarm(outcomes)).startswith("a warning") else said


@row(TRAINING, "a validation score that is NaN, early stopping")
def _(package):
    if not package.is_ours:
        return "takes no validation set"
    model = package.Regressor(**SMALL, early_stopping=True)
    with heard():
        return refit(
            model.fit(X_DIABETES, Y_DIABETES), X_DIABETES, Y_DIABETES, X_val=X_DIABETES[:1], y_val=Y_DIABETES[:1]
        )


@row(TRAINING, "an error in a function of the user's, in the middle")
def _(package):
    if not package.is_ours:
        return "takes none"

    def fails(estimator):
        if estimator.n_iter_ == 3:
            raise OSError("the log cannot be written")

    model = fitted(package)
    before = state(model)
    try:
        model.set_callbacks(StopWhen(fails)).fit(X, Y)
    except OSError as error:
        return f"{short(error)} ({'the earlier model stays' if state(model) == before else '**half changed**'})"
    return "fits"


@row(TRAINING, "two threads that fit one estimator, one on two classes, one on three")
def _(package):
    model = package.Classifier(**SMALL)
    models = []
    for n_classes in (2, 3):
        with heard():
            models.append(package.Classifier(**SMALL).fit(X, Y % n_classes).predict_proba(X))
    outcomes = set()

    def fit(n_classes):
        for _ in range(20):
            try:
                model.fit(X, Y % n_classes)
            except Exception as error:
                outcomes.add(f"**{type(error).__name__}**")

    with heard():
        threads = [threading.Thread(target=fit, args=(n_classes,)) for n_classes in (2, 3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    try:
        last = model.predict_proba(X)
        if not any(last.shape == of.shape and np.allclose(last, of) for of in models):
            outcomes.add("**a model of neither**")
    except Exception as error:
        outcomes.add(f"**a model that cannot predict** ({type(error).__name__})")
    return " or ".join(sorted(outcomes)) or "the model of whoever ends last"


@row(TRAINING, "a thread that predicts while another fits")
def _(package):
    model, stop, outcomes = fitted(package), threading.Event(), set()
    with heard():
        right = [package.Classifier(**SMALL).fit(X, Y % n).predict_proba(X) for n in (2, 3)]

    def predict():
        while not stop.is_set():
            try:
                probability = model.predict_proba(X)
            except Exception as error:
                outcomes.add(f"**{type(error).__name__}**")
            else:
                if not any(probability.shape == of.shape and np.allclose(probability, of) for of in right):
                    outcomes.add("**probabilities of no whole model**")

    thread = threading.Thread(target=predict)
    with heard():
        thread.start()
        for i in range(60):
            model.fit(X, Y % (2 + i % 2))
        stop.set()
        thread.join()
    return " or ".join(sorted(outcomes)) or "predicts with the earlier model, then with the new one"


@row(TRAINING, "fork in the middle of a fit, and a fit in the child")
def _(package):
    context = multiprocessing.get_context("fork")
    model = package.Classifier(**SMALL | {"max_iter": 400, "tol": 0, "n_iter_no_change": 400})
    exit_codes = []

    def fork():
        for _ in range(3):
            child = context.Process(target=fit_in_child, args=(package,))
            child.start()
            child.join(30)
            exit_codes.append(child.exitcode)
            child.kill()

    with heard():
        thread = threading.Thread(target=fork)
        thread.start()
        while thread.is_alive():
            model.fit(X, Y)
        thread.join()
    return "both end" if exit_codes == [0, 0, 0] else f"**children: {exit_codes}**"


def fit_in_child(package):
    warnings.simplefilter("ignore")
    package.Classifier(**SMALL).fit(X, Y).predict(X)


# -- files -------------------------------------------------------------------------------------------------------------

FILES = "Processes and files"
KILLED = """
import sys, warnings
sys.path[:0] = {path!r}
import reliability
from pathlib import Path
package = reliability.OURS if sys.argv[1] == "ours" else reliability.THEIRS
warnings.simplefilter("ignore")
model = package.Classifier(**reliability.SMALL | {{"max_iter": 100_000, "tol": 0, "n_iter_no_change": 100_000}})
if package.is_ours:
    model.set_callbacks(reliability.Checkpoint("killed.checkpoint"))
print("ready", flush=True)
model.fit(reliability.X, reliability.Y)
"""


@contextlib.contextmanager
def in_folder():
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield Path(folder)
        finally:
            os.chdir(before)


@row(FILES, "SIGKILL")
def _(package):
    with in_folder():
        script = KILLED.format(path=[str(Path(__file__).parent)])
        name = "ours" if package.is_ours else "theirs"
        process = subprocess.Popen([sys.executable, "-c", script, name], stdout=subprocess.PIPE)
        process.stdout.readline()
        until = time.monotonic() + 60
        while package.is_ours and not Path("killed.checkpoint").exists() and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.1)
        process.kill()
        process.communicate()
        if not package.is_ours:
            return "what was learnt is lost"
        params = SMALL | {"tol": 0, "n_iter_no_change": 100_000}
        with heard():
            at_least = package.Classifier(**params | {"max_iter": 100_000})
            at_least.set_callbacks(StopWhen(lambda _: True)).fit(X, Y, resume_from="killed.checkpoint")
            n_epochs = at_least.n_iter_
            whole = package.Classifier(**params | {"max_iter": n_epochs}).fit(X, Y)
        same = all(np.array_equal(*pair) for pair in zip(whole.coefs_, at_least.coefs_, strict=True))
        return f"continues from the last checkpoint, {'bit-identically' if same else '**not bit-identically**'}"


@row(FILES, "a full disk, while training")
def _(package):
    import resource

    if not package.is_ours:
        return "has no checkpoints"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with in_folder(), heard() as messages:
        model = package.Classifier(**SMALL).set_callbacks(Checkpoint("x.checkpoint"))
        model.fit(X, Y)
        before = Path("x.checkpoint").read_bytes()
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
        try:
            model.fit(X, Y)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        kept = Path("x.checkpoint").read_bytes() == before
    lost = "the checkpoint before stays" if kept else "**the checkpoint before is lost**"
    return with_warnings(f"fits, {lost}", [message[:70] + "…" for message in messages[:1]])


@row(FILES, "a checkpoint in a folder that cannot be written to")
def _(package):
    if not package.is_ours:
        return "has no checkpoints"
    with in_folder():
        Path("file").write_text("not a folder")
        try:
            package.Classifier(**SMALL).set_callbacks(Checkpoint("file/x.checkpoint")).fit(X, Y)
        except OSError as error:
            return f"{short(error)}, before training"
    return "fits"


@row(FILES, "a checkpoint that is deleted while training")
def _(package):
    if not package.is_ours:
        return "has no checkpoints"

    def delete(model):
        if model.n_iter_ == 5:
            Path("x.checkpoint").unlink()

    with in_folder(), heard():
        model = package.Classifier(**SMALL).set_callbacks(Checkpoint("x.checkpoint"), StopWhen(delete)).fit(X, Y)
        return f"is written again after the next of {model.n_iter_} epochs" if Path("x.checkpoint").exists() else "lost"


@row(FILES, "resume_from a file that is not there")
def _(package):
    if not package.is_ours:
        return "has no checkpoints"
    return refit(fitted(package), X, Y, resume_from="nowhere.checkpoint")


@row(FILES, "resume_from a damaged file")
def _(package):
    if not package.is_ours:
        return "has no checkpoints"
    with in_folder(), heard():
        model = package.Classifier(**SMALL).set_callbacks(Checkpoint("x.checkpoint")).fit(X, Y)
        content = bytearray(Path("x.checkpoint").read_bytes())
        content[-100] ^= 1
        Path("x.checkpoint").write_bytes(content)
        return refit(model.set_callbacks(), X, Y, resume_from="x.checkpoint")


@row(FILES, "resume_from a file with other content and the right checksum")
def _(package):
    if not package.is_ours:
        return "has no checkpoints"
    with in_folder(), heard():
        model = package.Classifier(**SMALL).set_callbacks(Checkpoint("x.checkpoint")).fit(X, Y)
        content = read_checkpoint("x.checkpoint")
        content["fit"]["random_state"]["state"]["pos"] = 2**30
        write_checkpoint(Path("x.checkpoint"), content)
        return refit(model.set_callbacks(), X, Y, resume_from="x.checkpoint")


@row(FILES, "resume_from with other data")
def _(package):
    if not package.is_ours:
        return "has no checkpoints"
    with in_folder(), heard():
        model = package.Classifier(**SMALL).set_callbacks(Checkpoint("x.checkpoint")).fit(X, Y)
        return refit(model.set_callbacks(), X + 1, Y, resume_from="x.checkpoint")


@row(FILES, "a pickle of another version")
def _(package):
    model = fitted(package)
    content = pickle.dumps(model)
    version = sklearn_mlp.__version__ if package.is_ours else sklearn.__version__
    other = content.replace(version.encode(), ("9" + version[1:]).encode())
    with heard() as messages:
        pickle.loads(other).predict(X)
    return with_warnings("loads", [message[:60] + "…" for message in messages])


@row(FILES, "the clock is set back an hour, under a time limit")
def _(package):
    if not package.is_ours:
        return "has no time limit"
    ticks = iter(range(1000))
    with (
        heard(),
        patch("time.time", lambda: -3600.0 * next(ticks)),
        patch("sklearn_mlp.callbacks.monotonic", lambda: next(ticks)),
    ):
        model = package.Classifier(**SMALL).set_callbacks(TimeLimit(3)).fit(X, Y)
    return "stops in time" if model.n_iter_ == 3 else f"**stops after {model.n_iter_} epochs**"


# -- the page ----------------------------------------------------------------------------------------------------------

HEAD = """# Bad input and bad luck

Written by `python tests/reliability.py`, which does each of these things to our estimators and to those of
scikit-learn {version}; the tests do them again. **In bold** is what should not be: an answer that is wrong without a
word, a model that is half changed.

What holds throughout: an error in `fit` or `partial_fit` leaves the estimator unchanged, fitted or not; a prediction is
finite or an error; what trains can be interrupted. Besides these, `make test` fits with 200 random combinations of
parameters, values and data, allowed and not, and `make test-slow` with 5,000: each ends in a model of finite weights,
or in a ValueError or TypeError that names the parameter and leaves no trace.
"""


def cell(text):
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*args", "args")


def run(function, package):
    """What comes of a row; 'hangs' after two minutes."""
    with contextlib.redirect_stdout(io.StringIO()), threadpool_limits(1):
        return function(package)


def page():
    lines = [HEAD.format(version=sklearn.__version__)]
    for section, rows in SECTIONS.items():
        lines += [f"## {section}", "", "| | `sklearn_mlp` | scikit-learn |", "|---|---|---|"]
        for fault, function in rows.items():
            ours, theirs = (cell(run(function, package)) for package in (OURS, THEIRS))
            lines.append(f"| {fault} | {ours} | {theirs if theirs != ours else 'the same'} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    print(page(), end="")
