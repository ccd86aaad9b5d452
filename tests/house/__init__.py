"""The rules of the house, held by tests: sizes, walls, texts, and that the project's pages tell the truth."""
