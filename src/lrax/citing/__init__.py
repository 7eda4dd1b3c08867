"""BibTeX of what a schedule or a result comes from: the docstrings say the sources, `references.bib` has their entries."""
