"""Plans a study: its file, its arms, its training runs and their order."""
