"""What can be set, section by section. Every field says what it is for; ``aos config show`` prints them all.

Numbers carry their unit in the name. A field may have a plain environment variable of its own (``AOS_NATS_URL``)
beside the systematic one (``AOS_BUS__URL``).
"""

from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt

from gateway.settings.experience import Experience, Learning, Mining
from gateway.settings.section import LogLevel, NatsUrls, Port, Section, Url, plain
from gateway.settings.stores import S3, Index, Influx, Redis
from schemas.base import Token


class Bus(Section):
    """The NATS bus."""

    url: NatsUrls | None = Field(
        default=None,
        description="server, or several separated by commas; unset, `aos up` starts its own",
        json_schema_extra=plain("AOS_NATS_URL"),
    )
    credentials: Path | None = Field(
        default=None, description="NATS credentials file (.creds)", json_schema_extra=plain("AOS_NATS_CREDENTIALS")
    )
    replicas: int = Field(
        default=1, ge=1, le=5, description="copies of each stream, raised and never lowered; 3 on a cluster"
    )
    quota_scale: PositiveFloat = Field(
        default=1.0, description="factor on every stream's size quota (1.0 is 6 GiB in all)"
    )
    embedded_port: Port = Field(default=4222, description="port of the server that `aos up` starts; 0 picks one")
    embedded_sync: Literal["always", "1s", "10s", "2m"] = Field(
        default="always", description="how soon that server writes accepted work to disk; only 'always' is power-safe"
    )
    embedded_store_gib: PositiveInt = Field(default=8, description="disk space which that server may use, in GiB")


class Http(Section):
    """The HTTP door."""

    host: str = Field(
        default="127.0.0.1",
        description="address to listen on; 0.0.0.0 for every interface",
        json_schema_extra=plain("AOS_HTTP_HOST"),
    )
    port: Port = Field(
        default=8080, description="TCP port to listen on; 0 picks one", json_schema_extra=plain("AOS_HTTP_PORT")
    )
    public_url: Url | None = Field(
        default=None,
        description="how remote agents reach this door to fetch attachments; unset, http://host:port",
        json_schema_extra=plain("AOS_GATEWAY_URL"),
    )


class Agents(Section):
    """The workers that match, plan and run tasks, and the agents they call."""

    cards_dir: Path | None = Field(
        default=None,
        description="folder of agent cards that `aos up` watches; workers run Python agents from here",
        json_schema_extra=plain("AOS_AGENTS_DIR"),
    )
    python_packages: tuple[str, ...] = Field(
        default=(), description="packages whose modules a card's `module:callable` target may name"
    )
    python_children: int = Field(
        default=16,
        ge=1,
        le=1000,
        description="Python agents that one worker keeps a process for; the processes of more start and end by turns",
    )
    workers: int = Field(default=1, ge=1, le=256, description="worker processes that `aos up` starts")
    tasks_in_flight: int = Field(default=64, ge=1, le=10_000, description="tasks one worker process runs at a time")
    ack_wait_s: PositiveFloat = Field(
        default=5.0, description="after how long of silence another worker takes over a task, in seconds"
    )
    max_deliver: int = Field(
        default=5, ge=2, le=100, description="tries before a task that kills its worker is dead-lettered"
    )
    policies_mib: int = Field(
        default=2_048,
        ge=1,
        description="MiB for what each worker has learned; of too many tenants those idle for longest are read again",
    )
    record_experience: bool = Field(
        default=True, description="keep what came of each task, from which routing learns; off, it cannot"
    )
    match_threshold: float = Field(
        default=0.25, ge=0, le=1, description="cosine below which matching abstains instead of guessing"
    )
    preference: Literal["quality_first", "cost_first", "latency_first"] = Field(
        default="quality_first", description="what evolved networks are chosen by"
    )
    quality_threshold: float = Field(
        default=0.0, ge=0, le=1, description="promised chance of success below which a task is refused; 0 refuses none"
    )
    fresh_plan_share: float = Field(
        default=0.05, ge=0, le=1, description="of tasks of a known kind, how many are planned anew to compare"
    )


class Perception(Section):
    """How tasks are looked at."""

    remote: bool = Field(
        default=False, description="workers ask the perception role over the bus instead of encoding themselves"
    )
    threads: int = Field(default=1, ge=1, le=256, description="batches that each process computes at once on its CPU")
    text: str = Field(
        default="shipped", description="text encoder: shipped, or sentence-transformers:<path, package: or hub name>"
    )
    text_prompt: str | None = Field(
        default=None,
        max_length=1000,
        description="put before every text that a sentence-transformers encoder reads, such as 'query: ' for E5; "
        "unset, what the checkpoint makes its default",
    )
    image: str = Field(
        default="shipped", description="image encoder: shipped, none, or open_clip:<path, package: or hub name>"
    )
    audio: str = Field(
        default="shipped", description="audio encoder: shipped, none, whisper:<checkpoint> or wav2vec2:<checkpoint>"
    )
    device: str = Field(default="auto", description="where checkpoints compute: auto, cpu, cuda:0 …")
    dtype: Literal["float32", "bfloat16"] | None = Field(
        default=None,
        description="number format of encoders; unset, float32 on a CPU and bfloat16 on a GPU",
    )
    serve: bool = Field(default=True, description="workers that encode themselves answer on the bus for others too")


