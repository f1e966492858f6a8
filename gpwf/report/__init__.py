"""From a plan and its journal to logs, progress and tables for people."""
