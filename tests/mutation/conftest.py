"""Only the tests of the tool are collected; its files import each other by their bare names, as scripts do."""

collect_ignore = ["forks.py", "measure.py", "mutate.py", "mutations.py", "project.py", "selection.py"]
