"""From a plan to events and products: scheduler, engine, journal, workers."""
