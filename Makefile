# make check        lint, types, unit and module tests but the slow ones: the quick inner loop, without root
# make test         everything but the long ones below, virtual machines included; installs what it needs (root). SUITE=trixie: the node of Debian 13, booted and reset
# make fresh        the same, without virtual machines, on a machine with nothing but git and make: a Debian tree of its own (root)
# make boot         build a node's disk, boot it under QEMU, show what it says, shut it down (root); KEEP=1 leaves it running, UEFI=1,
#                  DEBS=1 installs the work tree's debs into it instead of copies (iso, uki and test, too), SUITE=trixie
# make iso         build a live medium (BIOS, UEFI; disc or stick) of the node's tree and print its path (root); OUT=FILE, SIGNED=1 for Secure Boot
# make uki         build the disk of a node that is one signed EFI program (trusted boot) and print its path (root); OUT=FILE
# make uki-iso     build the medium that installs such a node (root); OUT=FILE
# make ukis        such a node in a virtual machine with Secure Boot (root)
# make crypts       nodes with encrypted partitions in virtual machines with a TPM: opened by it, by the recovery key, reset (root)
# make stop         end a node that was left running
# make build        the program as it is installed, below build/: build/usr/bin/kairos-boot is tried without a virtual machine
# make install      install into DESTDIR (default: /); install-image: besides, what makes a tree the image of a node
# make deb rpm      packages, into build-packages/ (root); SUITE=trixie for Debian 13     make wheel   for pip
# make packages-test   the tests of packages, Debian 13 included, for which trees are made (root)
# make kills        runs ended at random moments, N of them (100): nothing torn, nothing left (root)
# make installs     nodes installed in virtual machines by the live medium, without a hand and by hand (root)
# make upgrades     nodes upgraded in virtual machines: power cuts, back by hand and by themselves (root)
# make resets       nodes reset by every way in, in virtual machines (root)
# make powercut     states that a power cut may leave, N of them (3000), each ending in a reset node (root)
# make powercut-vm  the power of a virtual machine cut N times (12), three times in each reset (root)
# make schema       the JSON Schema of documents as a file of this version, in packaging/schema
# make bench        this project's benchmarks     make fuzz   the fuzzers     make conformance   the conformance cases, where present
# make clean        remove build/ and what the tools left; the cache (~/.cache/kairos-boot) stays, `make clean-cache` removes it

SHELL := /bin/bash
PYTHON := /usr/bin/python3
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/kairos-boot
REQUIREMENTS := packaging/requirements-test.txt
VENV := $(CACHE)/venv
BIN := $(VENV)/bin
# By what was asked for, not by times: a fresh clone finds it made, and takes it from under nobody's tests.
TOOLS := $(VENV)/.made-$(shell sha256sum $(REQUIREMENTS) | head -c 12)
CONFORMANCE ?= ../shared/conformance/run
PACKAGES := gcc libc6-dev libblkid-dev pkg-config python3-dev python3-venv python3-yaml python3-pyudev python3-pystemd \
	qemu-system-x86 qemu-utils ovmf mmdebstrap debian-archive-keyring grub-common grub-pc-bin grub-efi-amd64-bin mtools dosfstools \
	e2fsprogs fdisk zstd cpio squashfs-tools openssh-client openssl strace systemd systemd-container dbus iproute2 procps util-linux mount file ca-certificates git \
	groff-base shellcheck skopeo umoci jq xfsprogs btrfs-progs xorriso systemd-boot-efi sbsigntool binutils cryptsetup-bin

export PYTHONDONTWRITEBYTECODE := 1

.PHONY: check lint types quick quick-unit quick-other test fresh boot iso uki uki-iso ukis crypts stop install build bench fuzz kills powercut powercut-vm resets installs upgrades conformance clean clean-cache packages \
	install-image deb rpm wheel packages-test schema

# All of it beside each other, each with its output in one piece; the tests in two halves.
check: $(TOOLS)
	@$(MAKE) --no-print-directory --output-sync -j4 lint types quick-unit quick-other

quick: quick-unit quick-other

QUICK := $(BIN)/python -m pytest -q -m 'not root and not vm and not container and not slow'

quick-unit: $(TOOLS)
	$(QUICK) tests/unit

quick-other: $(TOOLS)
	$(QUICK) --ignore=tests/unit --ignore=tests/vm --ignore=tests/conformance

lint: $(TOOLS)
	$(BIN)/ruff check

types: $(TOOLS)
	$(BIN)/mypy

# Which node is built: of which release, and whether by debs.
NODE = $(if $(SUITE),KAIROS_BOOT_SUITE=$(SUITE)) $(if $(DEBS),KAIROS_BOOT_DEBS=$(DEBS))

# Another release than this machine's: its node in virtual machines, booted and reset. Everything else is not about a release, or has its own trees.
TESTS = $(if $(filter trixie,$(SUITE)),tests/vm/test_entries.py tests/vm/test_reset.py,-m 'not long')

