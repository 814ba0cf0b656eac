"""What can be chosen for a run, and the charms that come of it."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.clouds import protocol
from tests.integration import choices, packing

if TYPE_CHECKING:
    from tests.drivers import stand_in

CHARMS = choices.Charms(
    distributor=lambda base: f"/dist/distributor_{base}.charm",
    lxd_cluster=lambda base: f"/dist/lxd-cluster_{base}.charm",
    with_library=lambda name, channel, base: f"/dist/{name}_{channel}_{base}.charm",
    architecture="amd64",
)


def _chosen(**values: str) -> dict[choices.Choice, str]:
    return {choice: values.get(choice.dest, choice.default) for choice in choices.ALL}


def test_an_option_goes_before_the_environment_and_that_before_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Jobs of a matrix set variables; a person at a terminal gives options."""
    monkeypatch.delenv("BASE", raising=False)
    by_default = choices.BASE.value(None)
    monkeypatch.setenv("BASE", "ubuntu@22.04")

    assert by_default == "ubuntu@24.04"
    assert choices.BASE.value(None) == "ubuntu@22.04"
    assert choices.BASE.value("ubuntu@26.04") == "ubuntu@26.04"


def test_microovn_is_given_this_library_and_the_earlier_one_is_as_published() -> None:
    """The stories are about this library; only the refresh is about the published one."""
    found = choices.sources(_chosen(consumer_channel="24.03/stable"), CHARMS)

    consumer = found[protocol.CONSUMER]
    assert consumer.charm == "/dist/microovn_24.03/stable_ubuntu@24.04.charm"
    assert not consumer.channel
    earlier = found[protocol.EARLIER_CONSUMER]
    assert (earlier.charm, earlier.channel) == ("microovn", "24.03/stable")
    for source in (consumer, earlier):
        assert source.constraints["virt-type"] == "virtual-machine"
        assert source.command == "microovn cluster"


def test_microovn_can_keep_its_own_library() -> None:
    """Once it has been published with this one."""
    found = choices.sources(_chosen(consumer_library="published"), CHARMS)

    assert found[protocol.CONSUMER] == found[protocol.EARLIER_CONSUMER]


def test_lxd_clusters_take_microovns_place() -> None:
    """By choice for all modules, or in the one that is about them."""
    chosen = choices.sources(_chosen(consumer="lxd-cluster"), CHARMS)
    asked = choices.sources(_chosen(), CHARMS, consumer="lxd-cluster")

    assert chosen == asked
    source = chosen[protocol.CONSUMER]
    assert source.charm == "/dist/lxd-cluster_ubuntu@24.04.charm"
    assert source.says_what_for
    assert not source.constraints


def test_the_published_distributor_comes_from_its_channel() -> None:
    """This one from this machine; both on the base that was chosen."""
    found = choices.sources(_chosen(earlier_channel="latest/beta"), CHARMS)

    earlier = found[protocol.EARLIER_DISTRIBUTOR]
    assert (earlier.charm, earlier.channel) == (protocol.DISTRIBUTOR, "latest/beta")
    assert found[protocol.DISTRIBUTOR].charm == "/dist/distributor_ubuntu@24.04.charm"
    assert {source.base for source in found.values()} == {"ubuntu@24.04"}


@pytest.mark.parametrize(
    ("base", "architecture", "consumer"),
    [
        ("ubuntu@26.04", "amd64", "microovn"),
        ("ubuntu@24.04", "arm64", "microovn"),
        ("ubuntu@24.04", "amd64", "lxd-cluster"),
    ],
)
def test_where_nothing_was_published_there_are_no_earlier_charms(
    base: str, architecture: str, consumer: str
) -> None:
    """The story of the refresh is skipped there, and says why."""
    charms = dataclasses.replace(CHARMS, architecture=architecture)

    found = choices.sources(_chosen(base=base, consumer=consumer), charms)

    assert set(found) == {protocol.DISTRIBUTOR, protocol.CONSUMER}
    assert {source.base for source in found.values()} == {base}


