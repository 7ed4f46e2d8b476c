"""The solvers behind optimizer="auto", and duality gaps."""
