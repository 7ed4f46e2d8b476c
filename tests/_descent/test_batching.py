"""Batches: bounds, orders and every kind of batch_size."""

import numpy as np
import pytest
from scipy import sparse, stats

from skgd import GDRegressor
from skgd._descent import batching
from skgd._descent.batching import batch_bounds, batch_length, epoch_order, is_memory_map
from skgd._engine import shuffle as engine_shuffle

# ---- bounds -------------------------------------------------------------------------------------

@pytest.mark.parametrize("n_samples", [1, 2, 7, 64, 65, 1000])
def test_the_bounds_cover_all_rows_with_sizes_that_differ_by_at_most_one(n_samples):
    for length in {1, 2, 3, 32, 63, 64, 999, n_samples}:
        bounds = batch_bounds(n_samples, length)
        sizes = np.diff(bounds)
        assert bounds[0] == 0 and bounds[-1] == n_samples and bounds.dtype == np.intp
        assert len(sizes) == -(-n_samples // length)
        assert sizes.min() >= 1 and sizes.max() <= length and np.ptp(sizes) <= 1


def test_the_bounds_of_very_many_rows_are_exact():
    bounds = batch_bounds(3_000_000_000, 1_000_000_000)
    np.testing.assert_array_equal(bounds, [0, 10**9, 2 * 10**9, 3 * 10**9])
    long = batch_bounds(10**8 + 1, 100)
    assert long[-1] == 10**8 + 1 and np.ptp(np.diff(long)) <= 1


# ---- orders -------------------------------------------------------------------------------------

@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("in_blocks", [True, False])
@pytest.mark.parametrize("n_samples", [1, 9, 10, 11, 105])
def test_an_order_is_a_permutation(monkeypatch, shuffle, in_blocks, n_samples):
    monkeypatch.setattr(batching, "SHUFFLED_BLOCK", 10)
    generator = np.random.default_rng(0)
    order = epoch_order(n_samples, generator, shuffle=shuffle, in_blocks=in_blocks)
    assert order.dtype == np.intp and order.flags.c_contiguous
    np.testing.assert_array_equal(np.sort(order), np.arange(n_samples))
    assert shuffle or np.array_equal(order, np.arange(n_samples))


def test_blocks_are_shuffled_and_the_rows_within_them(monkeypatch):
    monkeypatch.setattr(batching, "SHUFFLED_BLOCK", 10)
    order = epoch_order(105, np.random.default_rng(0), shuffle=True, in_blocks=True)
    blocks = order // 10
    starts = np.flatnonzero(np.diff(blocks)) + 1
    visited = blocks[np.concatenate([[0], starts])]
    assert len(visited) == 11 and not np.array_equal(visited, np.arange(11))
    assert any(np.any(np.diff(part) < 0) for part in np.split(order, starts))


@pytest.mark.parametrize("in_blocks", [True, False])
def test_an_order_depends_on_the_generator_alone(in_blocks):
    first, again, other = (
        epoch_order(10_000, np.random.default_rng(seed), shuffle=True, in_blocks=in_blocks)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("n", [1, 2, 32, 33, 34, 100])
def test_a_random_order_is_that_of_fisher_and_yates(n):
    row, seed, mask = list(range(n)), 2**63 + 5, 2**64 - 1
    for i in range(n - 1, 0, -1):
        seed = (seed + 0x9E3779B97F4A7C15) & mask
        bits = ((seed ^ (seed >> 30)) * 0xBF58476D1CE4E5B9) & mask
        bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & mask
        j = ((bits >> 32) * (i + 1)) >> 32
        row[i], row[j] = row[j], row[i]
    order = np.arange(n, dtype=np.intp)
    engine_shuffle(order, 2**63 + 5)
    np.testing.assert_array_equal(order, row)


def test_without_shuffling_the_generator_is_not_used():
    generator = np.random.default_rng(0)
    epoch_order(10, generator, shuffle=False, in_blocks=False)
    assert generator.random() == np.random.default_rng(0).random()


@pytest.mark.parametrize("in_blocks", [True, False])
def test_every_permutation_is_as_likely(in_blocks):
    generator = np.random.default_rng(0)
    orders = [
        tuple(epoch_order(4, generator, shuffle=True, in_blocks=in_blocks)) for _ in range(2400)
    ]
    counts = [orders.count(order) for order in set(orders)]
    assert len(counts) == 24 and stats.chisquare(counts).pvalue > 1e-3


def test_every_row_is_as_likely_at_every_place():
    generator, counts = np.random.default_rng(0), np.zeros((50, 50))
    for _ in range(2000):
        counts[np.arange(50), epoch_order(50, generator, shuffle=True, in_blocks=False)] += 1
    assert stats.chisquare(counts.ravel(), ddof=98).pvalue > 1e-3


# ---- batch_size ---------------------------------------------------------------------------------

@pytest.mark.parametrize(
    ("batch_size", "expected"),
    [
        ("full", 100), ("auto", 32), (1, 1), (7, 7), (100, 100), (1000, 100),
        (np.int32(7), 7), (0.25, 25), (1.0, 100), (1e-9, 1), (np.float32(0.5), 50),
    ],
)  # fmt: skip
def test_a_batch_size_is_a_number_of_rows_or_a_share_of_them(batch_size, expected):
    length = batch_length(batch_size, 100, default=32)
    assert length == expected and type(length) is int


def test_the_automatic_batch_is_never_longer_than_the_data():
    assert batch_length("auto", 5, default=256) == 5


@pytest.mark.parametrize(
    "n_rows, steps", [(1, 1), (8, 1), (9, 2), (64, 8), (442, 9), (2047, 9), (2048, 8), (5000, 20)]
)
def test_an_automatic_batch_gives_an_epoch_eight_steps_unless_it_would_be_tiny(n_rows, steps):
    X, y = np.arange(n_rows, dtype=float)[:, None], np.arange(n_rows, dtype=float)
    model = GDRegressor(learning_rate=1e-3, max_iter=1, tol=None).fit(X, y)
    assert model.t_ == steps


@pytest.mark.parametrize(
    "bad", [0, -1, 0.0, -0.5, 1.5, 32.0, np.nan, np.inf, True, False, "big", "FULL", ""]
)
def test_a_bad_batch_size_is_an_error_that_says_what_to_pass(bad):
    with pytest.raises(ValueError, match="batch_size=.*pass 'auto', 'full', an integer >= 1"):
        batch_length(bad, 100, default=32)


@pytest.mark.parametrize("bad", [None, [32], (0.5,), 1j, np.array([3]), np.True_], ids=repr)
def test_a_batch_size_of_another_type_is_an_error_that_says_what_to_pass(bad):
    with pytest.raises(TypeError, match="pass 'auto', 'full', an integer >= 1"):
        batch_length(bad, 100, default=32)


# ---- memory maps --------------------------------------------------------------------------------

def test_a_memory_map_is_known_through_views(tmp_path):
    np.save(tmp_path / "X.npy", np.zeros((10, 3)))
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    for X in (mapped, mapped[2:5], np.asarray(mapped), mapped.T, np.asarray(mapped)[::2][:, 1:]):
        assert is_memory_map(X)


def test_arrays_in_memory_are_not_memory_maps(tmp_path):
    np.save(tmp_path / "X.npy", np.zeros((10, 3)))
    copy = np.array(np.load(tmp_path / "X.npy", mmap_mode="r"))
    for X in (np.zeros((3, 2)), np.zeros((3, 2))[1:], np.frombuffer(b"12345678"), copy):
        assert not is_memory_map(X)
    assert not is_memory_map(sparse.csr_array(np.eye(3)))
