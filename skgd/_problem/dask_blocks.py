"""Blocks that lie on the workers of a Dask cluster: the only file that imports dask.

The blocks that a worker has are the result of one task, a bundle, and a question goes to each
bundle as one task, which depends on that result alone. A scheduler takes about a millisecond for
a task and a fifth of one for each result that a task depends on: 40 of them take longer than a
pass over a million rows.

An answer depends on the block and the question alone. So where a worker is lost, the scheduler
makes its bundle again from what the user's collections are made of, and asks it: there is nothing
else to restore. Answers come back for each block, and are added in the order of the blocks: which
of them are in one bundle changes no bit.
"""

import pickle
from dataclasses import fields, is_dataclass, replace
from functools import reduce
from itertools import groupby

import numpy as np

from skgd._utils.linalg import one_thread

# Bytes of an argument that is sent to the workers once and not with each task.
HELD = 2**20
# Bytes of the answers that come to the client one by one: more are added up by a tree of tasks.
TOGETHER = 2**25
# The answers that a task of the tree adds up.
FAN_IN = 8
# The share of a worker's memory that one bundle may take.
SHARE = 0.4
# Keys of their own: an equal task of another fit may be cancelled at any time.
PURE = {"pure": False}


class DaskBlocks:
    """Blocks in bundles on the workers of a cluster.

    Parameters
    ----------
    client : distributed.Client
    bundles : list of distributed.Future
        Each of a list of blocks.
    places : list of (int, int)
        For each block the number of its bundle, and its position there.
    """

    def __init__(self, client, bundles, places):
        self.client, self.bundles, self.places = client, bundles, places

    def __len__(self):
        return len(self.places)

    def only(self, numbers):
        """Return some of the blocks."""
        return DaskBlocks(self.client, self.bundles, [self.places[b] for b in numbers])

    def map(self, function, *arguments):
        """Return what a function makes of each block, on the worker where it lies."""
        members = self._members(range(len(self)))
        positions = [[self.places[b][1] for b in group] for group in members.values()]
        made = self.client.map(
            _make, [self.bundles[i] for i in members], positions,
            asked=_Asked(function, arguments), **PURE,
        )  # fmt: skip
        return DaskBlocks(self.client, made, _places(members.values()))

    def _members(self, of):
        """Return the numbers of the bundles of some blocks, with the blocks in each."""
        members = {}
        for b in of:
            members.setdefault(self.places[b][0], []).append(b)
        return members

    # ---- questions ------------------------------------------------------------------------------

    def ask(self, question, *arguments, of=None):
        """Return what blocks answer, in their order.

        Parameters
        ----------
        question : callable
            Of a block and arguments.
        *arguments : object
        of : list of int or None, default=None
            The numbers of the blocks, rising; None for all.
        """
        asked = self._held(_Asked(question, arguments))
        of = range(len(self)) if of is None else of
        return self._answers(of, lambda numbers: asked)

    def ask_some(self, question, arguments):
        """Return what the blocks answer that a dict has an argument for, in its order."""
        asked = {b: _Asked(question, (argument,)) for b, argument in arguments.items()}
        return self._answers(arguments, lambda numbers: [asked[b] for b in numbers])

    def _answers(self, of, asked_of):
        """Return the answers of some blocks; each bundle gets one task for its own."""
        members = self._members(of)
        tasks = self.client.map(
            _ask, [self.bundles[i] for i in members],
            [[self.places[b][1] for b in numbers] for numbers in members.values()],
            [asked_of(numbers) for numbers in members.values()], **PURE,
        )  # fmt: skip
        answers = {}
        for numbers, found in zip(members.values(), self._gather(tasks), strict=True):
            answers.update(zip(numbers, pickle.loads(found), strict=True))
        return [answers[b] for b in of]

    def total(self, question, *arguments, of):
        """Return the sums of what blocks answer, a tuple of arrays, in their order."""
        sizes = sum(part.nbytes for part in arguments if isinstance(part, np.ndarray))
        if sizes * len(of) > TOGETHER:  # of gradients, as large as the coefficients
            return self._tree(question, arguments, of)
        return reduce(_added, self.ask(question, *arguments, of=of))

    def _tree(self, question, arguments, of):
        """Return the sums of large answers, which other tasks add up, in an order of their own."""
        asked, places = self._held(_Asked(question, arguments)), [self.places[b] for b in of]
        parts = self.client.map(
            _ask_one, [self.bundles[i] for i, _ in places], [p for _, p in places], asked=asked,
            **PURE,
        )  # fmt: skip
        while len(parts) > 1:
            groups = [parts[i:i + FAN_IN] for i in range(0, len(parts), FAN_IN)]
            parts = self.client.map(_add, groups, **PURE)
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
        steps = [(*self.places[b], _Asked(question, (argument,))) for b, argument in steps]
        for bundle, group in groupby(steps, key=lambda step: step[0]):
            _, positions, asked = zip(*group, strict=True)
            state = self.client.submit(
                _follow, self.bundles[bundle], state, positions, asked, **PURE
            )
        return self._gather([state])[0]

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
            pending = [bundle for bundle in self.bundles if not bundle.done()]
            self.client.cancel(futures + pending)
            raise


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


