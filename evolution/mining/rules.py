"""Which items go with which outcome. Called by ``mine``.

Frequent itemsets by FP-growth (Han, Pei & Yin 2000) on mlxtend's trees, of counted transactions. A rule stays if it is
productive: significantly better than each rule with one item fewer (Webb, Discovering Significant Patterns, 2007;
Fisher's exact test, Benjamini & Yekutieli's correction over all rules tried), and if no more special rule explains it
away.
"""

import math
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import hypergeom, norm

from evolution.mining.transactions import CODE, FAILURE, Transactions, is_outcome

with warnings.catch_warnings():  # mlxtend switches every DeprecationWarning on for the whole process when imported
    from mlxtend.frequent_patterns.fpcommon import FPTree

Items = frozenset[str]
Counts = NDArray[np.int64]

MIN_COUNT = 30
MAX_ITEMS = 4
MIN_LIFT = 1.1
FALSE_DISCOVERIES = 0.01


@dataclass(frozen=True, slots=True)
class Rule:
    """Where ``antecedent`` holds, ``consequent`` follows. Counts are of tasks; low and high are Wilson's 95 %."""

    antecedent: Items
    consequent: str
    count: int
    covered: int
    total: int
    lift: float
    low: float
    high: float
    error_rate: float

    @property
    def confidence(self) -> float:
        """How often the consequent follows."""
        return self.count / max(self.covered, 1)

    def recounted(self, count: int, covered: int, outcomes: int, total: int) -> "Rule":
        """The same rule with the counts of other tasks, of which ``outcomes`` ended that way."""
        low, high = wilson(count, covered)
        lift = count / max(covered, 1) / max(outcomes / total, 1e-12)
        return replace(self, count=count, covered=covered, total=total, lift=lift, low=low, high=high)


@dataclass(frozen=True, slots=True)
class _Candidate:
    antecedent: Items
    consequent: str
    p_value: float


def find_rules(
    transactions: Transactions,
    *,
    min_count: int = MIN_COUNT,
    max_items: int = MAX_ITEMS,
    min_lift: float = MIN_LIFT,
    false_discoveries: float = FALSE_DISCOVERIES,
) -> list[Rule]:
    """Rules of at most ``max_items`` items with their outcome, strongest evidence first.

    Of all rules answered, the expected share of false ones is at most ``false_discoveries``.
    """
    counts = frequent(transactions, min_count, max_items)
    counts[frozenset()] = sum(transactions.values())
    kept = _discoveries(_candidates(counts), false_discoveries)
    rules = [_rule(candidate, error_rate, counts) for candidate, error_rate in kept]
    rules = [rule for rule in rules if rule.lift >= min_lift]
    return sorted(
        (rule for rule in rules if not _explained_away(rule, rules, counts, false_discoveries)),
        key=lambda rule: (rule.error_rate, -rule.lift, sorted(rule.antecedent)),
    )


def frequent(transactions: Transactions, min_count: int, max_items: int) -> dict[Items, int]:
    """Every set of at most ``max_items`` items that at least ``min_count`` tasks had, with its count."""
    single: dict[str, int] = {}
    for items, count in transactions.items():
        for item in items:
            single[item] = single.get(item, 0) + count
    common = sorted((item for item, count in single.items() if count >= min_count), key=lambda i: (single[i], i))
    rank = {item: number for number, item in enumerate(common)}
    tree = FPTree(rank)
    for items, count in transactions.items():
        tree.insert_itemset(sorted(items & rank.keys(), key=rank.__getitem__, reverse=True), count)
    return {frozenset(items): count for items, count in _grown(tree, min_count, max_items) if count >= min_count}


def _grown(tree: FPTree, min_count: int, room: int) -> Iterator[tuple[list[str], int]]:
    """Sets of up to ``room`` items more than the tree is conditioned on, with their counts, rare ones among them.

    mlxtend's own step makes a tree for the last item too, where counting is enough: that is most of its trees.
    """
    if room < 1:
        return
    for item, nodes in tree.nodes.items():
        yield [*tree.cond_items, item], sum(node.count for node in nodes)
        if room == 2:
            beside: dict[str, int] = defaultdict(int)
            for node in nodes:
                above = node.parent
                while above.item is not None:
                    beside[above.item] += node.count
                    above = above.parent
            yield from (([*tree.cond_items, item, other], count) for other, count in beside.items())
        elif room > 2:
            yield from _grown(tree.conditional_tree(item, min_count), min_count, room - 1)


