"""The two outer loops, of update steps and of full-batch iterations, and why they stop."""
