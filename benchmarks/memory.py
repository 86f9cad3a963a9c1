"""Extra peak memory of predicting and training on much data, ours and scikit-learn's.

Each measurement runs in a new process: the peak of resident memory during the call, minus the memory before it, minus
the result. Linux only. Run with `make bench`, or `python benchmarks/memory.py`.
"""

import subprocess
import sys

SCRIPT = """
import resource, sys, warnings
import numpy as np
warnings.simplefilter("ignore")
module, task = sys.argv[1:]
if module == "sklearn_mlp":
    from sklearn_mlp import MLPClassifier
else:
    from sklearn.neural_network import MLPClassifier

def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()

rng = np.random.default_rng(0)
if task == "predict":
    X = rng.standard_normal((1_000_000, 50), np.float32)
    mlp = MLPClassifier((256, 256), max_iter=1, random_state=0).fit(X[:2000], X[:2000, 0] > 0)
    call = lambda X: mlp.predict_proba(X)
    call(X[:5000])
else:
    X = rng.standard_normal((200_000, 200), np.float32)
    y = rng.integers(2, size=len(X))
    mlp = MLPClassifier((32,), max_iter=1, early_stopping=task == "fit, early stopping", random_state=0)
    call = lambda X: mlp.fit(X, y)
    mlp.fit(X[:1000], y[:1000])
with open("/proc/self/clear_refs", "w") as clear_refs:
    clear_refs.write("5")  # resets the peak
before = resident()
result = call(X)
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
print((peak - before - getattr(result, "nbytes", 0)) / 1e6)
"""

TASKS = {
    "predict": "predict_proba of 1,000,000×50 through (256, 256)",
    "fit": "an epoch of 200,000×200 (160 MB) through (32,)",
    "fit, early stopping": "the same with early stopping",
}


def measure(module, task):
    run = subprocess.run([sys.executable, "-c", SCRIPT, module, task], check=True, capture_output=True, text=True)
    return float(run.stdout)


def main():
    """Yield (task, our extra MB, scikit-learn's)."""
    for task, title in TASKS.items():
        yield title, measure("sklearn_mlp", task), measure("sklearn", task)


if __name__ == "__main__":
    print(f"{'extra MB':>52} {'ours':>8} {'scikit-learn':>13}")
    for title, ours, theirs in main():
        print(f"{title:>52} {ours:>8.0f} {theirs:>13.0f}")
