"""What a step is, and the step types; gammapy is imported only inside functions."""
