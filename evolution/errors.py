"""Everything that can go wrong in the evolution layer.

EvolutionError
├── ExperienceStoreUnavailable   locked, unreachable or full; records wait in the stream
├── ExperienceRefused            a record that can never be stored; it goes to the dead-letter stream
├── ExportFailed                 the export's file cannot be written
└── NothingToEvaluate            a window holds no decision that could be scored again
"""


class EvolutionError(Exception):
    """Base of all errors of this package."""

    code = "evolution_error"


class ExperienceStoreUnavailable(EvolutionError):
    """The store does not take records now. They wait, durably, in the experience stream."""

    code = "experience_store_unavailable"


class ExperienceRefused(EvolutionError):
    """The record is malformed and will never be stored."""

    code = "experience_refused"


class ExportFailed(EvolutionError):
    """The file of an export cannot be written."""

    code = "export_failed"


class NothingToEvaluate(EvolutionError):
    """A window holds no decision that could be scored again; the message says why each record was left out."""

    code = "nothing_to_evaluate"
