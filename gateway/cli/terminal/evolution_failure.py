"""An error of evolution, its store or its policies in the command line's words. Used wherever commands read those."""

from evolution.errors import (
    EvolutionError,
    NoExperiment,
    PoliciesFrozen,
    PolicyBucketUnavailable,
    PolicyNotFound,
    ReviewNeeded,
)
from gateway.cli.terminal.failure import ExitCode, Failed

NEXT_STEPS: dict[type[EvolutionError], str] = {
    NoExperiment: "aos experiment start POLICY",
    PoliciesFrozen: "aos policy unfreeze",
}


def failed(error: EvolutionError, detail: str = "") -> Failed:
    """The error in the command line's words."""
    if isinstance(error, ReviewNeeded):
        return Failed(
            "the guards ask for a person's review",
            code=error.code,
            detail="\n  ".join([*error.problems, *([detail] if detail else [])]),
            next_step="look at it (aos policy diff, aos policy review), then promote with --reviewed --reason …",
        )
    exit_code: dict[type[EvolutionError], ExitCode] = {
        NoExperiment: ExitCode.NOT_FOUND,
        PolicyNotFound: ExitCode.NOT_FOUND,
        PolicyBucketUnavailable: ExitCode.UNREACHABLE,
    }
    return Failed(
        str(error),
        exit_code=exit_code.get(type(error), ExitCode.FAILED),
        code=error.code,
        detail=detail,
        next_step=NEXT_STEPS.get(type(error), ""),
    )
