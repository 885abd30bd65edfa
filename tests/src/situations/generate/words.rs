//! What titles, labels, contexts, descriptions and texts are made of.

/// Every state that a forge takes.
pub(super) const STATES: [&str; 4] = ["pending", "success", "failure", "error"];

/// What statuses say: the words of the protocol, words near them, and others.
pub(super) const DESCRIPTIONS: [Option<&str>; 14] = [
    None,
    Some(""),
    Some("Not yet tested"),
    Some("Not yet tested (direct trigger)"),
    Some("Not yet tested (direct trigger) "),
    Some("Testing in progress"),
    Some("Testing in progress [host-1]"),
    Some("testing in progress"),
    Some("In progress"),
    Some("In progress [host-1]"),
    Some("Manual testing required"),
    Some("Manual testing required!"),
    Some("Container exited with code 1 [host-1]"),
    Some("Größe: 3 µm ✓"),
];

pub(super) const AUTHORS: [&str; 8] =
    ["alice", "alice", "alice", "alice", "cockpit-project", "release-bot[bot]", "mallory", "Alice"];

pub(super) const TITLES: [&str; 10] = [
    "A change",
    "A change",
    "A change",
    "A change",
    "[no-test] A change",
    "A change [no-test]",
    "[NO-TEST] A change",
    "no-test: a change",
    "WIP: A change",
    "Änderung „größer“ ✓",
];

pub(super) const LABELS: [&[&str]; 10] =
    [&[], &[], &[], &[], &[], &["bug"], &["no-test"], &["bug", "no-test"], &["No-Test"], &["bot", "größer"]];

/// Contexts that the map of most repositories knows, or that name a repository whose map does.
pub(super) const KNOWN: [&str; 25] = [
    "fedora-43",
    "fedora-rawhide-boot/efi",
    "fedora-43/osbuild",
    "arch/networking",
    "arch/storage",
    "arch/novel",
    "arch",
    "debian-testing/other",
    "fedora-43/devel",
    "fedora-43/devel-slow",
    "rhel-9-8/networking",
    "fedora-rawhide",
    "opensuse-tumbleweed/a/b",
    "arch@bots#1",
    "arch/storage@bots#2",
    "rhel-9-8/networking@bots#1",
    "fedora-43@cockpit-project/starter-kit",
    "centos-10@cockpit-project/starter-kit/main",
    "rhel-8-10/x@candlepin/subscription-manager/subscription-manager-1.28",
    "fedora-43/osbuild@weldr/lorax",
    "arch@codeberg:lis/test.thing",
    "debian-testing/y@codeberg:lis/test.thing/cockpit-ci",
    "arch@bots#1@cockpit-project/starter-kit",
    "arch/devel@bots#2@codeberg:lis/test.thing",
    "rhel-8-10-distropkg/other@cockpit-project/cockpit/rhel-8",
];

/// Contexts that nobody's map knows: of other CI systems, or wrong.
pub(super) const UNKNOWN: [&str; 10] = [
    "ci/circleci: build",
    "packit-as-a-service",
    "wrongos",
    "wrongos/networking",
    "Arch/networking",
    "ärch",
    "arch@no/such",
    "arch@cockpit-project/starter-kit/nobranch",
    "wrongos@cockpit-project/starter-kit",
    "centos-10",
];

/// Contexts that break the grammar.
pub(super) const BROKEN: [&str; 12] = [
    "@",
    "@bots#1",
    "arch@",
    "arch@@",
    "arch@bots#",
    "arch@bots#x",
    "arch@bots#0",
    "arch@bots#-1",
    "arch@owner",
    "arch@:owner/name",
    "arch@bots#1@bots#2",
    "arch@cockpit-project/starter-kit/main@more",
];

/// Texts of issues.
pub(super) const CHECKLISTS: [&str; 36] = [
    "",
    "it doesn't work",
    "* [ ] image-refresh fedora-43",
    " * [ ] image-refresh fedora-43",
    "- [ ] image-refresh rhel-9-8",
    "+ [ ] image-refresh fedora-43",
    "    * [ ] image-refresh fedora-43",
    "\t- [ ] image-refresh fedora-43",
    "* [x] image-refresh fedora-43\n* [ ] image-refresh arch",
    "* [X] image-refresh fedora-43\r\n* [ ] image-refresh arch\r\n",
    "* [x] image-refresh fedora-43\n* [X] image-refresh arch",
    "* [ ] po-refresh\n* [ ] image-refresh arch",
    "* [ ] image-refresh",
    "* [ ] image-refresh ",
    "* [ ]  image-refresh   fedora-43  ",
    "* [ ] image-refresh fedora-43 and more",
    "* [ ] image-refresh 'fedora 43'; true",
    "* [ ] image-refreshed fedora-43",
    "* [ ] Image-Refresh fedora-43",
    "* [ ] FAIL: image-refresh fedora-43",
    "* [ ] FAIL: image-refresh fedora-43\n* [ ] image-refresh arch",
    "* [x] FAIL: image-refresh fedora-43\n* [ ] image-refresh arch",
    "* [ ]image-refresh fedora-43",
    "*[ ] image-refresh fedora-43",
    "* [] image-refresh fedora-43",
    "* [y] image-refresh fedora-43",
    "see * [ ] image-refresh fedora-43 for that",
    "```\n* [ ] image-refresh fedora-43\n```\n",
    "> * [ ] image-refresh fedora-43",
    "1. [ ] image-refresh fedora-43",
    "Refresh them:\n\n * [ ] image-refresh debian-testing\n * [ ] image-refresh arch\n",
    "* [ ] image-refresh fedora-43\n* [x] image-refresh fedora-43",
    "* [x] image-refresh fedora-43\n* [ ] image-refresh fedora-43\n* [ ] image-refresh arch",
    "* [ ] image-refresh ärch",
    "* [ ] image-refresh redhat/ubi",
    "* [ ] image-refresh\tfedora-43",
];

pub(super) const ISSUE_TITLES: [&str; 7] = [
    "Image refresh",
    "Image refresh",
    "WIP: host-1: Image refresh",
    "  WIP Image refresh",
    "wip: Image refresh",
    "[no-test] Image refresh",
    "Größe ✓",
];
