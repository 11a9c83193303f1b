"""Articles: written in Markdown, published now or at a due second, listed, searched, read."""
