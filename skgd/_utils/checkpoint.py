"""The file of a checkpoint: what it holds, what it belongs to, and how it is written.

A line that names the format, a line with the SHA-256 checksum of the rest, and an npz archive: the
arrays of a fit's state, and JSON for what is around them. Nothing in it is executed on load.
"""

import hashlib
import io
import json
import os
import pickle
from contextlib import suppress

import joblib
import numpy as np
from scipy import sparse

from skgd._utils.plain import is_plain

FORMAT = b"skgd checkpoint 1\n"
CHECKSUM = len(hashlib.sha256().hexdigest()) + 1
# X is hashed as a whole up to this size. Measured on 64 MB with 1 core: SHA-256 reads 1.3 GB a
# second, the sums of bits 4.8 GB.
WHOLE = 2**26
# Of a larger X, as many rows are hashed, and the sums of the bits of all.
SAMPLED_ROWS = 4096
BLOCK = 2**20
REMEDY = "delete the file or pass another path"


# ---- the file -----------------------------------------------------------------------------------

def prepare(path):
    """Raise unless a checkpoint can be written to a path; remove what a killed write has left."""
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"path={path!r}: make the folder {folder!r} first.")
    if os.path.isdir(path):
        raise IsADirectoryError(f"path={path!r} is a folder: pass the name of a file.")
    part = _part(path)
    try:
        with open(part, "wb"):
            pass
        os.remove(part)
    except OSError as error:
        raise OSError(
            error.errno,
            f"path={path!r}: no checkpoint can be written to the folder {folder!r} "
            f"({error.strerror}): pass a path in a folder that you may write to.",
        ) from error


