"""A pattern -> the routing rule that it suggests. Pure; called by `aos mine apply` and by ``keeping``."""

from dataclasses import dataclass

from evolution.errors import NoRuleInPattern
from schemas.parts import Modality
from schemas.pattern import PatternKind, SynthesizedPattern
from schemas.routing_rule import RoutingRule, RoutingRules, RuleEffect

BAD = (
    "outcome=failure",
    "failure=",
    "rescued",
    "slow",
    "costly",
    "success falls",
    "log_latency_ms rises",
    "cost rises",
)
GOOD = ("outcome=success",)


@dataclass(frozen=True, slots=True)
class AutomaticRules:
    """Which patterns become rules by themselves; none unless ``enabled``. Drifts and times of day never do."""

    enabled: bool = False
    confidence: float = 0.5
    lift: float = 2.0
    support: int = 100


def rule_of(pattern: SynthesizedPattern, actor: str, effect: RuleEffect | None = None) -> RoutingRule:
    """The rule that keeps the pattern from happening again, or lets it happen more often.

    Raises NoRuleInPattern for a pattern that names no agent, or says what a rule cannot.
    """
    items = [item.partition("=") for item in pattern.antecedent]
    agents = tuple(value for name, _, value in items if name == "agent")
    if not agents:
        raise NoRuleInPattern(f"pattern {pattern.pattern_id} names no agent that could be excluded or preferred")
    beyond = sorted({name for name, _, _ in items} - {"agent", "modality", "kind"})
    if beyond:
        raise NoRuleInPattern(f"pattern {pattern.pattern_id} depends on {', '.join(beyond)}, on which no rule can")
    if pattern.task_kind is None and any(name == "kind" for name, _, _ in items):
        raise NoRuleInPattern(f"pattern {pattern.pattern_id} does not carry the centre of its kind: mine again")
    if len(agents) > 1:
        raise NoRuleInPattern(f"pattern {pattern.pattern_id} is of a team; a rule about each alone would say more")
    return RoutingRule(
        rule_id=f"r-{pattern.pattern_id[:12]}",
        effect=effect or _suggested(pattern),
        agents=agents,
        modalities=tuple(sorted(Modality(value) for name, _, value in items if name == "modality")),
        kind=pattern.task_kind,
        statement=pattern.statement,
        pattern_id=pattern.pattern_id,
        actor=actor,
    )


def opposed(rule: RoutingRule, rules: RoutingRules) -> tuple[RoutingRule, ...]:
    """Those of the rules that want the opposite of an agent that this one is about."""
    return tuple(one for one in rules.rules if one.effect is not rule.effect and set(one.agents) & set(rule.agents))


def makes_itself(pattern: SynthesizedPattern, automatic: AutomaticRules) -> bool:
    """Whether the policy turns this pattern into a rule without a person: only clear, frequent failure of one agent."""
    return (
        automatic.enabled
        and pattern.kind is PatternKind.RULE
        and pattern.consequent == "outcome=failure"
        and (pattern.low or 0.0) >= automatic.confidence
        and (pattern.lift or 0.0) >= automatic.lift
        and pattern.support >= automatic.support
    )


def _suggested(pattern: SynthesizedPattern) -> RuleEffect:
    if pattern.consequent.startswith(BAD):
        return RuleEffect.EXCLUDE
    if pattern.consequent.startswith(GOOD):
        return RuleEffect.PREFER
    raise NoRuleInPattern(
        f"pattern {pattern.pattern_id} ({pattern.consequent or pattern.kind.value}) suggests neither to exclude nor "
        "to prefer: say which with --effect"
    )
