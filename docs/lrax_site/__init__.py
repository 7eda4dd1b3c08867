"""What makes the site: names and pages of the reference, docstrings as Markdown, links, formulas, thumbnails, the book."""
