"""The estimators inside scikit-learn's tools, where they give what scikit-learn's own MLP gives with the same seed."""

import warnings

import numpy as np
import pytest
import sklearn
import sklearn.neural_network
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
    make_circles,
    make_classification,
    make_moons,
)
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.exceptions import ConvergenceWarning, UnsetMetadataPassedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer, make_scorer, precision_score
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    HalvingGridSearchCV,
    KFold,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_validate,
    learning_curve,
    train_test_split,
)
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler, minmax_scale, scale
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.tree import DecisionTreeClassifier

import sklearn_mlp

pytestmark = [
    pytest.mark.usefixtures("each_device"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

SMALL = {"hidden_layer_sizes": (16,), "max_iter": 10, "batch_size": 20, "learning_rate_init": 0.01, "random_state": 0}


def assert_same(result_with):
    """`result_with(module)` is the same for our MLP and for scikit-learn's, and is not one number throughout."""
    ours, theirs = result_with(sklearn_mlp), result_with(sklearn.neural_network)
    assert np.ptp(ours) > 0
    assert_allclose(ours, theirs, rtol=0, atol=1e-6)


def digits(n=600):
    X, y = load_digits(return_X_y=True)
    return X[:n] / 16, y[:n]


def wine():
    X, y = load_wine(return_X_y=True)
    return scale(X), y


def cancer():
    X, y = load_breast_cancer(return_X_y=True)
    return scale(X), y


# -- ensembles and wrappers --------------------------------------------------------------------------------------------


def test_stacking_classifier():
    X, y = wine()

    def result_with(mlp):
        members = [("mlp", mlp.MLPClassifier(**SMALL)), ("tree", DecisionTreeClassifier(max_depth=2, random_state=0))]
        return StackingClassifier(members, LogisticRegression(), cv=3).fit(X, y).predict_proba(X)

    assert_same(result_with)


def test_stacking_classifier_with_an_mlp_on_top():
    X, y = wine()

    def result_with(mlp):
        members = [("tree", DecisionTreeClassifier(max_depth=2, random_state=0)), ("linear", LogisticRegression())]
        return (
            StackingClassifier(members, mlp.MLPClassifier(**SMALL), cv=3, passthrough=True).fit(X, y).predict_proba(X)
        )

    assert_same(result_with)


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibrated_classifier_cv(method):
    X, y = cancer()
    assert_same(
        lambda mlp: CalibratedClassifierCV(mlp.MLPClassifier(**SMALL), method=method, cv=3).fit(X, y).predict_proba(X)
    )


def test_bagging_classifier():
    X, y = load_iris(return_X_y=True)

    def result_with(mlp):
        bag = BaggingClassifier(mlp.MLPClassifier(**SMALL), n_estimators=4, max_features=0.75, random_state=1)
        return bag.fit(X, y).predict_proba(X)

    assert_same(result_with)


def test_bagging_classifier_with_sample_weight():
    X, y = load_iris(return_X_y=True)
    weight = np.where(y == 2, 0.1, 1.0)

    def result_with(mlp):
        bag = BaggingClassifier(mlp.MLPClassifier(**SMALL), n_estimators=3, random_state=1)
        return bag.fit(X, y, sample_weight=weight).predict_proba(X)

    assert_same(result_with)


@pytest.mark.parametrize("voting", ["soft", "hard"])
def test_voting_classifier(voting):
    X, y = load_iris(return_X_y=True)

    def result_with(mlp):
        members = [(f"seed {i}", mlp.MLPClassifier(**{**SMALL, "random_state": i})) for i in range(3)]
        return VotingClassifier(members, voting=voting).fit(X, y).transform(X)

    assert_same(result_with)


def test_multi_output_classifier_with_multiclass_outputs():
    X, y = digits()
    Y = np.c_[y % 3, y // 4]

    def result_with(mlp):
        return np.hstack(MultiOutputClassifier(mlp.MLPClassifier(**SMALL)).fit(X, Y).predict_proba(X))

    assert_same(result_with)


def test_multi_output_classifier_partial_fit():
    X, y = digits()
    Y = np.c_[y % 3, y // 4]

    def result_with(mlp):
        # Without shuffling: with an int seed, scikit-learn replays one shuffle at every partial_fit.
        model = MultiOutputClassifier(mlp.MLPClassifier(**SMALL, shuffle=False))
        for start in range(0, len(X), 150):
            batch = slice(start, start + 150)
            model.partial_fit(X[batch], Y[batch], classes=[np.arange(3), np.arange(3)])
        return np.hstack(model.predict_proba(X))

    assert_same(result_with)


def test_classifier_chain():
    X, y = digits()
    bits = y[:, np.newaxis] >> np.arange(4) & 1

    def result_with(mlp):
        chain = ClassifierChain(mlp.MLPClassifier(**SMALL), order=[3, 0, 2, 1], cv=3)
        return chain.fit(X, bits).predict_proba(X)

    assert_same(result_with)


def test_self_training_classifier():
    X, y = digits()
    partly_labelled = np.where(np.arange(len(y)) % 3 == 0, y, -1)

    def result_with(mlp):
        model = SelfTrainingClassifier(mlp.MLPClassifier(**SMALL), threshold=0.9, max_iter=3)
        model.fit(X, partly_labelled)
        assert set(model.labeled_iter_) >= {0, 1, 2}
        return model.predict_proba(X)

    assert_same(result_with)


def test_fixed_threshold_classifier():
    X, y = cancer()
    model = FixedThresholdClassifier(
        sklearn_mlp.MLPClassifier(**SMALL), threshold=0.99, response_method="predict_proba", pos_label=0
    ).fit(X, y)
    assert_array_equal(model.predict(X) == 0, model.estimator_.predict_proba(X)[:, 0] >= 0.99)
    assert (model.predict(X) != model.estimator_.predict(X)).any()


def test_tuned_threshold_classifier_cv():
    X, y = cancer()

    def result_with(mlp):
        model = TunedThresholdClassifierCV(
            mlp.MLPClassifier(**SMALL),
            scoring=make_scorer(precision_score),
            thresholds=20,
            store_cv_results=True,
            cv=3,
        ).fit(X, y)
        return [model.best_threshold_, model.best_score_, *model.cv_results_["scores"]]

    assert_same(result_with)


def test_transformed_target_regressor():
    X, y = load_diabetes(return_X_y=True)

    def result_with(mlp):
        regressor = make_pipeline(StandardScaler(), mlp.MLPRegressor(**SMALL))
        model = TransformedTargetRegressor(regressor, transformer=MinMaxScaler()).fit(X, y)
        return model.predict(X) / np.ptp(y)

    assert_same(result_with)


def test_transformed_target_regressor_with_two_columns():
    X, y = load_diabetes(return_X_y=True)
    Y = np.c_[y, X[:, 2]]

    def result_with(mlp):
        model = TransformedTargetRegressor(mlp.MLPRegressor(**SMALL), transformer=StandardScaler())
        return model.fit(X[:, [0, 1, *range(3, 10)]], Y).predict(X[:, [0, 1, *range(3, 10)]]) / np.ptp(Y, axis=0)

    assert_same(result_with)


# -- model selection and inspection ------------------------------------------------------------------------------------


def test_permutation_importance():
    X, y = wine()

    def result_with(mlp):
        model = mlp.MLPClassifier(**SMALL).fit(X, y)
        return permutation_importance(model, X, y, scoring="neg_log_loss", n_repeats=2, random_state=0).importances

    assert_same(result_with)


def test_learning_curve_with_incremental_learning():
    X, y = digits()

    def result_with(mlp):
        model = mlp.MLPClassifier(**SMALL, shuffle=False)
        _, train_scores, test_scores = learning_curve(
            model, X, y, train_sizes=[0.2, 0.5, 1.0], cv=3, exploit_incremental_learning=True, scoring="neg_log_loss"
        )
        assert (test_scores[0] < test_scores[-1]).all()
        return np.stack([train_scores, test_scores])

    assert_same(result_with)


def test_halving_grid_search_over_max_iter():
    X, y = digits()

    def result_with(mlp):
        search = HalvingGridSearchCV(
            mlp.MLPClassifier(hidden_layer_sizes=(16,), random_state=0),
            {"alpha": [1e-4, 100.0], "learning_rate_init": [1e-4, 1e-2]},
            resource="max_iter",
            min_resources=3,
            max_resources=12,
            factor=2,
            cv=3,
            random_state=0,
        ).fit(X, y)
        assert search.best_params_ == {"alpha": 1e-4, "learning_rate_init": 1e-2, "max_iter": 12}
        return [*search.cv_results_["mean_test_score"], *search.cv_results_["iter"]]

    assert_same(result_with)


def test_grid_search_over_a_pipeline_in_two_processes():
    X, y = load_wine(return_X_y=True)

    def result_with(mlp):
        pipeline = Pipeline([("scale", StandardScaler()), ("mlp", mlp.MLPClassifier(**SMALL))])
        grid = {"mlp__alpha": [1e-4, 1.0], "mlp__solver": ["adam", "lbfgs"], "mlp__hidden_layer_sizes": [(4,), (8, 4)]}
        search = GridSearchCV(pipeline, grid, scoring="neg_log_loss", cv=3, n_jobs=2).fit(X, y)
        return [*search.cv_results_["mean_test_score"], *search.predict_proba(X).ravel()]

    assert_same(result_with)


def test_cross_val_predict_in_two_processes():
    X, y = digits()
    X = np.tile(X, 4)  # more than 1 MB, which joblib hands over as a read-only memory map
    assert_same(lambda mlp: cross_val_predict(mlp.MLPClassifier(**SMALL), X, y, cv=3, method="predict_proba", n_jobs=2))


# -- frames ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sparse_threshold", [0, 1], ids=["dense", "sparse"])
def test_column_transformer_of_a_pandas_frame(sparse_threshold):
    X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)

    def result_with(mlp):
        columns = ColumnTransformer(
            [("numbers", MinMaxScaler(), X.columns.drop("sex")), ("sex", OneHotEncoder(), ["sex"])],
            sparse_threshold=sparse_threshold,
        )
        return make_pipeline(columns, mlp.MLPRegressor(**SMALL)).fit(X, minmax_scale(y)).predict(X)

    assert_same(result_with)


@pytest.mark.parametrize("transform", ["pandas", "polars"])
def test_a_scaler_set_to_give_frames_hands_its_feature_names_on(transform):
    X, y = load_iris(return_X_y=True, as_frame=True)
    plain = make_pipeline(StandardScaler(), sklearn_mlp.MLPClassifier(**SMALL)).fit(X.to_numpy(), y)
    framed = make_pipeline(StandardScaler(), sklearn_mlp.MLPClassifier(**SMALL)).set_output(transform=transform)
    framed.fit(X, y)
    assert_array_equal(framed[-1].feature_names_in_, X.columns)
    # A frame's memory layout may be another, for which the products may be rounded otherwise.
    assert_allclose(framed.predict_proba(X), plain.predict_proba(X.to_numpy()), rtol=0, atol=1e-12)


# -- metadata routing --------------------------------------------------------------------------------------------------


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.fixture
def weighted_iris():
    X, y = load_iris(return_X_y=True)
    return X, y, np.where(y == 1, 3.0, 0.2) * np.linspace(0.5, 1.5, len(y))


def weighted_pipeline():
    """The scaler asks for no weights; the MLP asks for them to be fitted and scored with."""
    model = sklearn_mlp.MLPClassifier(**SMALL).set_fit_request(sample_weight=True)
    scaler = StandardScaler().set_fit_request(sample_weight=False)
    return make_pipeline(scaler, model.set_score_request(sample_weight=True))


@pytest.mark.usefixtures("routing")
def test_grid_search_routes_sample_weight_to_fit(weighted_iris):
    X, y, weight = weighted_iris
    grid = {"mlpclassifier__alpha": [0.01, 0.1]}
    search = GridSearchCV(weighted_pipeline(), grid, cv=3).fit(X, y, sample_weight=weight)
    by_hand = clone(search.best_estimator_[-1])
    assert_array_equal(search.predict_proba(X), by_hand.fit(scale(X), y, sample_weight=weight).predict_proba(scale(X)))
    assert np.abs(search.predict_proba(X) - by_hand.fit(scale(X), y).predict_proba(scale(X))).max() > 0.1


@pytest.mark.usefixtures("routing")
def test_cross_validate_routes_sample_weight_to_fit_and_score(weighted_iris):
    X, y, weight = weighted_iris
    folds = KFold(3, shuffle=True, random_state=0)
    scores = cross_validate(weighted_pipeline(), X, y, cv=folds, params={"sample_weight": weight})["test_score"]

    def score_by_hand(train, test, fit_weight, score_weight):
        scaler = StandardScaler().fit(X[train])
        model = sklearn_mlp.MLPClassifier(**SMALL).fit(scaler.transform(X[train]), y[train], fit_weight)
        return model.score(scaler.transform(X[test]), y[test], score_weight)

    splits = list(folds.split(X))
    assert_allclose(scores, [score_by_hand(*s, weight[s[0]], weight[s[1]]) for s in splits], rtol=1e-12)
    assert (scores != [score_by_hand(*s, None, weight[s[1]]) for s in splits]).any()
    assert (scores != [score_by_hand(*s, weight[s[0]], None) for s in splits]).any()


@pytest.mark.usefixtures("routing")
def test_learning_curve_routes_sample_weight_to_partial_fit(weighted_iris):
    X, y, weight = weighted_iris

    def last_scores(params):
        model = sklearn_mlp.MLPClassifier(**SMALL).set_fit_request(sample_weight=True)
        _, _, scores = learning_curve(
            model.set_partial_fit_request(sample_weight=True),
            scale(X),
            y,
            train_sizes=[0.5, 1.0],
            cv=3,
            shuffle=True,
            random_state=0,
            exploit_incremental_learning=True,
            scoring=get_scorer("neg_log_loss").set_score_request(sample_weight=False),
            params=params,
        )
        return scores[-1]

    unweighted = last_scores(None)
    assert_allclose(last_scores({"sample_weight": np.ones(len(y))}), unweighted, rtol=1e-12)
    assert (np.abs(last_scores({"sample_weight": weight}) - unweighted) > 0.01).all()


@pytest.mark.usefixtures("routing")
def test_sample_weight_that_nobody_asked_for_is_an_error(weighted_iris):
    X, y, weight = weighted_iris
    with pytest.raises(UnsetMetadataPassedError, match="MLPClassifier"):
        cross_validate(sklearn_mlp.MLPClassifier(**SMALL), X, y, params={"sample_weight": weight})


# -- scikit-learn's examples, with another import ----------------------------------------------------------------------


def varying_regularization(MLPClassifier, plt):
    """examples/neural_networks/plot_mlp_alpha.py on a coarser grid: the scores, and the surface of the last model."""
    alphas = np.logspace(-1, 1, 3)
    names = [f"alpha {alpha:.2f}" for alpha in alphas]
    classifiers = [
        make_pipeline(
            StandardScaler(),
            MLPClassifier(
                solver="lbfgs",
                alpha=alpha,
                random_state=1,
                max_iter=2000,
                early_stopping=True,
                hidden_layer_sizes=[10, 10],
            ),
        )
        for alpha in alphas
    ]
    X, y = make_classification(n_features=2, n_redundant=0, n_informative=2, random_state=0, n_clusters_per_class=1)
    X += 2 * np.random.RandomState(2).uniform(size=X.shape)
    datasets = [make_moons(noise=0.3, random_state=0), make_circles(noise=0.2, factor=0.5, random_state=1), (X, y)]

    scores = []
    figure, axes = plt.subplots(len(datasets), len(classifiers))
    for row, (X, y) in zip(axes, datasets, strict=True):
        X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.4, random_state=42)
        (x_min, y_min), (x_max, y_max) = X.min(axis=0) - 0.5, X.max(axis=0) + 0.5
        xx, yy = np.meshgrid(np.arange(x_min, x_max, 0.2), np.arange(y_min, y_max, 0.2))
        for ax, name, clf in zip(row, names, classifiers, strict=True):
            clf.fit(X_train, y_train)
            scores.append(clf.score(X_test, y_test))
            if hasattr(clf, "decision_function"):
                Z = clf.decision_function(np.column_stack([xx.ravel(), yy.ravel()]))
            else:
                Z = clf.predict_proba(np.column_stack([xx.ravel(), yy.ravel()]))[:, 1]
            Z = Z.reshape(xx.shape)
            ax.contourf(xx, yy, Z, cmap=plt.cm.RdBu, alpha=0.8)
            ax.scatter(X_train[:, 0], X_train[:, 1], c=y_train, edgecolors="black", s=25)
            ax.set_title(name)
    figure.canvas.draw()
    plt.close(figure)
    return np.reshape(scores, axes.shape), Z


@pytest.mark.filterwarnings("ignore:early_stopping=True has no effect with solver='lbfgs':UserWarning")
def test_example_varying_regularization():
    pytest.importorskip("matplotlib").use("Agg")
    plt = pytest.importorskip("matplotlib.pyplot")
    scores, Z = varying_regularization(sklearn_mlp.MLPClassifier, plt)
    their_scores, their_Z = varying_regularization(sklearn.neural_network.MLPClassifier, plt)
    # Hundreds of iterations of lbfgs turn rounding errors into visible ones, in scikit-learn's from itself, too.
    assert_allclose(scores, their_scores, rtol=0, atol=0.1)
    assert_allclose(Z, their_Z, rtol=0, atol=0.01)
    assert scores[:, 1].min() > 0.85
    assert np.ptp(Z) > 0.5


def training_curves(MLPClassifier, X, y, max_iter):
    """examples/neural_networks/plot_mlp_training_curves.py, without its figure: every loss of every curve."""
    momenta = [
        {"momentum": 0},
        {"momentum": 0.9, "nesterovs_momentum": False},
        {"momentum": 0.9, "nesterovs_momentum": True},
    ]
    params = [
        {"solver": "sgd", "learning_rate": learning_rate, "learning_rate_init": 0.2, **momentum}
        for learning_rate in ("constant", "invscaling")
        for momentum in momenta
    ]
    params.append({"solver": "adam", "learning_rate_init": 0.01})
    X = MinMaxScaler().fit_transform(X)
    mlps = [MLPClassifier(random_state=0, max_iter=max_iter, **param).fit(X, y) for param in params]
    return np.concatenate([[mlp.score(X, y), mlp.loss_, *mlp.loss_curve_] for mlp in mlps])


@pytest.mark.parametrize(
    ("data", "max_iter"),
    [
        (load_iris(return_X_y=True), 400),
        (load_digits(return_X_y=True), 15),
        (make_circles(noise=0.2, factor=0.5, random_state=1), 400),
        (make_moons(noise=0.3, random_state=0), 400),
    ],
    ids=["iris", "digits", "circles", "moons"],
)
def test_example_training_curves(data, max_iter):
    assert_same(lambda mlp: training_curves(mlp.MLPClassifier, *data, max_iter))


def test_the_filter_of_the_training_curves_example_silences_convergence_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=ConvergenceWarning, module="sklearn")
        sklearn_mlp.MLPClassifier(max_iter=2).fit(*load_iris(return_X_y=True))
