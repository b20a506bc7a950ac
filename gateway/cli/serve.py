"""``aos serve``: one role in this process. Start as many as the load needs; they share nothing but the bus."""

from pathlib import Path
from typing import Annotated

import nats.errors
import typer

from evolution.errors import RecordedElsewhere
from gateway.cli.bus.which import without_password
from gateway.cli.terminal import session
from gateway.cli.terminal.failure import ExitCode, Failed
from gateway.errors import CopiesImpossible
from gateway.roles.running import Role, run_role
from tensor_layer.errors import EncoderUnavailable

app = typer.Typer(help="Run one role in this process.")


@app.command()
def serve(
    role: Annotated[Role, typer.Option(help="What this process does.")],
    data: Annotated[Path | None, typer.Option("--data", help="Folder for embedded data; AOS_DATA_DIR.")] = None,
    nats_url: Annotated[str | None, typer.Option("--nats", help="The bus; AOS_NATS_URL.")] = None,
    host: Annotated[str | None, typer.Option(help="Address of the HTTP door; AOS_HTTP_HOST.")] = None,
    port: Annotated[int | None, typer.Option(help="Port of the HTTP door; AOS_HTTP_PORT.")] = None,
) -> None:
    """Run one role until SIGTERM or Ctrl-C, which drain it; a second signal ends it at once."""
    options = {"data_dir": data, "bus.url": nats_url, "http.host": host, "http.port": port}
    settings = session.settings_from(options).settings
    session.warn_of_misspelt_variables()
    try:
        run_role(role, settings)
    except (nats.errors.Error, ConnectionError, TimeoutError) as error:
        bus = without_password(settings.nats_url)
        raise Failed(
            f"the {role} role cannot work: the bus at {bus} does not answer, or refuses it",
            exit_code=ExitCode.UNREACHABLE,
            code="bus_unavailable",
            detail=str(error) or type(error).__name__,
            next_step="start a NATS server with JetStream there, or set AOS_NATS_URL; `aos up` brings its own",
        ) from error
    except (CopiesImpossible, RecordedElsewhere) as error:
        raise Failed(
            f"the {role} role cannot work: {error}",
            exit_code=ExitCode.USAGE,
            code=error.code,
            next_step=error.next_step,
        ) from error
    except EncoderUnavailable as error:
        raise Failed(
            f"the {role} role cannot work: {error}",
            code=error.code,
            next_step="correct [perception] in aos.toml; `aos config show` says where each value comes from",
        ) from error
