"""How a step reaches its agent: one connector for each kind of endpoint, all behind ``ports.Connector``.

Before it: `running` decides that a step is due, with retries and circuit breakers around. After it: the agent. A
connector makes exactly one attempt; what comes back is an InvocationReply whose large outputs lie in the object store.
"""
