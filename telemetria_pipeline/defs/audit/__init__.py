"""Both sides of each business day, held against each other."""
