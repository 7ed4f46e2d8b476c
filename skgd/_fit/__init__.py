"""One call of fit or partial_fit, from checked parameters to what the user is told."""
