import numpy as np
from cupy import cuda


def empty_pinned(shape, dtype=float):
    array = np.empty(shape, dtype).view(cuda.Pinned)
    array.fill(0)
    return array
