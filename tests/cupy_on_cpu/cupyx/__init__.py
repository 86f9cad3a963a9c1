from cupy import cuda


def empty_pinned(shape, dtype=float):
    array = cuda.Pinned(shape, dtype)
    array.fill(0)
    array.memory = cuda.Memory(array.nbytes, cuda.pinned_pool.malloc)
    return array
