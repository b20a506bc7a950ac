"""The servers that hold what a single machine has in files: sections of the settings."""

from pydantic import Field, PositiveInt, SecretStr

from gateway.settings.section import Section, Url, plain


class Index(Section):
    """The agent index, derived from the registry."""

    url: Url | None = Field(
        default=None,
        description="Qdrant server; unset, Qdrant runs inside each worker",
        json_schema_extra=plain("AOS_QDRANT_URL"),
    )
    api_key: SecretStr | None = Field(
        default=None, description="Qdrant API key", json_schema_extra=plain("AOS_QDRANT_API_KEY")
    )


class Influx(Section):
    """InfluxDB 2, the scaled-out experience store."""

    url: Url | None = Field(
        default=None,
        description="InfluxDB server; unset, experience goes to an embedded store in data_dir",
        json_schema_extra=plain("AOS_INFLUX_URL"),
    )
    token: SecretStr | None = Field(
        default=None, description="InfluxDB token", json_schema_extra=plain("AOS_INFLUX_TOKEN")
    )
    org: str = Field(
        default="aos", description="InfluxDB organisation", json_schema_extra=plain("AOS_INFLUX_ORG"), min_length=1
    )
    retention_days: PositiveInt = Field(default=90, description="how long InfluxDB keeps experience, in days")


class Redis(Section):
    """Redis, the shared tier of hot tensors."""

    url: Url | None = Field(
        default=None,
        description="Redis server; no role uses it yet, `aos doctor` checks that it answers",
        json_schema_extra=plain("AOS_REDIS_URL"),
    )


class S3(Section):
    """An S3-compatible object store for attachments and results."""

    bucket: str | None = Field(
        default=None,
        min_length=3,
        description="bucket for attachments and results; unset, a folder under data_dir holds them",
        json_schema_extra=plain("AOS_S3_BUCKET"),
    )
    endpoint: Url | None = Field(
        default=None, description="S3 endpoint; unset, AWS", json_schema_extra=plain("AOS_S3_ENDPOINT")
    )
    region: str = Field(default="us-east-1", description="S3 region", json_schema_extra=plain("AOS_S3_REGION"))
    access_key_id: SecretStr | None = Field(
        default=None, description="S3 access key", json_schema_extra=plain("AOS_S3_ACCESS_KEY_ID")
    )
    secret_access_key: SecretStr | None = Field(
        default=None, description="S3 secret key", json_schema_extra=plain("AOS_S3_SECRET_ACCESS_KEY")
    )
