"""Time of a cold start: the import compared with scikit-learn's, and the first fit of a process with the second.

Each is measured in new processes, with the compiled kernels cached on disk. Small jobs, such as a fit of iris (150
rows), run on NumPy's kernels; larger ones, such as one of digits, load Numba first. Also whole fits of iris, in which
validation takes as long as training. Run with `make bench`, or `python benchmarks/startup.py`.
"""

import json
import subprocess
import sys

SCRIPT = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
times = []
def clock(f, *args):
    start = time.perf_counter()
    result = f(*args)
    times.append(time.perf_counter() - start)
    return result
clock(__import__, "sklearn.neural_network")
clock(__import__, "sklearn_mlp")
import sklearn.datasets, sklearn.neural_network, sklearn_mlp
module = sys.modules[sys.argv[1]]
for load, max_iter in (sklearn.datasets.load_iris, 50), (sklearn.datasets.load_digits, 5):
    X, y = load(return_X_y=True)
    for _ in range(5):
        clock(module.MLPClassifier(max_iter=max_iter, random_state=0).fit, X, y)
print(json.dumps(times))
"""


def run(module):
    command = [sys.executable, "-c", SCRIPT, module]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main(repeat=7):
    runs = [[run(module) for module in ("sklearn_mlp", "sklearn.neural_network")] for _ in range(repeat + 1)]
    # The first fills the caches.
    ours, theirs = ([min(times) for times in zip(*of_module, strict=True)] for of_module in zip(*runs[1:], strict=True))
    yield "`import sklearn_mlp` after `import sklearn.neural_network`", f"+{ours[1] * 1e3:.0f} ms"
    first = f"{ours[2] * 1e3:.0f}, {theirs[2] * 1e3:.0f} ms"
    yield "first `fit` of a process, 50 epochs of iris: ours, scikit-learn's", first
    yield "a later `fit` of the same process; scikit-learn / ours", f"{min(theirs[3:7]) / min(ours[3:7]):.1f}"
    yield "first `fit` of digits in a process, compared with the second", f"+{(ours[7] - min(ours[8:])) * 1e3:.0f} ms"


if __name__ == "__main__":
    for row in main():
        print(*row, sep="  ")
