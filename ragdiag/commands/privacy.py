"""``ragdiag privacy``: keys, and users who want to be forgotten. See docs/privacy.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from typer.exceptions import Exit

from ragdiag.commands.options import Json, ProgressOption, lake_of
from ragdiag.console import emit, progress_to, table
from ragdiag.settings import command_workspace

if TYPE_CHECKING:
    from ragdiag.workflows.logs.forgetting import Forgetting


def new_key_command(as_json: Json = False) -> None:
    """Print a fresh encryption key; keep it where the backups are not."""
    from ragdiag.privacy.keys import Keyring, new_key, parse_keys

    text = new_key()
    ring: Keyring = parse_keys(text, "the new key")
    emit({"key": text, "key_id": ring.keys[0].key_id}, as_json, lambda: text)


def reencrypt(context: typer.Context, as_json: Json = False) -> None:
    """Write archive, embeddings and training sets as configuration and first key say now."""
    from ragdiag.workflows.logs.reencrypt import reencrypt_workspace

    done = reencrypt_workspace(command_workspace(context.obj))
    emit(done, as_json, lambda: table([done]))


def forget_user_command(
    context: typer.Context,
    user: Annotated[str, typer.Argument(help="A user id, or a pseudonym as user:HEX.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what there is.")] = False,
    as_json: Json = False,
    progress_file: ProgressOption = None,
) -> None:
    """Remove everything of one user, for good; exit 1 where something of theirs is left."""
    from ragdiag.workflows.logs.forget import forget_user

    workspace = command_workspace(context.obj)
    with progress_to(progress_file) as progress:
        done = forget_user(lake_of(context), workspace, user, dry_run=dry_run, progress=progress)
    emit(done.to_json(), as_json, lambda: _forgetting_text(done))
    if not dry_run and not done.clean:
        raise Exit(1)


def forget_again_command(context: typer.Context, as_json: Json = False) -> None:
    """Remove whoever was forgotten and is back with a backup, or was not forgotten to the end."""
    from ragdiag.workflows.logs.forget import forget_again

    workspace = command_workspace(context.obj)
    done = forget_again(lake_of(context), workspace)
    if done is None:
        emit({"requests": 0}, as_json, lambda: "nobody was ever forgotten")
        return
    emit(done.to_json(), as_json, lambda: _forgetting_text(done))
    if not done.clean:
        raise Exit(1)


def _forgetting_text(done: Forgetting) -> str:
    rows = [
        {
            "place": one.name,
            **{
                name: "–" if (n := getattr(one, name)) is None else n
                for name in ("found", "removed", "left")
            },
        }
        for one in done.places
    ]
    lines = [f"{done.requests} requests", table(rows)]
    lines += [f"{one.name}: {one.note}" for one in done.places if one.note]
    lines += [
        f"the backup {one.backup} of {one.made_at} in {one.directory} still holds them; remove it, "
        "or restore it and back up again"
        for one in done.backups
    ]
    lines += [f"{path} still holds them; {_remedy(path)}" for path in done.files]
    return "\n".join(lines)


def _remedy(path: str) -> str:
    """What mends a file of the workspace: nobody but ragdiag may touch lake, spool and secrets."""
    if path.startswith(("lake/", "spool/", "secrets/")):
        later = (
            "leave it as it is, and run the same command again when services, other commands and "
            "the dashboard have stopped"
        )
        if not path.startswith("spool/archive/"):
            return later
        return (
            f"{later}; where it is named again, a line names them in the midst of other words: set "
            "archive_days = 0 under [retention], run ragdiag store compact, which removes the "
            "archive, and set it back"
        )
    return "remove or mend it"
