"""Statistics of English text: counts, readability, frequent words and differences."""
