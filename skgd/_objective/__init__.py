"""The objective F in preconditioned coordinates."""
