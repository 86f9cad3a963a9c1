"""Time of a cold start: the import compared with scikit-learn's, and the first fit of a process with the second.

Each is measured in new processes, with the compiled kernels cached on disk. Also a whole fit of iris, of 150 rows,
where validation takes longer than training. Run with `make bench`, or `python benchmarks/startup.py`.
"""

import json
import subprocess
import sys

SCRIPT = """
import json, time, warnings
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
X, y = sklearn.datasets.load_iris(return_X_y=True)
for _ in range(5):
    for module in (sklearn_mlp, sklearn.neural_network):
        clock(module.MLPClassifier(random_state=0).fit, X, y)
print(json.dumps(times))
"""


def main(repeat=5):
    runs = [
        json.loads(subprocess.run([sys.executable, "-c", SCRIPT], check=True, capture_output=True, text=True).stdout)
        for _ in range(repeat + 1)
    ][1:]  # the first fills the caches
    best = [min(times) for times in zip(*runs, strict=True)]
    ours, theirs = min(best[4::2]), min(best[5::2])
    yield "`import sklearn_mlp` after `import sklearn.neural_network`", f"+{best[1] * 1e3:.0f} ms"
    yield "first `fit` of a process beside the second", f"+{(best[2] - best[4]) * 1e3:.0f} ms"
    yield "a whole `fit` of iris, scikit-learn / ours", f"{theirs / ours:.1f}"


if __name__ == "__main__":
    for row in main():
        print(*row, sep="  ")
