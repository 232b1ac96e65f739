"""The command `allaprima`: all that typer, rich and exit codes need, a file a command."""