class Limits(Section):
    """What the doors let in."""

    attachment_bytes: PositiveInt = Field(default=2 * 1024**3, description="largest single attachment, in bytes")
    inspected_bytes: int = Field(
        default=8 * 1024**2, ge=0, description="attachments up to this size are decoded before a task is accepted"
    )
    json_body_bytes: PositiveInt = Field(default=8 * 1024**2, description="largest JSON body of a request, in bytes")
    wait_s: PositiveFloat = Field(default=300.0, description="longest time that ?wait= may hold a request, in seconds")
    followers: PositiveInt = Field(default=1000, description="event streams open at once at one door")


class Retention(Section):
    """How long what nobody needs any more is kept."""

    contents_days: float = Field(
        default=7.0,
        ge=1,
        description="days that attachments and results stay in the object store after they were last stored or "
        "submitted; longer while a task, a dead letter or a policy names them",
    )
    dead_days: PositiveFloat = Field(default=90.0, description="days that a dead letter can be looked at and redriven")
    sweep_every_s: float = Field(
        default=21_600.0, ge=0, description="seconds between two looks for contents to remove; 0: never"
    )


class Supervision(Section):
    """How `aos up` looks after its processes."""

    drain_s: PositiveFloat = Field(
        default=20.0, description="seconds a process gets to finish its work after SIGTERM, before SIGKILL"
    )
    backoff_s: PositiveFloat = Field(default=0.2, description="wait before the first restart, in seconds; it doubles")
    backoff_max_s: PositiveFloat = Field(default=15.0, description="longest wait before a restart, in seconds")
    crash_limit: int = Field(default=10, ge=1, le=1000, description="crashes within crash_window_s that mean: give up")
    crash_window_s: PositiveFloat = Field(default=120.0, description="window in which crashes are counted, in seconds")
    log_mib: PositiveInt = Field(default=16, description="size at which a log file is rolled over, in MiB")


class Settings(Section):
    """Everything that can be set. Immutable; built once, by ``gateway.settings.load``."""

    data_dir: Path = Field(default=Path(".aos"), description="where everything embedded keeps its data")
    tenant: Token = Field(default="default", description="tenant whose tasks and agents the command line means")
    url: Url | None = Field(
        default=None,
        description="the gateway that the command line talks to; unset, where `aos up` with these settings opens it",
    )
    log_level: LogLevel = Field(default="info", description="how much the processes log")
    alive_file: Path | None = Field(
        default=None, description="file that a role touches every 5 s while it works, for health checks of containers"
    )
    bus: Bus = Bus()
    index: Index = Index()
    influx: Influx = Influx()
    experience: Experience = Experience()
    mining: Mining = Mining()
    learning: Learning = Learning()
    redis: Redis = Redis()
    s3: S3 = S3()
    http: Http = Http()
    agents: Agents = Agents()
    perception: Perception = Perception()
    limits: Limits = Limits()
    retention: Retention = Retention()
    supervision: Supervision = Supervision()

    @property
    def nats_url(self) -> str:
        """The bus that roles and commands connect to: unless set, the one that `aos up` would start."""
        return self.bus.url or f"nats://127.0.0.1:{self.bus.embedded_port or 4222}"

    @property
    def gateway_url(self) -> str:
        """The gateway that commands talk to: unless set, the one that `aos up` would open."""
        return self.url or f"http://{self._local_host}:{self.http.port or 8080}"

    @property
    def nats_credentials(self) -> str | None:
        """The credentials file as nats-py wants it."""
        return str(self.bus.credentials) if self.bus.credentials else None

    @property
    def public_url(self) -> str:
        """Where remote agents reach the HTTP door."""
        return self.http.public_url or f"http://{self._local_host}:{self.http.port}"

    @property
    def _local_host(self) -> str:
        return "127.0.0.1" if self.http.host in ("0.0.0.0", "::") else self.http.host  # noqa: S104 - compared, not bound

    @property
    def blobs_dir(self) -> Path:
        """The folder of attachments and results when no S3 bucket is set."""
        return self.data_dir / "blobs"

    @property
    def index_dir(self) -> Path:
        """The folder under which each worker keeps its own embedded agent index."""
        return self.data_dir / "index"

    @property
    def mining_dir(self) -> Path:
        """The folder in which mining remembers what it has read, by tenant."""
        return self.data_dir / "experience" / "mining"

    @property
    def experience_file(self) -> Path:
        """The embedded experience store."""
        return self.data_dir / "experience" / "experience.db"
