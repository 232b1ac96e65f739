"""The command reference as Markdown, from what typer is told. `python docs/command_reference.py`"""

from typing import Any

import typer

OTHERS = "Of this command"

HEADINGS = {
    OTHERS: -1,
    "What to paint": 0,
    "Where it comes from": 1,
    "What comes out": 2,
    "In time": 3,
    "Model and machine": 4,
    "What is said": 5,
}
"""The options' panels, in the order to read them in; others follow."""


def reference() -> str:
    """One section a command, with a table of options for each of its panels."""
    from stream.command.main import app

    group: Any = typer.main.get_command(app)
    return "\n".join(line for name in group.commands for line in _command(group, name))


def _command(group: Any, name: str) -> list[str]:
    command = group.commands[name]
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option"]
    usage = " ".join([f"allaprima {name}", *(_metavar(one) for one in arguments), "[OPTIONS]"])
    lines = [f"## allaprima {name}", "", command.help or "", "", f"```\n{usage}\n```", ""]
    lines += [f"`{_metavar(one)}`: {one.help}\n" for one in arguments]
    panels = sorted({_panel(one) for one in options}, key=lambda p: (HEADINGS.get(p, 99), p))
    for panel in panels:
        rows = [_row(one) for one in options if _panel(one) == panel]
        lines += [f"**{panel}**", "", "| option | what it does |", "|---|---|", *rows, ""]
    return lines


def _panel(option: Any) -> str:
    return getattr(option, "rich_help_panel", None) or OTHERS


def _metavar(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())


def _row(option: Any) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    value = "" if option.is_flag else f" `{_metavar(option)}`"
    told = (option.help or "").replace("|", r"\|").replace("[", r"\[")
    shown = option.show_default and option.default not in (None, False, ()) and not option.is_flag
    default = f" Default: `{option.default}`." if shown else ""
    needed = " Must be given." if option.required else ""
    return f"| {names}{value} | {told}{default}{needed} |"


if __name__ == "__main__":
    print(reference())
