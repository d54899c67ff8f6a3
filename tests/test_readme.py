"""What the README promises is what the project does."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from ragdiag.cli import main
from ragdiag.settings import PROJECT
from ragdiag.version import Spec, parse_spec

README = (PROJECT / "README.md").read_text(encoding="utf-8")
TESTS = "pip install -r requirements.txt -r requirements-dev.txt && pytest"
DASHBOARD = "pip install -r requirements.txt && streamlit run app.py"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_two_commands_come_first_and_ci_runs_the_second() -> None:
    shell = [" ".join(block.split()) for block in blocks("sh")]
    assert shell[:2] == [DASHBOARD, TESTS]
    assert TESTS in (PROJECT / ".ci" / "run").read_text(encoding="utf-8")


def test_every_requirement_is_pinned_exactly() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        for line in (PROJECT / name).read_text(encoding="utf-8").split():
            assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][^*]*", line), line


def test_every_command_of_the_table_exists(capsys: pytest.CaptureFixture[str]) -> None:
    section = README.split("## Commands")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(.+?)`(?:, `(.+?)`)? \|", section, flags=re.MULTILINE)
    commands = [re.match(r"[a-z]+(?: [a-z][a-z-]*)*", cell) for row in rows for cell in row if cell]
    named = [match.group().split() for match in commands if match]
    assert len(named) >= 14
    for words in named:
        assert main([*words, "--help"]) == 0, words
    capsys.readouterr()


def test_the_example_spec_is_a_spec() -> None:
    (example,) = blocks("toml")
    spec = parse_spec(example, source="README.md")
    assert isinstance(spec, Spec)
    uncommented = example.replace('kind = "extractive"', "").replace("# kind", "kind")
    uncommented = re.sub(r"^# (model|base_url|api_key_env)", r"\1", uncommented, flags=re.M)
    assert parse_spec(uncommented, source="README.md").generator.kind == "openai"


def test_the_files_it_names_are_there() -> None:
    for path in re.findall(r"\]\(([^)#]+)\)", README):
        assert (PROJECT / path).exists(), path


def test_help_does_not_pay_for_the_engines() -> None:
    script = (
        "import sys; from ragdiag.cli import main; main(['--help']);"
        "sys.exit(bool({'torch','duckdb','faiss','transformers','scipy'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
