"""Mount options and /proc/self/mountinfo."""

from __future__ import annotations

from kairos_boot.system import mounts

TEXT = """\
24 1 7:0 / / ro,relatime shared:1 - ext4 /dev/loop0 ro
30 24 0:27 / /etc rw,relatime - overlay overlay rw,lowerdir=/sysroot/etc,upperdir=/u,workdir=/w
31 24 254:5 /.state/a\\040b.bind /mnt/a\\040b\\134c rw,nosuid shared:4 master:2 - ext4 /dev/vda5 rw
32 24 254:5 / /etc rw - ext4 /dev/vda5 rw
33 24 0:9 / /none rw - tmpfs  rw
"""


def test_mountinfo_is_read_with_its_escapes_and_optional_fields() -> None:
    found = mounts.parse(TEXT)
    assert [(m.target, m.source, m.fstype, m.root) for m in found][2] == ("/mnt/a b\\c", "/dev/vda5", "ext4", "/.state/a b.bind")
    assert found[0].options == ("ro", "relatime")
    assert found[1].super_options == ("rw", "lowerdir=/sysroot/etc", "upperdir=/u", "workdir=/w")
    assert found[2].device == "254:5"
    assert len(found) == 5


def test_the_uppermost_mount_of_a_place_counts() -> None:
    found = mounts.at("/etc", mounts.parse(TEXT))
    assert found is not None
    assert found.fstype == "ext4"
    assert mounts.at("/et", mounts.parse(TEXT)) is None


def test_options_become_flags_and_data_and_words_for_systemd_neither() -> None:
    flags, data = mounts.split_options(("ro", "nosuid", "suid", "dev", "exec", "async", "nofail", "x-systemd.device-timeout=3s", "size=25%", "mode=0700", "defaults"))
    assert (flags, data) == (mounts.RDONLY | mounts.NOSUID, "size=25%,mode=0700")
