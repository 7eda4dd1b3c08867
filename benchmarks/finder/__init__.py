"""The rooms of `finder_quality.py`: training tasks, tables of what every rate ends at, peers' rules, and regrets."""
