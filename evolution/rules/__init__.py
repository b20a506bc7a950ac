"""What people and policies make of patterns: routing rules that are visible and can be taken back.

``making``   a pattern -> the rule that it suggests, or why it suggests none
``keeping``  patterns and rules in their key-value buckets; which rules make themselves
"""
