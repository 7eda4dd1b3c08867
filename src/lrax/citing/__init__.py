"""BibTeX entries of schedules and results: docstrings name their sources, `references.bib` has the entries."""
