"""From a specification to a plan: tasks, their order, their keys."""