# One finding of the linter must not hide what the tests have to say, so all of them run, and any of them makes it fail.
test: packages $(TOOLS)
	@status=0; $(BIN)/ruff check || status=1; $(BIN)/mypy || status=1; \
	$(NODE) KAIROS_BOOT_COMPLETE=1 $(BIN)/python -m pytest $(TESTS) $(PYTEST) || status=1; exit $$status

# Nodes installed and upgraded in virtual machines; too long for `make test`.
installs: packages $(TOOLS)
	$(BIN)/python -m pytest -q $(addprefix tests/vm/,test_install.py test_secure_boot.py test_squashfs.py)

upgrades: packages $(TOOLS)
	$(BIN)/python -m pytest -q tests/vm/test_upgrade.py

# Nodes reset in virtual machines by every way in; `make test` has half of them.
resets: packages $(TOOLS)
	KAIROS_RESETS=all $(BIN)/python -m pytest -q tests/vm/test_reset.py

powercut-vm: packages $(TOOLS)
	POWERCUTS_VM=$(or $(N),12) $(BIN)/python -m pytest -q tests/vm/test_reset.py

fresh: packages
	@packaging/image/fresh $(PYTEST)

boot: packages $(TOOLS)
	@$(NODE) packaging/image/boot $(if $(KEEP),--keep) $(if $(UEFI),--uefi)

iso: packages $(TOOLS)
	@$(NODE) packaging/image/iso.py $(if $(OUT),--out '$(OUT)') $(if $(SIGNED),--signed)

uki: packages $(TOOLS)
	@$(NODE) packaging/image/uki.py $(if $(OUT),--out '$(OUT)')

uki-iso: packages $(TOOLS)
	@$(NODE) packaging/image/uki_iso.py $(if $(OUT),--out '$(OUT)')

ukis: packages $(TOOLS)
	$(BIN)/python -m pytest -q $(addprefix tests/vm/,test_uki.py test_uki_upgrade.py test_uki_reset.py test_uki_install.py)

crypts: PACKAGES += swtpm
crypts: packages $(TOOLS)
	$(BIN)/python -m pytest -q $(addprefix tests/vm/,test_crypt.py test_uki_crypt.py)

stop:
	@packaging/image/boot --stop

install:
	packaging/install --destdir '$(DESTDIR)' --compile

install-image:
	packaging/install-image --destdir '$(DESTDIR)'

deb rpm: packages
	packaging/packages/build $@ $(if $(SUITE),--suite $(SUITE))

wheel:
	packaging/packages/build $@

packages-test: packages $(TOOLS)
	KAIROS_PACKAGES=1 $(BIN)/python -m pytest -q tests/packages

# The program as it would be installed, for whatever runs it from here. Made beside it and moved: something may be running it.
build:
	@rm -rf build.new build.old && packaging/install --destdir build.new --compile && { [ ! -e build ] || mv build build.old; } && mv build.new build && rm -rf build.old

bench: build $(TOOLS)
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python "$$file" || exit 1; done

fuzz: $(TOOLS)
	@for file in fuzz/*.py; do echo "== $$file"; $(BIN)/python "$$file" || exit 1; done

powercut: packages $(TOOLS)
	POWERCUTS=$(or $(N),3000) $(BIN)/python -m pytest -q -s tests/powercut

kills: $(TOOLS)
	KAIROS_KILLS=$(or $(N),100) $(BIN)/python -m pytest -q tests/integration/test_kills.py

conformance: build
	$(CONFORMANCE) --jobs 2 --command '$(CURDIR)/build/usr/bin/kairos-boot run-stage --only {args} {stage} {sources}' $(ARGS)

schema:
	packaging/schema/write.py

# Debian's packages; nothing happens where all are there.
packages:
	@missing=; for name in $(PACKAGES); do \
	  dpkg-query -W -f '$${db:Status-Status}' "$$name" 2>/dev/null | grep -qx installed || missing="$$missing $$name"; done; \
	if [ -n "$$missing" ]; then \
	  echo "installing$$missing"; \
	  apt-get -q update >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends $$missing >/tmp/kairos-boot-apt.log 2>&1 \
	    || { tail -n 20 /tmp/kairos-boot-apt.log; exit 1; }; \
	fi

# The environment sees Debian's packages, since the program runs with those; only tools come from elsewhere.
$(TOOLS):
	@mkdir -p $(CACHE)
	@exec 9>$(CACHE)/.venv.lock; flock 9; [ -e $@ ] || { \
	$(PYTHON) -m venv --clear --system-site-packages $(VENV) && $(BIN)/pip install --quiet --disable-pip-version-check -r $(REQUIREMENTS) && touch $@; }

clean:
	rm -rf build build.new build.old build-packages .mypy_cache .ruff_cache .pytest_cache *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +

clean-cache:
	rm -rf $(CACHE)
