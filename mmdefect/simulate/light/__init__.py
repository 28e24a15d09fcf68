"""What light tells: the colour camera and the structured-light scanner share one physics."""
