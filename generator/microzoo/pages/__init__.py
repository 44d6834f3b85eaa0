"""Cards to HTML fragments and SVG. No MkDocs in here."""
