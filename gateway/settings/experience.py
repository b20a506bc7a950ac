"""What is kept of experience and what is made of it: sections of the settings."""

import re
from pathlib import Path

from pydantic import Field, PositiveFloat, PositiveInt, field_validator

from gateway.settings.section import Section, plain


class Experience(Section):
    """What is kept of what happened, for how long, and how personal data in it is guarded."""

    hot_days: PositiveFloat = Field(
        default=7.0, description="days that records stay whole in the embedded store before they go to the cold tier"
    )
    cold_days: PositiveFloat = Field(
        default=90.0, description="age in days at which records leave the cold tier too, and are gone"
    )
    compact_every_s: float = Field(
        default=3600.0, ge=0, description="seconds between moves from the hot to the cold tier; 0: only by hand"
    )
    key_file: Path | None = Field(
        default=None,
        description="file of keys, `tenant key` a line, newest first, that encrypt task text and feedback at rest",
        json_schema_extra=plain("AOS_EXPERIENCE_KEYS"),
    )
    redact: tuple[str, ...] = Field(
        default=(), description="regular expressions; what they match in task text and feedback is never stored"
    )

    @field_validator("redact")
    @classmethod
    def _are_expressions(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
        return patterns


class Mining(Section):
    """How patterns are sought in experience, and which become routing rules by themselves."""

    every_s: float = Field(
        default=3600.0, ge=0, description="seconds between runs of mining in the evolution role; 0: only by hand"
    )
    window_days: PositiveFloat = Field(default=30.0, description="how far back the scheduled runs look, in days")
    keep_days: PositiveFloat = Field(
        default=90.0, description="how long mining remembers tasks that it has read, in days"
    )
    quote: bool = Field(default=True, description="patterns of kinds quote the words of an example task")
    automatic_rules: bool = Field(
        default=False, description="clear, frequent failure of one agent becomes a routing rule without a person"
    )
    automatic_confidence: float = Field(
        default=0.5, ge=0, le=1, description="least share of failures, lower end of its interval, for such a rule"
    )
    automatic_lift: PositiveFloat = Field(
        default=2.0, description="how many times as often as usual tasks must fail for such a rule"
    )
    automatic_support: PositiveInt = Field(default=100, description="how many failed tasks such a rule needs")


class Learning(Section):
    """How routing learns from outcomes."""

    enabled: bool = Field(default=True, description="the evolution role learns routing policies from experience")
    every_outcomes: PositiveInt = Field(
        default=500, description="outcomes after which a new policy version is made; the first ones come sooner"
    )
    every_s: PositiveFloat = Field(default=300.0, description="seconds after which it is made of fewer, if any are new")
    least_s: PositiveFloat = Field(
        default=10.0,
        description="seconds between two versions at least; more once thousands of outcomes are behind one",
    )
    least_outcomes: PositiveInt = Field(default=50, description="outcomes that the first version needs")
    memory_mib: PositiveInt = Field(
        default=2_048,
        description="MiB for what is being learned; tenants idle for longest give theirs back, to be studied anew",
    )
    auditions: int = Field(
        default=0,
        ge=0,
        le=100,
        description="past tasks that a new agent with the tag side_effects:none is asked, with no effect for anybody",
    )
    niceness: int = Field(
        default=5,
        ge=0,
        le=19,
        description="how far the evolution role gives way where cores are short: 0 not at all, 19 to everything else",
    )
    review_beyond: float = Field(
        default=0.5, ge=0, le=1, description="share of recent choices that may change without a person's review"
    )
    keep_versions: int = Field(
        default=20, ge=1, le=200, description="newest versions that are kept, besides those in use or promoted lately"
    )
    keep_promoted_days: PositiveFloat = Field(
        default=30.0, description="how long a version that was in force, on trial or the reference is kept, in days"
    )
    experiments_every_s: PositiveFloat = Field(
        default=30.0, description="seconds between two looks at the experiments that run, which may end them"
    )
    prior_every_s: PositiveFloat = Field(
        default=86_400.0,
        description="seconds after which the policy in force is compared again with having learned nothing",
    )
