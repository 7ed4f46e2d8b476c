"""Blocks that lie on the workers of a Dask cluster: the only file that imports dask.

A question goes to each worker as one task for all of its blocks: tasks cost a scheduler about a
millisecond each, and 40 of them more than a pass over a million rows. A block is itself the result
of a task, and an answer depends on the block and the question alone. So where a worker is lost,
the scheduler makes its blocks again from what the user's collections are made of, and asks them:
there is nothing else to restore. Answers come back in the order of the blocks.
"""

from dataclasses import fields, is_dataclass, replace
from functools import reduce

import numpy as np

from skgd._utils.linalg import one_thread

# Bytes of an argument that is sent to the workers once and not with each task.
HELD = 2**20
# Bytes of the answers that come to the client one by one: more are added up by a tree of tasks.
TOGETHER = 2**25
# The answers that a task of the tree adds up.
FAN_IN = 8
# The share of a worker's memory that the blocks of one task may take.
SHARE = 0.4
# What the ends of a chain of tasks are told apart by from those of other fits.
PURE = {"pure": False}


class DaskBlocks:
    """What the tasks of some futures have made, in order.

    Parameters
    ----------
    client : distributed.Client
    futures : list of distributed.Future
    nbytes : list of int or None, default=None
        The sizes of the results, where they are known.
    """

    def __init__(self, client, futures, nbytes=None):
        self.client, self.futures, self.nbytes = client, futures, nbytes
        self.places = None

    def __len__(self):
        return len(self.futures)

    def only(self, numbers, nbytes):
        """Return some of the blocks, whose sizes are known."""
        return DaskBlocks(self.client, [self.futures[b] for b in numbers], nbytes)

    def map(self, function, *arguments):
        """Return what a function makes of each block, on the worker where it lies."""
        futures = self.client.map(_Asked(function, arguments), self.futures, **PURE)
        return DaskBlocks(self.client, futures, self.nbytes)

    # ---- questions ------------------------------------------------------------------------------

    def ask(self, question, *arguments, of=None):
        """Return what blocks answer, in their order.

        Parameters
        ----------
        question : callable
            Of a block and arguments.
        *arguments : object
        of : list of int or None, default=None
            The numbers of the blocks; None for all.
        """
        asked = self._held(_Asked(question, arguments))
        return self._answers(range(len(self)) if of is None else of, lambda numbers: asked)

    def ask_some(self, question, arguments):
        """Return what the blocks answer that a dict has an argument for, in its order."""
        asked = {b: _Asked(question, (argument,)) for b, argument in arguments.items()}
        return self._answers(asked, lambda numbers: [asked[b] for b in numbers])

    def _answers(self, of, asked_of):
        """Return the answers of some blocks; each worker gets one task for its own."""
        of = set(of)
        if self.places is None:
            self.places = self._bundles()
        bundles = [(place, [b for b in members if b in of]) for place, members in self.places]
        bundles = [(place, numbers) for place, numbers in bundles if numbers]
        tasks = [
            self.client.submit(
                _ask, asked_of(numbers), [self.futures[b] for b in numbers], **_on(place)
            )
            for place, numbers in bundles
        ]  # fmt: skip
        answers = {}
        for (place, numbers), (worker, found) in zip(bundles, self._gather(tasks), strict=True):
            answers.update(zip(numbers, found, strict=True))
            if worker != place:  # a worker was lost, or the blocks were moved
                self.places = None
        return [answers[b] for b in sorted(answers)]

    def total(self, question, *arguments, of):
        """Return the sums of what blocks answer, a tuple of arrays, in their order."""
        sizes = sum(part.nbytes for part in arguments if isinstance(part, np.ndarray))
        if sizes * len(of) > TOGETHER:  # of gradients, as large as the coefficients
            return self._tree(question, arguments, of)
        return reduce(_added, self.ask(question, *arguments, of=of))

    def _tree(self, question, arguments, of):
        """Return the sums of large answers, which other tasks add up, in an order of their own."""
        asked = self._held(_Asked(question, arguments))
        parts = [self.client.submit(_ask_one, asked, self.futures[b], **PURE) for b in of]
        while len(parts) > 1:
            parts = [
                self.client.submit(_add, parts[i:i + FAN_IN], **PURE)
                for i in range(0, len(parts), FAN_IN)
            ]
        return self._gather(parts)[0]

    def chain(self, question, state, steps):
        """Return the state after one block after the other has changed it.

        Parameters
        ----------
        question : callable
            Of a block, a state and an argument; returns the next state.
        state : object
        steps : list of (int, object)
            Numbers of blocks, and arguments.
        """
        for b, argument in steps:
            follow = _Asked(question, (argument,))
            state = self.client.submit(follow, self.futures[b], state, **PURE)
        return self._gather([state])[0]

    # ---- where they go --------------------------------------------------------------------------

    def _bundles(self):
        """Return pairs of a worker and of numbers of blocks that lie there, for one task each."""
        from distributed import wait

        wait(self.futures)
        holders = self.client.who_has(self.futures)
        workers = self.client.scheduler_info(n_workers=-1)["workers"]
        groups = {}
        for b, future in enumerate(self.futures):
            place = next(iter(holders.get(future.key) or ("",)))
            groups.setdefault(place, []).append(b)
        bundles = []
        for place, members in groups.items():
            known = workers.get(place, {})
            n_tasks = min(len(members), max(1, known.get("nthreads", 1)))
            limit = known.get("memory_limit") or 0
            if limit and self.nbytes is not None:
                size = sum(self.nbytes[b] for b in members)
                n_tasks = min(len(members), max(n_tasks, int(np.ceil(size / (SHARE * limit)))))
            parts = np.array_split(members, n_tasks)
            bundles += [(place if place in workers else "", part.tolist()) for part in parts]
        return bundles

    def _held(self, asked):
        """Return what is asked, or a future of it, which the scheduler can make again."""
        if _nbytes(asked.arguments) <= HELD:
            return asked
        return self.client.submit(asked.itself, **PURE)

    def _gather(self, futures):
        """Return the results of tasks, which are cancelled where nobody waits for them any more."""
        try:
            return self.client.gather(futures)
        except BaseException:
            self.client.cancel(futures)
            raise