def test_no_other_consumer_is_known() -> None:
    """What its cluster's command is could only be guessed."""
    with pytest.raises(ValueError, match="not 'microceph'"):
        choices.sources(_chosen(consumer="microceph"), CHARMS)


def test_a_charm_is_given_by_its_path_or_its_directory(tmp_path: pathlib.Path) -> None:
    """Of several in a directory it is the one for the base and this machine's architecture."""
    for base in ("ubuntu@22.04", "ubuntu@24.04"):
        (tmp_path / f"x_{base}-{packing.architecture()}.charm").touch()
    wanted = str(tmp_path / f"x_ubuntu@24.04-{packing.architecture()}.charm")

    assert packing.given(str(tmp_path), "x", "ubuntu@24.04") == wanted
    assert packing.given(wanted, "x", "ubuntu@24.04") == wanted
    for path in (tmp_path, tmp_path / "y.charm"):
        with pytest.raises(packing.PackingError, match=r"x for ubuntu@26\.04"):
            packing.given(str(path), "x", "ubuntu@26.04")


class Project:
    """A charm's sources, with a dist/ of its own and a charmcraft that writes down its calls.

    Attributes:
        root: where the sources are.
        charm: the packed charm.
        calls: of charmcraft.
        packages: the files of the library's package in the sources of each call.
    """

    def __init__(self, folder: pathlib.Path):
        self.root = folder / "project"
        self.charm = folder / "dist" / f"x_ubuntu@24.04-{packing.architecture()}.charm"
        self.calls: list[tuple[str, ...]] = []
        self.packages: list[set[str]] = []
        for path in ("src/charm.py", "requirements/charm.txt", "tests/test_it.py"):
            (self.root / path).parent.mkdir(parents=True)
            (self.root / path).touch()
        (self.root / "charmcraft.yaml").write_text("name: x\n")

    def run(self, *command: str, cwd: pathlib.Path) -> None:
        """Stand in for `packing._run`."""
        self.calls.append(command)
        self.packages.append({path.name for path in (cwd / packing.PACKAGE).glob("*")})
        self.charm.touch()

    def pack(self, *, with_package: bool = False) -> str:
        """Pack it, or not."""
        return packing.pack(self.root, "ubuntu@24.04", with_package=with_package)

    def edit(self, path: str) -> None:
        """Change a file a minute after the charm was packed."""
        packed = self.charm.stat().st_mtime
        os.utime(self.root / path, (packed + 60, packed + 60))


