"""The estimators: check what was passed, fit, give attributes back."""