def _make(bundle, positions, asked):
    return [asked(bundle[position]) for position in positions]


def _ask(bundle, positions, asked):
    """Return what blocks answer, each to its own question in a list, as one string of bytes.

    Each array would be a message of its own otherwise, with a header.
    """
    asked = asked if isinstance(asked, list) else len(positions) * [asked]
    answers = [ask(bundle[p]) for ask, p in zip(asked, positions, strict=True)]
    return pickle.dumps(answers, protocol=pickle.HIGHEST_PROTOCOL)


def _ask_one(bundle, position, asked):
    return asked(bundle[position])


def _follow(bundle, state, positions, asked):
    for position, ask in zip(positions, asked, strict=True):
        state = ask(bundle[position], state)
    return state


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
    """Return what a function makes of the partitions of collections, in bundles.

    Parameters
    ----------
    function : callable
        Of one partition of each collection, and the arguments.
    arguments : tuple
    *collections : list or None
        See `partitions`.
    """
    client, columns = the_client(), [parts for parts in collections if parts is not None]
    read = _Asked(_read, (function, arguments, [parts is not None for parts in collections]))
    if all(map(_are_futures, columns)):  # what lies on workers is read bundle by bundle
        rows = list(zip(*columns, strict=True))
        groups = _groups(client, columns[0])
        bundles = client.map(
            _make_all, [[list(rows[b]) for b in group] for group in groups], make=read, **PURE
        )  # fmt: skip
    else:
        parts = client.compute(_delayed_calls(read, columns))
        groups = _groups(client, parts)
        bundles = client.map(list, [[parts[b] for b in group] for group in groups], **PURE)
    return DaskBlocks(client, bundles, _places(groups))


def _places(bundles):
    """Return where each block lies, from the numbers of the blocks in each bundle."""
    places = {
        b: (i, position) for i, numbers in enumerate(bundles)
        for position, b in enumerate(numbers)
    }  # fmt: skip
    return [places[b] for b in range(len(places))]


def _delayed_calls(function, columns):
    import dask

    # Keys of their own; what is not finite is kept out of the names of tasks, too.
    made, shared = dask.delayed(_call, pure=False), dask.delayed(function, traverse=False)
    return [made(shared, *row) for row in zip(*columns, strict=True)]


def _call(function, *parts):
    return function(parts)


def _make_all(rows, make):
    return [make(parts) for parts in rows]


def _read(parts, function, arguments, is_given):
    parts = iter(parts)
    return function(*(next(parts) if given else None for given in is_given), *arguments)


def _groups(client, futures):
    """Return the numbers of some futures that lie on the same worker, and fit into a bundle.

    There is a bundle for each thread of a worker, or more where its memory is small.
    """
    from distributed import wait

    try:
        wait(futures)
    except BaseException:
        client.cancel([future for future in futures if not future.done()])
        raise
    keys = [future.key for future in futures]
    holders, sizes = client.who_has(futures), client.nbytes(keys, summary=False)
    workers = client.scheduler_info(n_workers=-1)["workers"]
    places = {}
    for b, key in enumerate(keys):
        places.setdefault(next(iter(holders.get(key) or ("",))), []).append(b)
    groups = []
    for place, members in places.items():
        known = workers.get(place, {})
        ends = np.cumsum([max(sizes.get(keys[b], 1), 1) for b in members])
        n_bundles = max(1, known.get("nthreads", 1))
        if known.get("memory_limit"):
            least = int(np.ceil(ends[-1] / (SHARE * known["memory_limit"])))
            n_bundles = max(n_bundles, least)
        cuts = np.searchsorted(ends, ends[-1] * np.arange(1, n_bundles) / n_bundles, side="right")
        groups += [part.tolist() for part in np.split(np.array(members), cuts) if len(part)]
    return groups


def partitions(collection, like=None, name="X"):
    """Return the partitions of a collection along its rows, those of another one's if it is given.

    They are futures of a persisted array, and otherwise delayed, or arrays.

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
    parts = _futures_of(collection) or list(np.ravel(collection.to_delayed()))
    if like is not None and len(parts) != n_partitions(like):
        raise ValueError(
            f"{name} has {len(parts)} partitions and X {n_partitions(like)}: pass both with the "
            "same ones, as by repartition or rechunk."
        )
    return parts


def _futures_of(collection):
    """Return the partitions of an array that are futures; an empty list where they are not."""
    if not hasattr(collection, "chunks"):
        return []
    from dask.core import flatten

    graph = collection.__dask_graph__()
    parts = [graph.get(key) for key in flatten(collection.__dask_keys__())]
    return parts if _are_futures(parts) else []


def _are_futures(parts):
    from distributed import Future

    return all(isinstance(part, Future) for part in parts)


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
