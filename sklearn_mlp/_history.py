"""The record of a training run: curves and best values in the units of y, and verbose output."""

from math import inf, isfinite

ATTRIBUTES = (
    "loss_",
    "loss_curve_",
    "learning_rate_curve_",
    "validation_scores_",
    "validation_loss_curve_",
    "best_loss_",
    "best_validation_score_",
    "n_iter_",
    "t_",
)


class History:
    """The record of training, epoch by epoch, under the names of the fitted attributes.

    Parameters
    ----------
    plan : Plan
    unit : float
        Factor from the network's loss to the scale of y.
    validates : bool
        Whether there is a validation set.
    past : dict
        The attributes of the model that training continues; empty if there is none.
    incremental : bool
        For `partial_fit`: append to the lists in `past`, as copying takes long once they are long, and keep the best
        values. A refit under `warm_start` is judged by its own epochs, as its data may differ.
    """

    def __init__(self, plan, unit, validates, past, incremental):
        def curve(name, recorded=True):
            values = past.get(name) or []
            return None if not recorded else values if incremental else list(values)

        self.plan = plan
        self.unit = unit
        self.loss_ = past.get("loss_")
        self.loss_curve_ = curve("loss_curve_")
        self.learning_rate_curve_ = curve("learning_rate_curve_")
        self.validation_scores_ = curve("validation_scores_", validates)
        self.validation_loss_curve_ = curve("validation_loss_curve_", validates)
        self.t_ = past.get("t_", 0)
        self.best_loss_ = past.get("best_loss_") if incremental else None
        self.best_validation_score_ = past.get("best_validation_score_") if incremental else None
        self.n_iter_ = 0
        self._past = [(each, len(each)) for each in vars(self).values() if isinstance(each, list)]

    def undo(self):
        """Remove what has been appended to the lists of the estimator."""
        for values, length in self._past:
            del values[length:]

    def add_epoch(self, epoch):
        """Record an epoch of a stochastic solver, and print it."""
        plan, unit = self.plan, self.unit
        epoch = epoch._replace(loss=unit * epoch.loss)
        if epoch.score is not None:
            score = unit * epoch.score if plan.scoring == "loss" else epoch.score
            epoch = epoch._replace(score=score, validation_loss=unit * epoch.validation_loss)
            self.validation_scores_.append(epoch.score)
            self.validation_loss_curve_.append(epoch.validation_loss)
            best = -inf if self.best_validation_score_ is None else self.best_validation_score_
            scored = isfinite(epoch.score) and isfinite(epoch.loss)
            self.best_validation_score_ = max(epoch.score, best) if scored else best
        self.t_ += epoch.n_rows
        self._add_loss(epoch.loss, has_best=not plan.early_stopping)
        self.learning_rate_curve_.append(epoch.learning_rate)
        if plan.verbose:
            self._print(epoch)

    def add_iteration(self, loss):
        """Record an iteration of 'lbfgs'."""
        self._add_loss(self.unit * loss, has_best=True)

    def _add_loss(self, loss, has_best):
        self.loss_ = loss
        self.loss_curve_.append(loss)
        if has_best and isfinite(loss):
            self.best_loss_ = loss if self.best_loss_ is None else min(loss, self.best_loss_)
        self.n_iter_ += 1

    def has_flattened(self):
        """Whether the training loss, if stopping depends on it, has reached a plateau.

        In the last tenth of the epochs, at least ten, it fell by less than 1 % of its total decrease.
        """
        last = max(10, self.n_iter_ // 10)
        if self.plan.early_stopping or self.n_iter_ <= 2 * last:
            return False
        curve = self.loss_curve_[-self.n_iter_ :]
        return curve[-1 - last] - curve[-1] < 0.01 * (curve[0] - curve[-1])

    def state(self):
        """The record as fitted attributes; the lists are those in use."""
        return {name: getattr(self, name) for name in ATTRIBUTES if name != "loss_" or self.loss_ is not None}

    def load(self, state):
        vars(self).update(state)

    def _print(self, epoch):
        if self.plan.verbose == 2:
            self._print_row(epoch)
        else:
            print(f"Iteration {self.n_iter_}, loss = {epoch.loss:.8f}")
            if epoch.score is not None:
                print(f"Validation score: {epoch.score:f}")
        if epoch.plateau:
            what = "Validation score" if self.plan.early_stopping else "Training loss"
            print(
                f"{what} did not improve more than tol={self.plan.tol:f} for {self.plan.n_iter_no_change} consecutive "
                f"epochs. {epoch.plateau}"
            )

    def _print_row(self, epoch):
        """An epoch as a row of a table, below the names of its columns if it is the first."""
        columns = {"epoch": f"{self.n_iter_}", "loss": f"{epoch.loss:.6g}"}
        if epoch.score is not None:
            columns |= {"val. loss": f"{epoch.validation_loss:.6g}", "val. score": f"{epoch.score:.6g}"}
        columns |= {
            "rate": f"{epoch.learning_rate:.3g}",
            "seconds": f"{epoch.seconds:.3g}",
            "rows/s": f"{epoch.n_rows / epoch.seconds:,.0f}" if epoch.seconds else "-",
        }
        if self.n_iter_ == 1:
            print("".join(f"{name:>12}" for name in columns))
        print("".join(f"{value:>12}" for value in columns.values()))
