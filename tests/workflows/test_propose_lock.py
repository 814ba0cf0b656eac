"""What scripts/propose-lock commits, pushes and asks GitHub for."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess

import pytest

PROJECT = pathlib.Path(__file__).resolve().parents[2]
BRANCH = "locked-dependencies"

# The number of pull requests that are open comes from a file.
GH = """\
#!/bin/sh
tools=$(dirname "$0")
echo "$1 $2" >>"$tools/calls"
case "$1 $2" in
    "pr list") cat "$tools/open" ;;
esac
"""


class Proposal:
    """The script in a clone of its own, with a gh that only writes down its calls."""

    def __init__(self, root: pathlib.Path):
        self._environment = {"PATH": f"{root / 'tools'}:{os.environ['PATH']}", "HOME": str(root)}
        self._clone = root / "clone"
        self._origin = root / "origin"
        self._tools = root / "tools"
        self.lock = self._clone / "requirements" / "charm.txt"
        self._git(root, "init", "--quiet", "--bare", "--initial-branch=main", "origin")
        self._git(root, "clone", "--quiet", "origin", "clone")
        for directory in (self._tools, self.lock.parent, self._clone / "scripts"):
            directory.mkdir()
        shutil.copy2(PROJECT / "scripts" / "propose-lock", self._clone / "scripts")
        self.lock.write_text("ops==1\n")
        self._git(self._clone, "add", ".")
        author = ("-c", "user.name=A", "-c", "user.email=a@example.com")
        self._git(self._clone, *author, "commit", "--quiet", "--message=First")
        self._git(self._clone, "push", "--quiet", "origin", "HEAD:main")
        gh = self._tools / "gh"
        gh.write_text(GH)
        gh.chmod(0o755)
        self.are_open(0)

    def _git(self, folder: pathlib.Path, *args: str) -> str:
        return subprocess.run(  # noqa: S603, nobody else's words
            ["/usr/bin/git", *args],
            cwd=folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def are_open(self, number: int) -> None:
        """Have GitHub say that so many pull requests are open."""
        (self._tools / "open").write_text(f"{number}\n")

    def run(self) -> None:
        """Run the script, as a workflow does: from main, whatever was proposed before."""
        subprocess.run(  # noqa: S603, the script under test
            [self._clone / "scripts" / "propose-lock"],
            env=self._environment,
            capture_output=True,
            check=True,
        )

    def calls(self) -> list[str]:
        """Return what gh was called for."""
        log = self._tools / "calls"
        return log.read_text().splitlines() if log.exists() else []

    def proposed(self) -> list[str]:
        """Return the files that differ from main on the branch; none without a branch."""
        if BRANCH not in self._git(self._origin, "branch"):
            return []
        return self._git(self._origin, "diff", "--name-only", "main", BRANCH).splitlines()

    def start_again(self) -> None:
        """Be at main again, as the next run's checkout is."""
        self._git(self._clone, "reset", "--quiet", "--hard", "origin/main")


@pytest.fixture
def proposal(tmp_path: pathlib.Path) -> Proposal:
    """The script, with nothing newer locked yet."""
    return Proposal(tmp_path)


def test_nothing_is_proposed_where_nothing_is_newer(proposal: Proposal) -> None:
    """Neither a branch nor a pull request."""
    proposal.run()

    assert proposal.calls() == []
    assert proposal.proposed() == []


def test_what_was_locked_is_proposed_and_nothing_else(proposal: Proposal) -> None:
    """Whatever else has changed in the checkout."""
    proposal.lock.write_text("ops==2\n")
    (proposal.lock.parents[1] / "scripts" / "left-over").touch()

    proposal.run()

    assert proposal.proposed() == ["requirements/charm.txt"]
    assert proposal.calls() == ["auth setup-git", "pr list", "pr create"]


def test_an_open_proposal_is_replaced(proposal: Proposal) -> None:
    """By a push to its branch: a second pull request would be refused."""
    proposal.lock.write_text("ops==2\n")
    proposal.run()
    proposal.start_again()
    proposal.are_open(1)
    proposal.lock.write_text("ops==3\n")

    proposal.run()

    assert proposal.proposed() == ["requirements/charm.txt"]
    assert proposal.calls().count("pr create") == 1
