"""The scripts are for type checkers alone."""

collect_ignore = ["good_use.py", "mistakes.py"]
