"""Regularisation paths: the minimisers of one objective for many values of alpha."""
