"""The protobuf form of the three messages that gRPC and byte-counting clients speak; ``schemas.wire`` converts.

``aos_pb2`` is generated from ``aos.proto`` by ``make proto``; a test fails when it is stale.
"""
