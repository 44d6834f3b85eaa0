"""Cards to HTML fragments and SVG, and the site made of them. Knows no MkDocs: the fragments outlive the theme around them."""
