"""Monthly sales from CSV: figures as structured output, a chart as an image."""