def _on(worker):
    if not worker:
        return PURE
    return {"workers": [worker], "allow_other_workers": True, **PURE}


# ---- on the workers -----------------------------------------------------------------------------

class _Asked:
    """A function of a block, with its other arguments, which dask does not look into."""

    def __init__(self, function, arguments):
        self.function, self.arguments = function, arguments

    def __setstate__(self, state):
        self.function, self.arguments = state["function"], aligned(state["arguments"])

    def __call__(self, block, *more):
        # As in a fit: what is not finite is looked for by who asks.
        with one_thread(), np.errstate(all="ignore"):
            return self.function(block, *aligned(more), *self.arguments)

    def itself(self):
        return self


def _ask_one(asked, block):
    return asked(block)


def _ask(asked, blocks):
    """Return the worker's address, and what blocks answer, each to its own question in a list."""
    from distributed import get_worker

    asked = asked if isinstance(asked, list) else len(blocks) * [asked]
    return get_worker().address, [ask(block) for ask, block in zip(asked, blocks, strict=True)]


def _added(one, other):
    return tuple(a + b for a, b in zip(one, other, strict=True))


def _add(parts):
    return reduce(_added, parts)


def aligned(value):
    """Return a value whose arrays lie at even addresses, as those from a network need not."""
    if isinstance(value, np.ndarray):
        return np.require(value, requirements="A") if value.dtype != object else value
    if isinstance(value, tuple | list):
        parts = list(map(aligned, value))
        if isinstance(value, list):
            return parts
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{
            field.name: aligned(getattr(value, field.name)) for field in fields(value) if field.init
        })  # fmt: skip
    return value


def _nbytes(value):
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, tuple | list):
        return sum(map(_nbytes, value))
    return 0


# ---- collections --------------------------------------------------------------------------------

def the_client():
    """Return the client of the cluster.

    Raises
    ------
    ValueError
        If there is none.
    """
    try:
        from distributed import default_client
    except ImportError as error:
        raise ImportError(
            "X is a Dask collection, and dask.distributed is not installed: pip install "
            "skgd[dask], or pass X.compute()."
        ) from error
    try:
        client = default_client()
    except ValueError as error:
        raise ValueError(
            "X is a Dask collection, and there is no client of a cluster: create one, with "
            "client = distributed.Client(), or pass X.compute()."
        ) from error
    if client.asynchronous:
        raise ValueError(
            "The client of the cluster is asynchronous: call fit where the default client is one "
            "made with asynchronous=False."
        )
    return client


