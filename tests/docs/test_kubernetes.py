"""Tests that what the documentation advises for Kubernetes holds."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from typing_extensions import override

from segment_logging._options.delivery import DeliveryOptions
from segment_logging.cli import service
from segment_logging.cli.remaining import TAKE_OVER_SECONDS

from .. import needs
from .pages import PAGES, blocks, pod_of


def pods() -> list[Any]:
    """Return the specification of each pod in the documentation."""
    found = [yaml.safe_load(one.text) for one in blocks("yaml") if "apiVersion" in one.text]
    return [pod_of(one) for one in found]


class TestProbes(unittest.TestCase):
    def test_by_age(self) -> None:
        """Each probe succeeds while the liveness file is fresh, and fails if it is old or missing.
        The command of the container writes that file."""
        containers = [
            one
            for pod in pods()
            for one in (*pod.get("initContainers", ()), *pod["containers"])
            if "livenessProbe" in one
        ]
        self.assertEqual(len(containers), 2)
        for container in containers:
            command = container["command"]
            path = command[command.index("--liveness-file") + 1]
            with self.subTest(command[1]), TemporaryDirectory() as directory:
                alive = Path(directory, "alive")
                probe = [
                    word.replace(path, str(alive))
                    for word in container["livenessProbe"]["exec"]["command"]
                ]
                self.assertNotEqual(self.code_of(probe), 0)
                alive.touch()
                self.assertEqual(self.code_of(probe), 0)
                os.utime(alive, (time.time() - 90,) * 2)
                self.assertNotEqual(self.code_of(probe), 0)

    def test_in_memory(self) -> None:
        """Each liveness file is in a volume in memory, which a full disk does not affect."""
        for pod in pods():
            in_memory = {
                one["name"]
                for one in pod.get("volumes", ())
                if (one.get("emptyDir") or {}).get("medium") == "Memory"
            }
            for container in (*pod.get("initContainers", ()), *pod["containers"]):
                if "livenessProbe" not in container:
                    continue
                command = container["command"]
                path = Path(command[command.index("--liveness-file") + 1])
                mounted = {one["mountPath"]: one["name"] for one in container["volumeMounts"]}
                with self.subTest(command[1]):
                    self.assertIn(mounted[str(path.parent)], in_memory)

    def code_of(self, probe: list[str]) -> int:
        return subprocess.run(probe, stderr=subprocess.DEVNULL, check=False).returncode


class TestSidecar(unittest.TestCase):
    def test_time(self) -> None:
        """The grace period is what the page says it is made of."""
        (pod,) = (one for one in pods() if "initContainers" in one)
        (sidecar,) = pod["initContainers"]
        command = sidecar["command"]
        linger = float(command[command.index("--linger") + 1])
        stop = service.STOP_SECONDS + service.END_SECONDS
        programs = pod["terminationGracePeriodSeconds"] - linger - stop
        text = " ".join(PAGES["docs/one-host.md"].split())
        self.assertIn(f"and {stop:.0f} s for the request under way", text)
        self.assertIn(f"the programs have {programs:.0f} s", text)
        self.assertIn(f"stuck for {service.STUCK_AFTER / 60:.0f} minutes", text)
        self.assertIn(f"waits for up to {TAKE_OVER_SECONDS:g} s to see whether another", text)
        self.assertIn(f"still open after {service.STOP_SECONDS:.0f} s, no other command", text)

    def test_shared(self) -> None:
        """Sidecar and program run as the same user, and share the directory."""
        (pod,) = (one for one in pods() if "initContainers" in one)
        self.assertIn("runAsUser", pod["securityContext"])
        directory = pod["initContainers"][0]["command"][2]
        for container in (*pod["initContainers"], *pod["containers"]):
            self.assertNotIn("securityContext", container)
            self.assertIn(directory, [one["mountPath"] for one in container["volumeMounts"]])

    def test_keys(self) -> None:
        """Every program in a pod has the write key, also if a sidecar delivers for it."""
        containers = [one for pod in pods() for one in pod["containers"]]
        programs = [one for one in containers if one.get("command", [""])[0] != "segment-logging"]
        self.assertEqual(len(programs), 4)
        for container in programs:
            self.assertIn("SEGMENT_WRITE_KEY", [one["name"] for one in container["env"]])

    def test_size(self) -> None:
        """A volume half again as large as the journal has room for all that is kept there."""
        given = DeliveryOptions(journal="/nowhere")
        quarantine = given.max_journal_bytes / 10
        total = given.max_journal_bytes + quarantine + given.max_dead_letter_bytes
        self.assertLess(total, 1.5 * given.max_journal_bytes)


@needs.a_real_disk
class TestVolumes(unittest.TestCase):
    """Persistent volumes, which Kubernetes makes writable for `fsGroup`."""

    @override
    def setUp(self) -> None:
        self.volume = Path(self.enterContext(TemporaryDirectory()), "volume")
        self.volume.mkdir()
        self.volume.chmod(0o2775)  # as Kubernetes leaves a new volume

    def log(self, journal: Path) -> str:
        """Log an event in a new process, and return its reports."""
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                "import logging, sys\n"
                "from segment_logging import SegmentHandler\n"
                "logger = logging.Logger('shop')\n"
                "logger.addHandler(SegmentHandler('key', journal=sys.argv[1], deliver=False))\n"
                "logger.info('Paid', extra={'user_id': 'u-17'})\n",
                str(journal),
            ],
            check=True,
            timeout=60,
            capture_output=True,
            text=True,
        )
        return done.stderr

    def mount_again(self) -> None:
        """Do what Kubernetes does at each mount, unless the policy is OnRootMismatch."""
        for path in self.volume.rglob("*"):
            path.chmod(path.stat().st_mode | (0o2770 if path.is_dir() else 0o660))

    def waiting(self, directory: Path) -> int:
        return len([*directory.glob("*/live/*/*.jsonl")])

    def test_policy(self) -> None:
        """Pods with `fsGroup` have the policy, and programs with a claim have `fsGroup`."""
        manifests = [yaml.safe_load(one.text) for one in blocks("yaml") if "apiVersion" in one.text]
        checked = 0
        for manifest in manifests:
            pod = pod_of(manifest)
            volumes = pod.get("volumes", ())
            if "volumeClaimTemplates" in manifest["spec"] or any(
                "persistentVolumeClaim" in one for one in volumes
            ):
                context = pod["securityContext"]
                self.assertEqual(context["fsGroup"], context["runAsUser"])
                self.assertEqual(context["fsGroupChangePolicy"], "OnRootMismatch")
                checked += 1
        self.assertEqual(checked, 2)

    def test_of_the_volume(self) -> None:
        """A journal that is the volume refuses its directory if the group may write in it."""
        own = self.volume / f"u{os.geteuid()}"
        self.assertEqual(self.log(self.volume), "")
        self.assertEqual(self.waiting(own), 1)
        self.mount_again()
        self.assertIn("others may write in it", self.log(self.volume))
        self.assertEqual(self.waiting(own), 1)
        self.assertIn("`chmod -R go-rwx /segment/u1000`", PAGES["docs/operating.md"])
        subprocess.run(["chmod", "-R", "go-rwx", str(own)], check=True)
        self.assertEqual(self.log(self.volume), "")
        self.assertEqual(self.waiting(own), 2)

    def test_in_the_volume(self) -> None:
        """A journal in the volume uses another directory if the group may write in it."""
        journal = self.volume / "segment"
        self.log(journal)
        self.assertEqual(self.waiting(journal), 1)
        self.mount_again()
        self.log(journal)
        self.assertEqual(self.waiting(journal), 1)
        self.assertEqual(self.waiting(journal / f"u{os.geteuid()}"), 1)

    def test_size(self) -> None:
        """The claim of the StatefulSet has room for a journal, as with `sizeLimit`."""
        (template,) = (
            claim
            for one in blocks("yaml")
            if "volumeClaimTemplates" in one.text
            for claim in yaml.safe_load(one.text)["spec"]["volumeClaimTemplates"]
        )
        size = template["spec"]["resources"]["requests"]["storage"]
        given = DeliveryOptions(journal="/nowhere")
        needed = 1.5 * given.max_journal_bytes + (256 << 20)
        self.assertGreater(int(size.removesuffix("Gi")) << 30, needed)
        self.assertIn(f"key and the default limits, {size} is enough", PAGES["docs/operating.md"])
        self.assertEqual(given.max_dead_letter_bytes, 256 << 20)
