"""How many tasks are looked at together, where everything is said of all agents. Called wherever that is laid out."""

AT_ONCE = 500_000
"""So many numbers of one kind are laid out together: some dozens of kinds are."""


def blocks(tasks: int, columns: int) -> list[slice]:
    """The rows of all tasks in their order, a slice of them at a time, for arrays of so many columns."""
    rows = max(1, AT_ONCE // max(1, columns))
    return [slice(start, min(start + rows, tasks)) for start in range(0, tasks, rows)]
