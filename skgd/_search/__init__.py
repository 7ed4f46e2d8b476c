"""Many fits in one pass over the data."""
