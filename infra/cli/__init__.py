"""The `aupstream` command."""


def main() -> None:
    """Run the command line; ends the process with its exit code."""
    from infra.cli.app import app  # noqa: PLC0415 - importing this package has no cost and no effect

    app(prog_name="aupstream")