def of_partitions(function, arguments, *collections):
    """Return what a function makes of the partitions of collections.

    Parameters
    ----------
    function : callable
        Of one partition of each collection, and the arguments.
    arguments : tuple
    *collections : list of Delayed, list of arrays, or None
        See `partitions`.
    """
    import dask

    client = the_client()
    n = len(collections[0])
    made = dask.delayed(_read, pure=False)
    shared = dask.delayed(arguments, traverse=False)
    tasks = [
        made(function, shared, *(None if part is None else part[i] for part in collections))
        for i in range(n)
    ]
    return DaskBlocks(client, client.compute(tasks))


def _read(function, arguments, *parts):
    with np.errstate(all="ignore"):
        return function(*parts, *aligned(arguments))


def partitions(collection, like=None, name="X"):
    """Return the partitions of a collection along its rows, those of another one's if it is given.

    Parameters
    ----------
    collection : dask array, dask dataframe or series, array
    like : dask array, dask dataframe or None
    name : str
    """
    if not hasattr(collection, "__dask_graph__"):
        return _parts_of_array(np.asarray(collection), like, name)
    if hasattr(collection, "chunks"):
        if collection.ndim > 1 and collection.numblocks[1] > 1:
            collection = collection.rechunk({1: -1})
        chunks = getattr(like, "chunks", None)
        if chunks is not None and chunks[0] != collection.chunks[0]:
            if _is_known(chunks[0]) and _is_known(collection.chunks[0]):
                if sum(chunks[0]) != sum(collection.chunks[0]):
                    raise ValueError(
                        f"{name} has {sum(collection.chunks[0])} rows and X {sum(chunks[0])}: "
                        "pass as many of both."
                    )
                collection = collection.rechunk({0: chunks[0]})
    parts = list(np.ravel(collection.to_delayed()))
    if like is not None and len(parts) != n_partitions(like):
        raise ValueError(
            f"{name} has {len(parts)} partitions and X {n_partitions(like)}: pass both with the "
            "same ones, as by repartition or rechunk."
        )
    return parts


def n_partitions(collection):
    """Return the number of partitions along the rows."""
    if hasattr(collection, "chunks"):
        return collection.numblocks[0]
    return collection.npartitions


def _is_known(sizes):
    return not np.isnan(np.asarray(sizes, dtype=float)).any()


def _parts_of_array(array, like, name):
    chunks = getattr(like, "chunks", None)
    if chunks is None or not _is_known(chunks[0]):
        raise TypeError(
            f"{name} is an array, and the sizes of X's partitions are not known: pass a Dask "
            f"collection with the partitions of X, or X with known sizes."
        )
    if array.ndim == 0:
        return [array] * len(chunks[0])
    if len(array) != sum(chunks[0]):
        raise ValueError(
            f"{name} has {len(array)} rows and X {sum(chunks[0])}: pass as many of both."
        )
    return np.split(array, np.cumsum(chunks[0])[:-1])


def example(collection):
    """Return an object without rows, with the columns and the types of a collection."""
    if hasattr(collection, "chunks"):
        return np.empty((0, *collection.shape[1:]), dtype=collection.dtype)
    from dask.dataframe.dispatch import make_meta

    return make_meta(collection)


def lazy_rows(function, X, shape, dtype):
    """Return a dask array of what a function makes of the rows of each partition.

    Parameters
    ----------
    function : callable
    X : dask array or dataframe
    shape : tuple of int
        That of the result for a row.
    dtype : numpy dtype
    """
    import dask
    import dask.array as da

    make = dask.delayed(function, pure=True)
    sizes = X.chunks[0] if hasattr(X, "chunks") else [np.nan] * X.npartitions
    return da.concatenate([
        da.from_delayed(make(part), (size, *shape), dtype=dtype)
        for part, size in zip(partitions(X), sizes, strict=True)
    ])  # fmt: skip