@pytest.fixture
def project(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A charm that is not packed yet."""
    made = Project(tmp_path)
    monkeypatch.setattr(packing, "DIST", made.charm.parent)
    monkeypatch.setattr(packing, "_run", made.run)
    monkeypatch.setenv("HOME", str(tmp_path))
    return made


def test_a_charm_is_packed_once(project: Project) -> None:
    """By charmcraft, for one base, with the library's package where it is wanted."""
    paths = {project.pack(with_package=True) for _ in range(2)}

    platform = f"ubuntu@24.04:{packing.architecture()}"
    output = str(project.charm.parent)
    assert project.calls == [("charmcraft", "pack", "--platform", platform, "--output", output)]
    sources = _package_files()
    assert {"__init__.py", "_consumer.py"} < {path.name for path in sources}
    assert project.packages == [{path.name for path in sources}]
    assert paths == {str(project.charm)}


@pytest.mark.parametrize("source", ["charmcraft.yaml", "requirements/charm.txt", "src/charm.py"])
def test_a_charm_that_is_older_than_its_source_is_packed_anew(
    project: Project, source: str
) -> None:
    """Or the tests would test what the source was."""
    project.pack()
    project.edit(source)

    project.pack()

    assert len(project.calls) == 2


def test_a_charm_that_is_older_than_the_package_is_packed_anew(project: Project) -> None:
    """If that goes into it, which is outside its own sources."""
    project.pack(with_package=True)
    newest = max(path.stat().st_mtime for path in _package_files())
    os.utime(project.charm, (0, newest - 1))
    for path in ("charmcraft.yaml", "requirements/charm.txt", "src/charm.py"):
        os.utime(project.root / path, (0, 0))

    without = project.pack(), len(project.calls)
    project.pack(with_package=True)

    assert without == (str(project.charm), 1)
    assert len(project.calls) == 2


def test_what_does_not_go_into_a_charm_does_not_make_it_old(project: Project) -> None:
    """Packing takes minutes."""
    project.pack()
    project.edit("tests/test_it.py")

    project.pack()

    assert len(project.calls) == 1


def _package_files() -> list[pathlib.Path]:
    folder = packing.ROOT / "library" / "src" / "microcluster_token_distributor"
    return [path for path in folder.iterdir() if path.name != "__pycache__"]


def _library() -> bytes:
    return (packing.ROOT / packing.LIBRARY).read_bytes()


def test_this_library_takes_the_place_of_another_in_a_packed_charm(tmp_path: pathlib.Path) -> None:
    """All else stays as it was, and what can be executed remains so."""
    published, changed = tmp_path / "a.charm", tmp_path / "b.charm"
    with zipfile.ZipFile(published, "w") as charm:
        dispatch = zipfile.ZipInfo("dispatch")
        dispatch.external_attr = 0o100755 << 16
        charm.writestr(dispatch, "#!/bin/sh\n")
        charm.writestr(packing.LIBRARY, "LIBPATCH = 3\n")

    packing.graft(published, changed)

    with zipfile.ZipFile(changed) as charm:
        assert charm.namelist() == ["dispatch", packing.LIBRARY]
        assert charm.read("dispatch") == b"#!/bin/sh\n"
        assert charm.getinfo("dispatch").external_attr >> 16 == 0o100755
        assert charm.read(packing.LIBRARY) == _library()


def test_a_charm_without_the_library_is_no_consumer(tmp_path: pathlib.Path) -> None:
    """A story told with it would show nothing."""
    published = tmp_path / "a.charm"
    with zipfile.ZipFile(published, "w") as charm:
        charm.writestr("dispatch", "")

    with pytest.raises(packing.PackingError, match=r"a\.charm has no lib/charms"):
        packing.graft(published, tmp_path / "b.charm")


def test_a_charm_is_fetched_from_its_channel_and_given_this_library(
    juju: stand_in.JujuOnPath, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the base and the architecture that it will run on; the published one is not kept."""
    dist = tmp_path / "dist"
    monkeypatch.setattr(packing, "DIST", dist)
    with zipfile.ZipFile(tmp_path / "published.charm", "w") as charm:
        charm.writestr(packing.LIBRARY, "LIBPATCH = 3\n")
    juju.downloads(tmp_path / "published.charm")

    path = packing.download("microovn", "latest/edge", "ubuntu@24.04")

    architecture = packing.architecture()
    assert path == str(dist / f"microovn_ubuntu@24.04-{architecture}.charm")
    assert [file.name for file in dist.iterdir()] == [pathlib.Path(path).name]
    with zipfile.ZipFile(path) as charm:
        assert charm.read(packing.LIBRARY) == _library()
    (call,) = juju.calls("download")
    flags = dict(zip(call[2:-1:2], call[3:-1:2], strict=True))
    assert call[1] == "microovn"
    assert flags["--channel"] == "latest/edge"
    assert flags["--base"] == "ubuntu@24.04"
    assert flags["--arch"] == architecture


def test_a_missing_program_is_named(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a person can install it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(packing, "DIST", tmp_path)

    with pytest.raises(packing.PackingError, match="no `juju` here"):
        packing.download("microovn", "latest/edge", "ubuntu@24.04")
