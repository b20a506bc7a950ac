"""The act of running a plan: each node of the network is one durable step at an agent.

Before it: ``planning`` made the plan. After it: ``settlement`` stores what came out.

``runner``             one plan from start to outcome, resumed where a crash or a person left it
``compiler``           a network's shape as a LangGraph graph, kept for the next plan of that shape
``run``                what one run knows: time, money, steps done
``inputs``             what flows into a step
``steps``              one step: attempts, backoff, timeout
``gates``              how many steps at once an agent takes, and whether at all (``breaker``)
``step_saver``         the least that a resume needs, on top of
``checkpoints``        LangGraph's checkpoint saver on JetStream, made of
``threads``            stored messages put together to checkpoints, ``checkpoint_stream`` the bus, ``frames`` the bytes
"""
