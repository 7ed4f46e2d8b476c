"""Cells on a folder of raw tables, with losses by their tasks and an l2 penalty."""

from _shared import read_tables

from cells.smooth import counts, least_squares, log_loss
from cells.tables import Table

# Rows that are taken, at most.
ROWS = 20_000
CELLS = {"regression": least_squares, "count": counts, "binary": log_loss, "multiclass": log_loss}
NAMES = (
    "ames", "bikeshare", "cells", "concrete", "credit_data", "doctor_visits", "hitters",
    "kjv_testament", "leaf_flavia", "letter", "meats", "pd_speech", "permeability", "satellite",
    "spam", "tissue_gene", "txhousing",
)  # fmt: skip


def cells(folder):
    """Return the cells of those tables that the folder has."""
    load = read_tables(folder)
    return [
        CELLS[load.info(name)["task"]](_table(load, name)) for name in load.names()
        if name in NAMES
    ]  # fmt: skip


def _table(load, name):
    def read(divisor=1):
        X, y, *_ = load.train_test(name)
        return X[:ROWS], y[:ROWS]

    info = load.info(name)
    return Table(f"{name} {info['n']}x{info['onehot_cols']}", read)
