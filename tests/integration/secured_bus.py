"""A nats-server in operator mode: nobody connects without a credentials file, as in most shared clusters.

JSON Web Tokens signed by keys of this process (NATS ADR-14): operator -> account -> user.
"""

import base64
import json
import os
import time
from pathlib import Path

import nkeys

from gateway.embedded.nats_server import NatsServer

_UNLIMITED = -1
_CREDENTIALS = """-----BEGIN NATS USER JWT-----
{jwt}
------END NATS USER JWT------

-----BEGIN USER NKEY SEED-----
{seed}
------END USER NKEY SEED------
"""


class SecuredServer(NatsServer):
    """Takes whoever has the credentials file, with JetStream and no limits."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir, sync_interval="2m")
        operator, account = _key(nkeys.PREFIX_BYTE_OPERATOR), _key(nkeys.PREFIX_BYTE_ACCOUNT)
        user_seed = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)
        user = nkeys.from_seed(user_seed)
        limits = dict.fromkeys(("subs", "data", "payload", "conn", "leaf", "imports", "exports"), _UNLIMITED)
        stores = dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), _UNLIMITED)
        self._operator = _signed(operator, operator, {"type": "operator", "version": 2})
        system = _key(nkeys.PREFIX_BYTE_ACCOUNT)  # JetStream wants one, without stores of its own
        self._system = system.public_key.decode()
        limited = {
            account: limits | stores | {"wildcards": True},
            system: limits | {"wildcards": True},
        }
        self._accounts = {
            one.public_key.decode(): _signed(operator, one, {"type": "account", "version": 2, "limits": allowed})
            for one, allowed in limited.items()
        }
        allowed = {"type": "user", "version": 2, "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1}
        data_dir.mkdir(parents=True)
        self.credentials = data_dir / "user.creds"
        jwt = _signed(account, user, allowed)
        self.credentials.write_text(_CREDENTIALS.format(jwt=jwt, seed=bytes(user_seed).decode()))

    def _config_text(self) -> str:
        preload = "\n".join(f'{name}: "{jwt}"' for name, jwt in self._accounts.items())
        accounts = f"system_account: {self._system}\nresolver: MEMORY\nresolver_preload: {{\n{preload}\n}}\n"
        return f"{super()._config_text()}operator: {self._operator}\n{accounts}"


def _key(prefix: int) -> nkeys.KeyPair:
    return nkeys.from_seed(nkeys.encode_seed(os.urandom(32), prefix))


def _signed(issuer: nkeys.KeyPair, subject: nkeys.KeyPair, claims: dict[str, object]) -> str:
    name = subject.public_key.decode()
    body = {
        "jti": name,
        "iat": int(time.time()),
        "iss": issuer.public_key.decode(),
        "name": "test",
        "sub": name,
        "nats": claims,
    }
    parts = [_part(json.dumps(one).encode()) for one in ({"typ": "JWT", "alg": "ed25519-nkey"}, body)]
    return ".".join((*parts, _part(issuer.sign(".".join(parts).encode()))))


def _part(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
