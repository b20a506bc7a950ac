"""Yesterday's decisions, asked again: how a policy would have done on tasks that another one routed.

``decision_log``  experience records -> arrays of decisions with their logged probabilities
``off_policy``    IPS, self-normalised IPS and doubly robust estimates with intervals and warnings
``intervals``     the confidence intervals behind them
``policies``      simple policies to compare with
``comparing``     two policies beside one another, for guards and reports
``rerunning``     which recorded answers tasks get when they are done again, and what both goes came to: ``walking``
``evaluating``    the use case: a stored window, several policies, one comparison
"""
