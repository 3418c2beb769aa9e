"""Five folds of ten parts: a fold tests two, chooses its epoch on the one that follows, and trains on seven."""

NUM_FOLDS = 5
PARTS_PER_FOLD = 2
NUM_PARTS = NUM_FOLDS * PARTS_PER_FOLD


def splits_of_parts(fold: int) -> list[str]:
    """The split of each of the ten parts in a fold, 0 to 4."""
    first = fold * PARTS_PER_FOLD
    splits = ["train"] * NUM_PARTS
    splits[first : first + PARTS_PER_FOLD] = ["test"] * PARTS_PER_FOLD
    splits[(first + PARTS_PER_FOLD) % NUM_PARTS] = "validation"
    return splits
