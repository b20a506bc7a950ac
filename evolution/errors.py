"""Everything that can go wrong in the evolution layer.

EvolutionError
├── ExperienceStoreUnavailable   locked, unreachable or full; records wait in the stream
│   ├── StoreMissing             no embedded store is there (yet)
│   └── KeysUnusable             the key file cannot be read or written, or holds what is no key
├── RecordedElsewhere            another role fills another store from the same bus
├── ExperienceRefused            a record that can never be stored; it goes to the dead-letter stream
├── ExportFailed                 the export's file cannot be written
├── ColdTierUnavailable          the object store of the cold tier does not answer
│   └── ColdFileDamaged          a file of the cold tier is cut off or changed; it was set aside
├── NotEmbedded                  only the embedded store can be asked for this
├── MiningBusy                   another process mines this tenant now
├── MiningStateUnusable          the folder of mining's digest cannot be read or written
├── NoRuleInPattern              a pattern that no routing rule can say
├── PatternNotFound              no pattern, or no routing rule, of that id
├── RulesUnavailable             the buckets of patterns and rules do not answer, or hold what does not read
├── NothingToEvaluate            a window holds no decision that could be scored again
└── PolicyError                  the routing policies of a tenant
    ├── PolicyBucketUnavailable  the bus does not answer
    ├── PolicyPartsUnavailable   the object store does not answer
    ├── PolicyNotFound           no version of that name
    ├── PolicyDamaged            cut off, edited by hand, or of a later format: refused whole
    ├── PolicyExists             a version of that name with other content: versions are never changed
    ├── PolicyRefused            it can not be done now: already in force, nothing to go back to
    ├── PoliciesFrozen           nothing is promoted until somebody unfreezes
    ├── ReviewNeeded             a guard found something: a person decides
    ├── ChangedMeanwhile         somebody else wrote first: look again
    ├── ExperimentRunning        it has to end first
    └── NoExperiment             none is running
"""


class EvolutionError(Exception):
    """Base of all errors of this package."""

    code = "evolution_error"


class ExperienceStoreUnavailable(EvolutionError):
    """The store does not take records now. They wait, durably, in the experience stream."""

    code = "experience_store_unavailable"


class StoreMissing(ExperienceStoreUnavailable):
    """No embedded store is there: nothing ran here yet, or this is the wrong folder."""


class RecordedElsewhere(EvolutionError):
    """Another evolution role records the same bus's experience into another store; each would have half of it."""

    code = "recorded_elsewhere"
    next_step = (
        "give all evolution roles one store: AOS_INFLUX_URL, or on one machine the same AOS_DATA_DIR; or stop the other"
    )


class ExperienceRefused(EvolutionError):
    """The record is malformed and will never be stored."""

    code = "experience_refused"


class ExportFailed(EvolutionError):
    """The file of an export cannot be written."""

    code = "export_failed"


class NothingToEvaluate(EvolutionError):
    """A window holds no decision that could be scored again; the message says why each record was left out."""

    code = "nothing_to_evaluate"


class PolicyError(EvolutionError):
    """Base of everything that can go wrong with policies."""

    code = "policy_error"


class PolicyBucketUnavailable(PolicyError):
    """The bus does not answer, so policies can be neither read nor changed."""

    code = "policy_bucket_unavailable"


class PolicyPartsUnavailable(PolicyError):
    """The object store, where versions keep their large parts, does not answer."""

    code = "policy_parts_unavailable"


class PolicyNotFound(PolicyError):
    """The tenant has no policy of that name."""

    code = "policy_not_found"


class PolicyDamaged(PolicyError):
    """What is stored is not what was written. Nothing of it is used."""

    code = "policy_damaged"


class PolicyExists(PolicyError):
    """The name is taken by another content; a version is never written again."""

    code = "policy_exists"


class PolicyRefused(PolicyError):
    """The change makes no sense as things stand."""

    code = "policy_refused"


class PoliciesFrozen(PolicyError):
    """Somebody froze the tenant's policies."""

    code = "policies_frozen"


class ReviewNeeded(PolicyError):
    """Guards found something that a person has to look at. ``problems`` says what, one sentence each."""

    code = "review_needed"

    def __init__(self, message: str, problems: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


class ChangedMeanwhile(PolicyError):
    """Somebody else changed the state between reading and writing; nothing was written."""

    code = "policy_changed_meanwhile"


class ExperimentRunning(PolicyError):
    """An experiment shares the traffic; another change would spoil it."""

    code = "experiment_running"


class NoExperiment(PolicyError):
    """There is no experiment to speak of."""

    code = "no_experiment"


class MiningBusy(EvolutionError):
    """Another process mines this tenant now."""

    code = "mining_busy"


class MiningStateUnusable(EvolutionError):
    """The folder of mining's digest cannot be read or written; it can be thrown away."""

    code = "mining_state_unusable"


class NoRuleInPattern(EvolutionError):
    """The pattern names no agent, or depends on something that no routing rule can say."""

    code = "no_rule_in_pattern"


class PatternNotFound(EvolutionError):
    """There is no pattern, or no routing rule, of that id."""

    code = "pattern_not_found"


class RulesUnavailable(EvolutionError):
    """Patterns and routing rules cannot be read or written now."""

    code = "rules_unavailable"


class KeysUnusable(ExperienceStoreUnavailable):
    """The key file cannot be read or written, or holds what is no key. Records wait in the stream."""

    code = "keys_unusable"


class ColdTierUnavailable(EvolutionError):
    """The object store of the cold tier does not answer. Nothing was moved or lost."""

    code = "cold_tier_unavailable"


class ColdFileDamaged(ColdTierUnavailable):
    """A file of the cold tier is cut off or was changed. It was set aside; the rest goes on without it."""

    code = "cold_file_damaged"


class NotEmbedded(EvolutionError):
    """Only the embedded store can be asked for this; the message says what to do with InfluxDB instead."""

    code = "not_embedded"