def _candidates(counts: Mapping[Items, int]) -> list[_Candidate]:
    """Every split of a frequent set into what explains and one outcome, tested."""
    splits = list(_splits(counts))
    # A rule must beat each rule with one item fewer: its p-value is the largest of these tests.
    tests = [
        (number, counts[items | {outcome}], counts[items], counts[parent | {outcome}], counts[parent])
        for number, (items, outcome) in enumerate(splits)
        for parent in (items - {item} for item in items)
    ]
    if not tests:
        return []
    owner, hits, covered, all_hits, total = np.array(tests, dtype=np.int64).T
    p_values = np.zeros(len(splits))
    np.maximum.at(p_values, owner, _fisher(hits, covered, all_hits, total))
    return [_Candidate(*split, float(p)) for split, p in zip(splits, p_values, strict=True)]


def _splits(counts: Mapping[Items, int]) -> Iterator[tuple[Items, str]]:
    """A failure's code is left out where all failures have it: every rule would be there twice."""
    failures = counts.get(frozenset({FAILURE}))
    for items in counts:
        outcomes = [item for item in items if is_outcome(item)]
        if len(outcomes) == 1 and outcomes[0].startswith(CODE) and counts[frozenset(outcomes)] == failures:
            continue
        if len(outcomes) == 1 and len(items) > 1:
            yield items - {outcomes[0]}, outcomes[0]


def _fisher(hits: Counts, covered: Counts, all_hits: Counts, total: Counts) -> NDArray[np.float64]:
    """The chance of so many hits among the covered if being covered made no difference."""
    chance: NDArray[np.float64] = hypergeom.sf(hits - 1, total, all_hits, covered)
    return chance


def _discoveries(candidates: list[_Candidate], rate: float) -> list[tuple[_Candidate, float]]:
    """Those that stay after Benjamini & Yekutieli's correction, which holds for tests that depend on one another."""
    if not candidates:
        return []
    ordered = sorted(candidates, key=lambda candidate: candidate.p_value)
    count = len(ordered)
    harmonic = sum(1 / number for number in range(1, count + 1))
    raw = np.array([candidate.p_value for candidate in ordered]) * count * harmonic / np.arange(1, count + 1)
    adjusted = np.minimum.accumulate(raw[::-1])[::-1]
    return [(candidate, float(value)) for candidate, value in zip(ordered, adjusted, strict=True) if value <= rate]


def _rule(candidate: _Candidate, error_rate: float, counts: Mapping[Items, int]) -> Rule:
    hits, covered = counts[candidate.antecedent | {candidate.consequent}], counts[candidate.antecedent]
    total = counts[frozenset()]
    share = counts[frozenset({candidate.consequent})] / total
    low, high = wilson(hits, covered)
    lift = hits / covered / share
    return Rule(candidate.antecedent, candidate.consequent, hits, covered, total, lift, low, high, min(error_rate, 1.0))


def _explained_away(rule: Rule, rules: list[Rule], counts: Mapping[Items, int], rate: float) -> bool:
    """Whether nothing is left of the rule outside of one more special rule with the same outcome."""
    special = [r for r in rules if r.consequent == rule.consequent and rule.antecedent < r.antecedent]
    if not special:
        return False
    hits = np.array([each.count for each in special])
    covered = np.array([each.covered for each in special])
    all_hits = counts[frozenset({rule.consequent})]
    rest = _fisher(rule.count - hits, rule.covered - covered, all_hits - hits, rule.total - covered)
    return bool((rest > rate).any())


def wilson(hits: int, count: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share (1927)."""
    if count == 0:
        return 0.0, 1.0
    z = float(norm.ppf(0.5 + confidence / 2))
    share, spread = hits / count, z**2 / count
    centre = (share + spread / 2) / (1 + spread)
    reach = z * math.sqrt(share * (1 - share) / count + spread / (4 * count)) / (1 + spread)
    return max(centre - reach, 0.0), min(centre + reach, 1.0)