def write(path, state):
    """Replace the file by one with this state; a write that fails leaves the old one."""
    content, part = _packed(state), _part(path)
    try:
        with open(part, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # The part is in the same folder: only on one disk is a file replaced in one step.
        os.replace(part, path)
    except OSError as error:
        _remove(part)
        raise OSError(
            error.errno,
            f"path={path!r}: the checkpoint of {len(content)} bytes could not be written "
            f"({error.strerror}): free space or pass a path on another disk. A file written after "
            "an earlier epoch is still there: fit again to resume from it.",
        ) from error
    except BaseException:
        _remove(part)
        raise


def read(path):
    """Return the state in a file, or None where there is no file."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OSError(
            error.errno, f"path={path!r} could not be read ({error.strerror}): {REMEDY}."
        ) from error
    if not content.startswith(FORMAT):
        raise ValueError(f"path={path!r} is not a checkpoint of a fit: {REMEDY}.")
    content = content[len(FORMAT):]
    expected, content = content[:CHECKSUM], content[CHECKSUM:]
    if expected != checksum(content):
        raise ValueError(
            f"path={path!r} is a damaged checkpoint, whose checksum doesn't match: {REMEDY}."
        )
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            state = _unpacked(json.loads(arrays["json"].tobytes()), arrays)
            return state | {"fingerprint": dict(state["fingerprint"])}
    except Exception as error:
        # With the right checksum it is no accident, and may be anything.
        raise ValueError(
            f"path={path!r} is not a checkpoint of a fit ({error!r}): {REMEDY}."
        ) from error


def remove(path):
    """Remove the file, if there is one."""
    _remove(path)


def _part(path):
    """Return the name of the file that is written first: one for each path, so none is left."""
    folder, name = os.path.split(os.path.abspath(path))
    return os.path.join(folder, f".{name}.skgd-part")


def _remove(path):
    with suppress(FileNotFoundError):
        os.remove(path)


def checksum(content):
    return hashlib.sha256(content).hexdigest().encode() + b"\n"


def _packed(state):
    arrays, file = {}, io.BytesIO()
    text = json.dumps(_described(state, "state", arrays)).encode()
    np.savez(file, json=np.frombuffer(text, dtype=np.uint8), **arrays)
    content = file.getvalue()
    return FORMAT + checksum(content) + content


def _described(value, name, arrays):
    """Return a value as JSON; its arrays go to a dict, by their names."""
    if isinstance(value, dict):
        described = {key: _described(item, f"{name}.{key}", arrays) for key, item in value.items()}
        return {"dict": described}
    if isinstance(value, list | tuple):
        items = [_described(item, f"{name}.{i}", arrays) for i, item in enumerate(value)]
        return {"tuple": items} if isinstance(value, tuple) else items
    if not is_plain(value):
        raise ValueError(
            f"{name} is {value!r}, and a checkpoint holds arrays, numbers and strings only: keep "
            "the state of a fit in those, or fit without Checkpoint."
        )
    if isinstance(value, np.ndarray | np.generic) and not isinstance(value, float | str):
        arrays[name] = np.asarray(value)
        return {"scalar" if isinstance(value, np.generic) else "array": name}
    return value


def _unpacked(value, arrays):
    if isinstance(value, list):
        return [_unpacked(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "dict":
        return {key: _unpacked(item, arrays) for key, item in content.items()}
    if kind == "tuple":
        return tuple(_unpacked(item, arrays) for item in content)
    return arrays[content] if kind == "array" else arrays[content][()]


# ---- what it belongs to -------------------------------------------------------------------------

def fingerprint(estimator, sample, held_out, free):
    """Return what must be the same where a fit resumes from the state of another one.

    Parameters
    ----------
    estimator : BaseGD
    sample : Sample
        The rows to train on.
    held_out : Sample or None
        The validation set.
    free : set of str
        The parameters that may differ.
    """
    parameters = {
        name: _hash_parameter(name, value)
        for name, value in estimator.get_params(deep=False).items() if name not in free
    }  # fmt: skip
    labels = getattr(estimator, "classes_", np.empty(0)).tolist()
    other = held_out is not None and held_out.X is not sample.X
    return {
        **sample.hashes(labels),
        "X_val": hash_rows(held_out.X) if other else "",
        "y_val": hash_array(held_out.targets) if other else "",
        "sample_weight_val": hash_array(held_out.weights) if other else "",
        **parameters,
    }


def check(path, state, expected):
    """Raise unless the state in a file belongs to a fit with this fingerprint."""
    before = state["fingerprint"]
    other = [name for name in expected if before.get(name) != expected[name]]
    if other == ["rows to train on"]:
        raise ValueError(
            f"path={path!r} is the checkpoint of a fit whose rows to train on differed: pass an "
            "int as random_state, so that early_stopping holds the same rows out, and delete the "
            "file or pass another path."
        )
    if other:
        raise ValueError(
            f"path={path!r} is the checkpoint of a fit in which {', '.join(other)} differed: "
            f"{REMEDY} to start again."
        )


def hash_rows(X):
    """Return a hash of what is in X, however it is laid out; of a large X by sums and a sample."""
    digest = hashlib.sha256(repr((X.shape, X.dtype.str, sparse.issparse(X))).encode())
    if sparse.issparse(X):
        _add(digest, X.indptr.astype(np.int64))
        parts = [X.data, X.indices.astype(np.int64, copy=False)]
    else:
        parts = [X]
    large = sum(part.nbytes for part in parts) > WHOLE
    for part in parts:
        part = part.reshape(len(part), -1)
        length = max(1, BLOCK // max(1, part[:1].nbytes))
        total = np.zeros(part.shape[1], dtype=np.uint64)
        for i, start in enumerate(range(0, len(part), length)):
            block = np.ascontiguousarray(part[start:start + length])
            if large:
                # Weighted by position: the same rows in another order have another sum.
                bits = block.view(f"u{block.itemsize}").sum(axis=0, dtype=np.uint64)
                total += bits * np.uint64(2 * i + 1)
            else:
                _add(digest, block)
        _add(digest, total)
        if large:
            rows = np.linspace(0, len(part) - 1, SAMPLED_ROWS).astype(np.intp)
            _add(digest, part[rows])
    return digest.hexdigest()


def _add(digest, array):
    digest.update(np.ascontiguousarray(array).data.cast("B") if array.size else b"")


def hash_array(array, more=b""):
    """Return a hash of an array or None."""
    digest = hashlib.sha256(more)
    if array is not None:
        digest.update(repr((array.shape, array.dtype.str)).encode())
        _add(digest, array)
    return digest.hexdigest()


def _hash_parameter(name, value):
    try:
        return joblib.hash(value)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ValueError(
            f"{name}={value!r} cannot be told from others in a checkpoint: pass a function or a "
            "class that is defined in a module."
        ) from error
