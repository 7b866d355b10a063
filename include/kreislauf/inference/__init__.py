"""From features to predictions without pandas: a fitted pipeline as plain arrays and compiled trees."""
