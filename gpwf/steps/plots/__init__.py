"""Figures of results, drawn from gammapy objects onto plain matplotlib figures."""
